import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, test } from "node:test";
import type { Route } from "../../src/bindings/route.js";
import { compileRoutes } from "../../src/bindings/route-table.js";
import { formatDiagnostic } from "../../src/config/diagnostic.js";
import { loadModel } from "../../src/descriptors/load/load.js";
import { loadConfig } from "../../src/gateway/config.js";
import { createPace } from "../../src/net/pace.js";

const folder = mkdtempSync(join(tmpdir(), "protogate-"));
after(() => rmSync(folder, { recursive: true }));

const head = `syntax = "proto3";
package t;
import "google/api/annotations.proto";
import "google/protobuf/timestamp.proto";
message M {
  string id = 1;
  repeated string tags = 2;
  map<string, string> labels = 3;
  M child = 4;
  repeated M parts = 5;
  google.protobuf.Timestamp at = 6;
}
`;

let count = 0;

/** Compiles `service S { … }` with further YAML; problems as people see them, without the folder. */
async function compile(
  methods: string,
  { service = "", yaml = "" }: { service?: string; yaml?: string } = {},
): Promise<{ routes: readonly string[]; problems: readonly string[] }> {
  count += 1;
  const own = join(folder, String(count));
  const proto = join(own, "protos/t.proto");
  mkdirSync(dirname(proto), { recursive: true });
  writeFileSync(proto, `${head}service S {\n${methods}\n}\n`);
  const file = join(own, "gateway.yaml");
  writeFileSync(
    file,
    `listeners: { http: { address: 127.0.0.1:0 } }
descriptors: [{ protos: ./protos }]
upstreams: { u: { targets: ["127.0.0.1:1"] } }
services: [{ service: t.S, upstream: u${service} }]
${yaml}`,
  );
  const { config, locate, diagnostics } = loadConfig(file, {});
  assert.deepEqual(diagnostics.map(formatDiagnostic), []);
  assert.ok(config !== undefined);
  const { model } = await loadModel([{ kind: "protos", folder: join(own, "protos"), include: [] }]);
  const table = await compileRoutes(config, model, locate, createPace());
  return {
    routes: table.routes.map(describe),
    problems: table.diagnostics.map(problem => formatDiagnostic(problem).replaceAll(`${own}/`, "")),
  };
}

function describe({ method, template, rpc, source }: Route): string {
  return `${method} ${template.text} → ${rpc.name} (${source})`;
}

const annotated = (name: string, rule: string): string =>
  `rpc ${name}(M) returns (M) { option (google.api.http) = { ${rule} }; }`;

test("annotations bind their pattern and each additional binding", async () => {
  const { routes, problems } = await compile(
    annotated(
      "GetM",
      'get: "/m/{id}" additional_bindings { get: "/n/{child.id}" } additional_bindings { custom { kind: "head" path: "/m" } }',
    ),
  );
  assert.deepEqual(routes, [
    "GET /m/{id} → GetM (annotation)",
    "GET /n/{child.id} → GetM (annotation)",
    "HEAD /m → GetM (annotation)",
  ]);
  assert.equal(problems.length, 1);
  assert.match(
    problems[0] ?? "",
    /warning: custom\.kind "head" is bound as HEAD: HTTP methods are in capitals/,
  );
});

test("options of more than 256 KiB are not decoded: the method gets a warning, others their routes", async () => {
  const more = Array.from(
    { length: 80 },
    (_, at) => `additional_bindings { get: "/${"m".repeat(3500)}${at}" }`,
  );
  const { routes, problems } = await compile(
    [
      annotated("GetM", `get: "/m/{id}" ${more.join(" ")}`),
      annotated("GetN", `get: "/n/{id}" ${more.slice(10).join(" ")}`),
    ].join("\n"),
  );
  assert.equal(routes.length, 71);
  assert.ok(routes.every(route => route.endsWith("→ GetN (annotation)")));
  assert.equal(problems.length, 1);
  assert.match(
    problems[0] ?? "",
    /t\.proto:\d+: warning: no route for the annotation of this method: its options have 28\d{4} bytes, and none are read where they have more than 262144/,
  );
});

test("a custom kind that no request can have is a warning", async () => {
  const kinds = ["FOO", "CONNECT", "PROPFNID", "PROPFIND", "*"];
  const { routes, problems } = await compile(
    annotated(
      "GetM",
      `get: "/m" ${kinds.map((kind, i) => `additional_bindings { custom { kind: "${kind}" path: "/k${i}" } }`).join(" ")}`,
    ),
  );
  assert.equal(routes.length, 6);
  assert.equal(problems.length, 3);
  assert.match(problems[0] ?? "", /warning: custom\.kind "FOO" cannot be requested: expected a registered/);
  assert.match(problems[1] ?? "", /warning: custom\.kind "CONNECT" cannot be requested: CONNECT names/);
  assert.match(problems[2] ?? "", /custom\.kind "PROPFNID" cannot be requested: .*did you mean "PROPFIND"\?/);
});

test("a route that others shadow is a warning that names them", async () => {
  const { routes, problems } = await compile(
    [
      annotated("Get", 'get: "/d/{id=*/**}"'),
      annotated("Child", 'get: "/d/{id=*/**}/{child.id}"'),
      annotated("One", 'get: "/d/{id}"'),
    ].join("\n"),
  );
  assert.equal(routes.length, 3);
  assert.equal(problems.length, 1);
  assert.match(
    problems[0] ?? "",
    /t\.proto:14.* warning: no request reaches GET \/d\/\{id=\*\/\*\*\}: its paths are taken by GET \/d\/\{id=\*\/\*\*\}\/\{child\.id\} of t\.S\.Child .* and GET \/d\/\{id\} of t\.S\.One/,
  );
});

test("convention and auto bind what has no annotation, by the method's name", async () => {
  const methods = [
    "GetM",
    "FindM",
    "QueryM",
    "ListM",
    "SearchM",
    "CreateM",
    "PostM",
    "UpdateM",
    "PutM",
    "PatchM",
    "DeleteM",
    "Getaway",
  ]
    .map(name => `rpc ${name}(M) returns (M);`)
    .join("\n");
  const { routes } = await compile(methods, { service: ", bindings: [annotations, convention]" });
  assert.deepEqual(
    routes.map(route => route.split(" ")[0]),
    ["GET", "GET", "GET", "GET", "GET", "POST", "POST", "PUT", "PUT", "PATCH", "DELETE", "POST"],
  );
  assert.equal(routes[0], "GET /t.S/GetM → GetM (convention)");
  const auto = await compile("rpc GetM(M) returns (M);", {
    service: ", bindings: [convention, auto], prefix: /api",
  });
  assert.deepEqual(auto.routes, [
    "GET /api/t.S/GetM → GetM (convention)",
    "POST /api/t.S/GetM → GetM (auto)",
  ]);
});

test("a rule of the configuration replaces the annotation", async () => {
  const { routes } = await compile(annotated("GetM", 'get: "/m/{id}"'), {
    yaml: "http: { rules: [{ selector: t.S.GetM, post: '/other/{id}', body: '*' }] }",
  });
  assert.deepEqual(routes, ["POST /other/{id} → GetM (config)"]);
});

test("two routes with one method and an equivalent template are an error that names both", async () => {
  const { problems } = await compile(
    `${annotated("A", 'get: "/m/{id}"')}\n${annotated("B", 'get: "/m/{child.id}"')}`,
  );
  assert.equal(problems.length, 1);
  assert.match(
    problems[0] ?? "",
    /^\S*t\.proto:15.*error: GET \/m\/\{child\.id\} is bound twice: by t\.S\.A \(\S*t\.proto:14\) and by t\.S\.B .*; give one of the methods another path by a rule under http\.rules/,
  );
});

const misfits: readonly (readonly [what: string, rule: string, says: string])[] = [
  [
    "an unknown path field",
    'get: "/m/{idd}"',
    '{idd}: t.M has no field "idd" (at t.S.GetM); did you mean "id"?',
  ],
  ["a repeated path field", 'get: "/m/{tags}"', '{tags}: "tags" is repeated and cannot come from the path'],
  ["a map path field", 'get: "/m/{labels}"', '{labels}: "labels" is a map and cannot come from the path'],
  [
    "a message path field",
    'get: "/m/{child}"',
    '{child}: "child" is a message and cannot come from the path',
  ],
  [
    "a field of a list",
    'get: "/m/{parts.id}"',
    '{parts.id}: "parts" is not a singular message, so it has no field "id"',
  ],
  [
    "a field of a timestamp",
    'get: "/m/{at.seconds}"',
    '{at.seconds}: "at" is not a singular message, so it has no field "seconds"',
  ],
  ["overlapping path fields", 'get: "/m/{at}/{at.seconds}"', "not a singular message"],
  [
    "an unknown body field",
    'post: "/m" body: "chidl"',
    'body: t.M has no top-level field "chidl" (at t.S.GetM); did you mean "child"?',
  ],
  [
    "a body field that the path binds",
    'post: "/m/{id}" body: "id"',
    'body: "id" is bound by the path already',
  ],
  [
    "an unknown response field",
    'get: "/m" response_body: "x"',
    'response_body: t.M has no top-level field "x"',
  ],
  ["a malformed template", 'get: "/m//x"', 'template "/m//x": '],
  ["a rule without pattern", 'body: "*"', "the rule has no pattern"],
  [
    "nested additional bindings",
    'get: "/m" additional_bindings { get: "/n" additional_bindings { get: "/o" } }',
    "must not contain additional_bindings",
  ],
];

for (const [what, rule, says] of misfits) {
  test(`${what} in an annotation is a warning, and that rule has no route`, async () => {
    const { routes, problems } = await compile(
      `${annotated("GetM", rule)}\n${annotated("Ok", 'get: "/ok"')}`,
    );
    assert.deepEqual(routes, ["GET /ok → Ok (annotation)"]);
    assert.equal(problems.length, 1, problems.join("\n"));
    assert.match(problems[0] ?? "", /t\.proto:14: warning: /);
    assert.ok(problems[0]?.includes(says), problems[0]);
  });
}

test("a rule of the configuration that does not fit its messages is an error at its position", async () => {
  const { problems } = await compile("rpc GetM(M) returns (M);", {
    yaml: "http:\n  rules:\n    - { selector: t.S.GetM, get: '/m/{idd}' }",
  });
  assert.deepEqual(problems, [
    'gateway.yaml:7:7: error: {idd}: t.M has no field "idd" (at http.rules[0]); did you mean "id"?',
  ]);
});

test("names that the descriptors do not have are errors with the nearest name", async () => {
  const { problems } = await compile(annotated("GetM", 'get: "/m"'), {
    service: ", methods: { GetN: { timeout: 1s } }",
    yaml: "http: { rules: [{ selector: t.S.GteM, get: /x }] }",
  });
  assert.equal(problems.length, 2);
  assert.match(
    problems[0] ?? "",
    /no exposed service has the method "t\.S\.GteM".*did you mean "t\.S\.GetM"\?/,
  );
  assert.match(problems[1] ?? "", /t\.S has no method "GetN".*did you mean "GetM"\?/);
});

test("a pattern without services names the nearest package", async () => {
  const { problems } = await compile(annotated("Get", 'get: "/a"'), {
    yaml: "",
    service: ' }, { service: "tt.**", upstream: u',
  });
  assert.deepEqual(problems, [
    'gateway.yaml:4:54: error: the descriptors have no service "tt.**" (at services[1].service); did you mean "t.**"?',
  ]);
});

test("a pattern whose services more specific entries expose is not an error", async () => {
  const { routes, problems } = await compile(annotated("Get", 'get: "/a"'), {
    service: ' }, { service: "t.**", upstream: u',
  });
  assert.deepEqual([routes, problems], [["GET /a → Get (annotation)"], []]);
});
