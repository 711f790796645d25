import assert from "node:assert/strict";
import { mkdirSync, symlinkSync } from "node:fs";
import { describe, it } from "node:test";
import fc from "fast-check";
import { stringify } from "yaml";
import { compose } from "../../src/config/compose.js";
import { formatDiagnostic } from "../../src/config/diagnostic.js";
import { loadConfig } from "../../src/gateway/config.js";
import { Workspace } from "./workspace.js";

const listener = 'listeners: { http: { address: ":0" } }\n';
const service = (name: string): string =>
  `services: [{ service: a.${name}, upstream: ${name.toLowerCase()} }]\n`;
const upstream = (name: string): string => `upstreams: { ${name}: { targets: ["${name}:1"] } }\n`;

/** The messages of loading, without the folder. */
function problems(
  { folder }: Workspace,
  files: readonly string[],
  settings: readonly string[] = [],
  env: Record<string, string> = {},
): string[] {
  const input = { files: files.map(name => `${folder}/${name}`), settings };
  return loadConfig(input, env).diagnostics.map(each => formatDiagnostic(each).replaceAll(`${folder}/`, ""));
}

function loaded({ folder }: Workspace, files: readonly string[], settings: readonly string[] = []) {
  const result = loadConfig({ files: files.map(name => `${folder}/${name}`), settings }, { PART: "more" });
  const { config, diagnostics } = result;
  if (config === undefined) throw new Error(diagnostics.map(formatDiagnostic).join("\n"));
  return { ...result, config };
}

describe("include", () => {
  it("lists go on in the order of the files, and names are added", () => {
    const workspace = new Workspace({
      "gateway.yaml": `${listener}include: [routes/*.yaml, "\${PART}/c.yaml"]\n${upstream("a")}${service("A")}`,
      "routes/z.yaml": upstream("z") + service("Z"),
      "routes/b.yaml": upstream("b") + service("B"),
      "routes/.hidden.yaml": "nonsense",
      "routes/b.yaml.bak": "nonsense",
      "more/c.yaml": `include: [../deep/d.yaml]\n${upstream("c")}${service("C")}`,
      "deep/d.yaml": "http: { cors: { origins: ['https://d.example'] } }\n",
      "empty.yaml": "",
    });
    const { config, files, locate } = loaded(workspace, ["gateway.yaml"]);
    assert.deepEqual(
      config.services.map(each => each.service),
      ["a.A", "a.B", "a.Z", "a.C"],
    );
    assert.deepEqual(Object.keys(config.upstreams), ["a", "b", "z", "c"]);
    assert.deepEqual(config.http.cors?.origins, ["https://d.example"]);
    for (const name of ["gateway.yaml", "routes/*.yaml", "routes/b.yaml", "more/c.yaml", "deep/d.yaml"])
      assert.ok(files.has(workspace.path(name)), name);
    assert.equal(locate(["services", 2, "service"]).file, workspace.path("routes/z.yaml"));
    assert.equal(locate(["upstreams", "c", "targets"]).file, workspace.path("more/c.yaml"));
  });

  it("paths in an included file, of files and of secrets, start from its own folder", () => {
    const workspace = new Workspace({
      "gateway.yaml": `${listener}include: [sub/a.yaml]\n`,
      "sub/a.yaml": `descriptors: [{ protos: ./protos }]\nrealtime: { path: "\${file:path.txt}", auth: none }\n`,
      "sub/path.txt": "/sockets\n",
    });
    mkdirSync(workspace.path("sub/protos"));
    const { config } = loaded(workspace, ["gateway.yaml"]);
    assert.deepEqual(config.descriptors, [
      { protos: workspace.path("sub/protos"), include: [], exclude: [] },
    ]);
    assert.equal(config.realtime?.path, "/sockets");
  });

  it("a key that two files set, and a name that two files have, are errors that name both places", () => {
    const workspace = new Workspace({
      "gateway.yaml": `${listener}include: [a.yaml, b.yaml]\nserver: { drain: 1s }\n`,
      "a.yaml": `server: { drain: 2s }\n${upstream("x")}`,
      "b.yaml": `${upstream("x")}listeners: { admin: { address: "127.0.0.1:1" }, http: {} }\n`,
    });
    assert.deepEqual(problems(workspace, ["gateway.yaml"]), [
      'a.yaml:1:11: error: "drain" is set twice, first at gateway.yaml:3:11 (at server.drain)',
      'b.yaml:1:14: error: "x" is set twice, first at a.yaml:2:14 (at upstreams.x)',
    ]);
  });

  it("problems name the file that the value stands in, in the order of the files", () => {
    const workspace = new Workspace({
      "gateway.yaml": `${listener}include: [a.yaml]\nserver: { drian: 1s }\n`,
      "a.yaml": "\nupstreams:\n  x: { targets: [], timeout: 5 }\n",
    });
    assert.deepEqual(problems(workspace, ["gateway.yaml"]), [
      'gateway.yaml:3:11: error: unknown key "drian" (at server.drian); did you mean "drain"?',
      "a.yaml:3:8: error: expected at least 1 item, found 0 (at upstreams.x.targets)",
      "a.yaml:3:30: error: expected a duration such as 250ms, 5s, 10m or 1h, found 5 (at upstreams.x.timeout)",
    ]);
  });

  const mistakes: readonly (readonly [
    what: string,
    files: Record<string, string>,
    says: readonly string[],
  ])[] = [
    [
      "a missing file",
      { "gateway.yaml": `${listener}include:\n  - routes/nope.yaml\n` },
      ['gateway.yaml:3:5: error: include: "routes/nope.yaml" does not exist'],
    ],
    [
      "a folder",
      { "gateway.yaml": `${listener}include: [routes]\n`, "routes/a.yaml": "" },
      ['gateway.yaml:2:11: error: include: "routes" is not a file'],
    ],
    [
      "a glob without a match",
      { "gateway.yaml": `${listener}include: [routes/*.yml]\n` },
      ['gateway.yaml:2:11: warning: include: no file matches "routes/*.yml"'],
    ],
    [
      "a circle",
      {
        "gateway.yaml": `${listener}include: [a.yaml]\n`,
        "a.yaml": "include: [b/b.yaml]\n",
        "b/b.yaml": "include: [../gateway.yaml]\n",
      },
      [
        'b/b.yaml:1:11: error: include: "gateway.yaml" includes itself: gateway.yaml → a.yaml → b/b.yaml → gateway.yaml',
      ],
    ],
    [
      "a glob that matches the file itself",
      { "gateway.yaml": `${listener}include: ["*.yaml"]\n` },
      ['gateway.yaml:2:11: error: include: "gateway.yaml" includes itself: gateway.yaml → gateway.yaml'],
    ],
    [
      "a file that is included twice",
      { "gateway.yaml": `${listener}include: [a.yaml, "?.yaml"]\n`, "a.yaml": "" },
      ['gateway.yaml:2:19: error: include: "a.yaml" is included already, at gateway.yaml:2:11'],
    ],
    [
      "a file that is no YAML",
      { "gateway.yaml": `${listener}include: [a.yaml]\n`, "a.yaml": "x: 1\ny: [\n" },
      [
        "a.yaml:3:1: error: not YAML: Flow sequence in block collection must be sufficiently indented and end with a ]",
      ],
    ],
    [
      "a list in place of a mapping",
      { "gateway.yaml": `${listener}include: [a.yaml]\n`, "a.yaml": "- x\n" },
      ["a.yaml:1:1: error: expected a mapping, found a list"],
    ],
    [
      "a text in place of a list",
      { "gateway.yaml": `${listener}include: a.yaml\n` },
      ["gateway.yaml:2:10: error: include: expected a list of files and globs, such as [./routes/*.yaml]"],
    ],
    [
      "a number in place of a file",
      { "gateway.yaml": `${listener}include: [5]\n` },
      ["gateway.yaml:2:11: error: include: expected a file or a glob, such as ./routes/*.yaml"],
    ],
    [
      "an unset variable",
      { "gateway.yaml": `${listener}include: ["\${NOPE}/a.yaml"]\n` },
      [
        `gateway.yaml:2:11: error: include: the environment variable NOPE is not set and "\${NOPE}" gives no default`,
      ],
    ],
  ];
  for (const [what, files, says] of mistakes)
    it(`include of ${what} is one clear message with its place`, () => {
      assert.deepEqual(problems(new Workspace(files), ["gateway.yaml"]), says);
    });

  it("files include each other at most ten levels deep", () => {
    const files = Object.fromEntries(
      Array.from({ length: 13 }, (_, level) => [`${level}.yaml`, `include: [${level + 1}.yaml]\n`]),
    );
    const found = problems(new Workspace({ ...files, "0.yaml": `${listener}include: [1.yaml]\n` }), [
      "0.yaml",
    ]);
    assert.deepEqual(found, [
      "10.yaml:1:11: error: include: files include each other more than 10 levels deep",
    ]);
  });

  it("a glob of more than a thousand files is refused", () => {
    const many = Object.fromEntries(Array.from({ length: 1001 }, (_, index) => [`many/${index}.yaml`, ""]));
    const workspace = new Workspace({ "gateway.yaml": `${listener}include: [many/*]\n`, ...many });
    assert.deepEqual(problems(workspace, ["gateway.yaml"]), [
      'gateway.yaml:2:11: error: include: "many/*" matches more than 1000 files',
    ]);
  });

  it("a mount of Kubernetes, with links to a hidden folder, has each of its files once", () => {
    const workspace = new Workspace({
      "gateway.yaml": `${listener}include: [mount/**/*.yaml]\n`,
      "mount/..2026/a.yaml": upstream("a"),
    });
    symlinkSync("..2026", workspace.path("mount/..data"));
    symlinkSync("..data/a.yaml", workspace.path("mount/a.yaml"));
    assert.deepEqual(Object.keys(loaded(workspace, ["gateway.yaml"]).config.upstreams), ["a"]);
  });

  it("a configuration may consist of included files alone, and aliases stay in their file", () => {
    const workspace = new Workspace({
      "gateway.yaml": "include: [l.yaml, a.yaml, b.yaml]\n",
      "l.yaml": listener,
      "a.yaml": "upstreams: { a: &x { targets: [a:1] }, a2: *x }\n",
      "b.yaml": "upstreams: { b: &x { targets: [b:1] }, b2: *x }\n",
    });
    const { upstreams } = loaded(workspace, ["gateway.yaml"]).config;
    assert.deepEqual(upstreams.a2?.targets, ["a:1"]);
    assert.deepEqual(upstreams.b2?.targets, ["b:1"]);
  });
});

describe("further files", () => {
  const base = `${listener}${upstream("a")}server: { drain: 3s }\n${service("A")}`;

  it("a later file overrides: mappings merge, scalars and lists are replaced, null takes away", () => {
    const workspace = new Workspace({
      "base.yaml": `${base}http: { cors: { origins: ["https://a.example"] } }\n`,
      "over.yaml":
        'upstreams: { a: { targets: ["b:2"], timeout: 7s } }\nhttp: { cors: null, errors: problem }\n',
    });
    const { config, locate } = loaded(workspace, ["base.yaml", "over.yaml"]);
    assert.deepEqual([config.upstreams.a?.targets, config.upstreams.a?.timeout], [["b:2"], 7000]);
    assert.deepEqual(
      [config.http.cors, config.http.errors, config.server.drain],
      [undefined, "problem", 3000],
    );
    assert.equal(locate(["upstreams", "a", "timeout"]).file, workspace.path("over.yaml"));
    assert.equal(locate(["server", "drain"]).file, workspace.path("base.yaml"));
  });

  it("a later file overrides what an earlier one includes, and has includes of its own", () => {
    const workspace = new Workspace({
      "base.yaml": `${base}include: [more.yaml]\n`,
      "more.yaml": upstream("b"),
      "over.yaml": "include: [third.yaml]\nupstreams: { b: { timeout: 1s } }\n",
      "third.yaml": "server: { drain: 9s }\n",
    });
    const { config } = loaded(workspace, ["base.yaml", "over.yaml"]);
    assert.deepEqual([config.upstreams.b?.timeout, config.server.drain], [1000, 9000]);
  });

  it("an empty later file changes nothing; an empty key in it is an error, not a deletion", () => {
    const workspace = new Workspace({
      "base.yaml": base,
      "empty.yaml": "",
      "slip.yaml": "server:\n  drain:\n",
    });
    assert.equal(loaded(workspace, ["base.yaml", "empty.yaml"]).config.server.drain, 3000);
    assert.match(
      problems(workspace, ["base.yaml", "slip.yaml"]).join(),
      /^slip\.yaml:2:3: error: .*found nothing/,
    );
  });

  it("the problems of a value name the file that it really comes from", () => {
    const workspace = new Workspace({
      "base.yaml": base,
      "over.yaml": "\nupstreams: { a: { timeout: 7x } }\n",
    });
    assert.deepEqual(problems(workspace, ["base.yaml", "over.yaml"]), [
      'over.yaml:2:28: error: expected a duration such as 250ms, 5s, 10m or 1h, found "7x" (at upstreams.a.timeout)',
    ]);
  });

  it("aliases that lead round, or grow without bound, end in an error", () => {
    const round = "upstreams: &x { a: *x }\n";
    const grow = `x0: &x0 { a: 1 }\n${Array.from({ length: 30 }, (_, n) => `x${n + 1}: &x${n + 1} { a: *x${n}, b: *x${n} }\n`).join("")}`;
    for (const text of [round, grow]) {
      const workspace = new Workspace({ "a.yaml": listener + text, "b.yaml": text });
      assert.match(problems(workspace, ["a.yaml", "b.yaml"]).join("\n"), /aliases make the files? too large/);
    }
  });

  it("files are merged as RFC 7396 merges JSON", () => {
    const { tree } = fc.letrec(tie => ({
      tree: fc.dictionary(
        fc.constantFrom("a", "b", "c"),
        fc.oneof(
          { depthSize: "small" },
          fc.integer(),
          fc.constant(null),
          fc.array(fc.integer()),
          tie("tree"),
        ),
        { noNullPrototype: true },
      ),
    })) as { tree: fc.Arbitrary<Record<string, unknown>> };
    const isTree = (value: unknown): value is Record<string, unknown> =>
      typeof value === "object" && value !== null && !Array.isArray(value);
    const merge = (base: unknown, over: unknown): unknown => {
      if (!isTree(base) || !isTree(over)) return over;
      const merged: Record<string, unknown> = { ...base };
      for (const [key, value] of Object.entries(over))
        if (value === null) delete merged[key];
        else merged[key] = key in merged ? merge(merged[key], value) : value;
      return merged;
    };
    const workspace = new Workspace();
    fc.assert(
      fc.property(tree, tree, (base, over) => {
        const files = [base, over].map((each, index) => workspace.write(`${index}.yaml`, stringify(each)));
        const { tree: composed, problems } = compose({ files }, { type: "object" }, { env: {} });
        assert.deepEqual(problems, []);
        assert.deepEqual(composed.root?.toJSON(), merge(base, over));
      }),
      { numRuns: 200 },
    );
  });
});

describe("--set", () => {
  const workspace = new Workspace({
    "gateway.yaml": `${listener}${upstream("a")}${service("A")}http: { rules: [{ selector: a.A.B, get: /b }] }\n`,
  });
  const set = (...settings: string[]) => loaded(workspace, ["gateway.yaml"], settings).config;
  const refused = (...settings: string[]): string =>
    problems(workspace, ["gateway.yaml"], settings).join("\n");

  it("a setting replaces a value, makes what is missing on its way, and the later one wins", () => {
    const config = set(
      "upstreams.a.timeout=3s",
      "upstreams.a.timeout=4s",
      "upstreams.b={ targets: [x:1] }",
      "upstreams.b.targets[1]=y:1",
      "services[0].prefix=/v2",
      "services[1].service=a.C",
      "services[1].upstream=b",
      "http.cors.origins[0]=https://x.example",
    );
    assert.equal(config.upstreams.a?.timeout, 4000);
    assert.deepEqual(config.upstreams.b?.targets, ["x:1", "y:1"]);
    assert.deepEqual(
      config.services.map(each => [each.service, each.upstream, each.prefix]),
      [
        ["a.A", "a", "/v2"],
        ["a.C", "b", undefined],
      ],
    );
    assert.deepEqual(config.http.cors?.origins, ["https://x.example"]);
  });

  it("a setting takes quoted names, and null takes a value away", () => {
    const config = set('upstreams["a.b"].targets=[z:1]', "http.rules=null");
    assert.deepEqual(config.upstreams["a.b"]?.targets, ["z:1"]);
    assert.deepEqual(config.http.rules, []);
  });

  it("a secret in a setting is not in the message about it", () => {
    const said = refused("auth.providers.p={ type: jwt, secret: hunter2hunter2, algorithms: [HS256], x: 1 }");
    assert.match(said, /^--set auth\.providers\.p: error: .*"x"/);
    assert.doesNotMatch(said, /hunter2/);
    assert.doesNotMatch(refused("auth.providers.p.secret=[hunter2"), /hunter2/);
  });

  const mistakes: readonly (readonly [setting: string, says: string])[] = [
    [
      "upstream.a.timeout=1s",
      '--set upstream.a.timeout: error: unknown key "upstream" (at upstream); did you mean "upstreams"?',
    ],
    [
      "upstreams.aa.timeout=1s",
      '--set upstreams.aa.timeout: error: missing key "targets"; expected a list (at upstreams.aa); did you mean "a"?',
    ],
    [
      "upstreams.a.timeout=1x",
      '--set upstreams.a.timeout: error: expected a duration such as 250ms, 5s, 10m or 1h, found "1x" (at upstreams.a.timeout)',
    ],
    [
      "services[4].prefix=/x",
      "--set services[4].prefix: error: services has 1 item; expected an index up to 1",
    ],
    ["services.a=1", "--set services.a: error: services is a list; expected services[INDEX]"],
    ["upstreams[0]=1", "--set upstreams[0]: error: upstreams is no list; expected upstreams.KEY"],
    ["include=[x.yaml]", "--set include: error: files are included by files; give a further -c FILE instead"],
    [
      "nonsense",
      "--set nonsense: error: expected PATH=VALUE, such as upstreams.chat.timeout=5s or services[0].upstream=chat",
    ],
    [
      "=1",
      "--set : error: expected PATH=VALUE, such as upstreams.chat.timeout=5s or services[0].upstream=chat",
    ],
    [
      "a..b=1",
      "--set a..b: error: expected PATH=VALUE, such as upstreams.chat.timeout=5s or services[0].upstream=chat",
    ],
    ["server.drain=*x", "--set server.drain: error: the alias has no anchor before it (at server.drain)"],
  ];
  for (const [setting, says] of mistakes)
    it(`--set ${setting} is refused with the place and what is expected`, () => {
      assert.equal(refused(setting), says);
    });

  it("any text as a setting gives a configuration or an error that begins with its path", () => {
    const file = workspace.path("gateway.yaml");
    fc.assert(
      fc.property(fc.string({ maxLength: 40 }), fc.string({ maxLength: 20 }), (path, value) => {
        const { config, diagnostics } = loadConfig({ files: [file], settings: [`${path}=${value}`] }, {});
        assert.ok(config !== undefined || diagnostics.length > 0);
      }),
      { numRuns: 300 },
    );
  });
});
