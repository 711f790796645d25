import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { formatPosition } from "../../src/config/diagnostic.js";
import { loadConfig } from "../../src/gateway/config.js";
import { Workspace } from "./workspace.js";

const workspace = new Workspace();

const yaml = `listeners: { http: { address: ":0" } }
upstreams:
  chat:
    targets:
      - localhost:1
      - localhost:2
    timeout: 5s
services:
  - service: a.B
    upstream: chat
    methods: { "Get": { timeout: 1s } }
    json:
http:
  rules: &rules
    - { selector: a.B.C, get: /c }
`;

const places: readonly (readonly [path: readonly (string | number)[], place: string])[] = [
  [[], "1:1"],
  [["listeners", "http", "address"], "1:31"],
  [["upstreams", "chat"], "3:3"],
  [["upstreams", "chat", "targets", 1], "6:9"],
  [["upstreams", "chat", "targets", 2], "4:5"],
  [["upstreams", "chat", "timeout"], "7:14"],
  [["upstreams", "nope", "timeout"], "2:1"],
  [["services", 0], "9:5"],
  [["services", 0, "methods", "Get"], "11:16"],
  [["services", 0, "methods", "Get", "timeout"], "11:34"],
  [["services", 0, "json"], "12:5"],
  [["services", 0, "timeout"], "9:5"],
  [["http", "rules", 0, "get"], "15:31"],
  [["http", "rules", 0, "get", "deeper"], "15:31"],
  [["server", "drain"], "1:1"],
];

for (const [path, place] of places) {
  test(`locate gives ${place} for /${path.join("/")}`, () => {
    const position = workspace.load(yaml).locate(path);
    assert.equal(formatPosition(position), `${workspace.path("gateway.yaml")}:${place}`);
  });
}

test("locate follows aliases to where the value is written", () => {
  const { locate } = workspace.load("a: &x { b: 1 }\nc: *x\n");
  assert.equal(locate(["c", "b"]).line, 1);
  assert.equal(locate(["c"]).line, 2);
});

test("a file that is missing, a folder, too large, no UTF-8 or nested too deeply is one clear error", () => {
  const missing = loadConfig(workspace.path("nope.yaml"), {});
  assert.deepEqual(missing.diagnostics, [
    {
      severity: "error",
      message: "the configuration does not exist",
      position: { file: workspace.path("nope.yaml"), line: 0, column: 0 },
    },
  ]);
  assert.equal(missing.config, undefined);
  assert.deepEqual(missing.locate(["a"]), { file: workspace.path("nope.yaml"), line: 0, column: 0 });
  assert.equal(loadConfig(workspace.folder, {}).diagnostics[0]?.message, "the configuration is not a file");
  const only = (text: string | Uint8Array) => workspace.problems(text);
  assert.deepEqual(only("#".repeat(4 * 1024 * 1024 + 1)), [
    "gateway.yaml: error: the configuration is larger than 4MiB",
  ]);
  assert.deepEqual(only(new Uint8Array([0x61, 0xff])), [
    "gateway.yaml: error: the configuration is not UTF-8 text",
  ]);
  assert.deepEqual(only("[".repeat(100_000)), ["gateway.yaml: error: the configuration nests too deeply"]);
});

test("a byte order mark and CRLF line ends are read as any other text", () => {
  const text = '\uFEFFlisteners:\r\n  http:\r\n    address: ":0"\r\n  admin: { adress: ":1" }\r\n';
  assert.deepEqual(workspace.problems(text), [
    'gateway.yaml:4:12: error: unknown key "adress" (at listeners.admin.adress); did you mean "address"?',
  ]);
});

test("aliases that would multiply without end are refused", () => {
  const names = Array.from({ length: 2000 }, (_, index) => `  u${index}: { targets: *t }`).join("\n");
  const text = `listeners: { http: { address: ":0" } }
upstreams:
  a: { targets: &t [${"localhost:1,".repeat(900)}] }
${names}
`;
  const problems = workspace.problems(text);
  assert.ok(problems.some(problem => problem.includes("aliases make the file too large")));
});

test("at most a thousand problems are listed, and the rest is counted", () => {
  const text = `listeners: { http: { address: ":0" } }\nserver:\n${Array.from({ length: 1200 }, (_, index) => `  x${index}: 1\n`).join("")}`;
  const problems = workspace.problems(text);
  assert.equal(problems.length, 1001);
  assert.equal(problems.at(-1), "error: 200 more problems are not shown");
});

test("loading a file with any text removed or inserted gives a configuration or errors and never throws", () => {
  const pieces = [
    "*x",
    "&x",
    "{",
    "}",
    "[",
    "]",
    ": ",
    "\n",
    "- ",
    "$" + "{A}",
    "${",
    "null",
    "'",
    '"',
    "!!set",
    "? ",
    "|",
    "1e999",
    "__proto__",
  ];
  fc.assert(
    fc.property(
      fc.nat(yaml.length),
      fc.nat(40),
      fc.array(fc.constantFrom(...pieces), { maxLength: 4 }),
      (at, cut, put) => {
        const text = yaml.slice(0, at) + put.join("") + yaml.slice(at + cut);
        const { config, diagnostics } = workspace.load(text, { A: "x" });
        assert.equal(config === undefined, diagnostics.length > 0);
      },
    ),
    { numRuns: 1000 },
  );
});
