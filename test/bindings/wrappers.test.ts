import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { compileRoutes } from "../../src/bindings/route-table.js";
import { formatDiagnostic } from "../../src/config/diagnostic.js";
import { loadModel } from "../../src/descriptors/load/load.js";
import { loadConfig } from "../../src/gateway/config.js";
import { createPace } from "../../src/net/pace.js";

const folder = mkdtempSync(join(tmpdir(), "protogate-"));
after(() => rmSync(folder, { recursive: true }));

mkdirSync(join(folder, "protos"));
writeFileSync(
  join(folder, "protos/wrapperspb.proto"),
  'syntax = "proto3";\npackage openim.protobuf;\nmessage StringValue { string value = 1; }\nmessage Int32Value { int32 value = 1; }\n',
);
writeFileSync(
  join(folder, "protos/t.proto"),
  `syntax = "proto3";
package t;
import "google/api/annotations.proto";
import "wrapperspb.proto";
message M {
  string id = 1;
  openim.protobuf.StringValue nickname = 2;
  repeated openim.protobuf.Int32Value numbers = 3;
  map<string, openim.protobuf.StringValue> names = 4;
  Own own = 5;
}
message Own { string value = 1; }
message Two { string value = 1; string more = 2; }
service S {
  rpc Set(M) returns (M) { option (google.api.http) = { post: "/m/{id}" body: "*" }; }
  rpc Get(M) returns (M) { option (google.api.http) = { get: "/m/{nickname}" }; }
}
`,
);
const { model } = await loadModel([{ kind: "protos", folder: join(folder, "protos"), include: [] }]);

function table(service: string): ReturnType<typeof compileRoutes> {
  const file = join(folder, "gateway.yaml");
  writeFileSync(
    file,
    `listeners: { http: { address: 127.0.0.1:0 } }
descriptors: [{ protos: ./protos }]
upstreams: { u: { targets: ["127.0.0.1:1"] } }
services:
  - service: t.S
    upstream: u
    ${service}
`,
  );
  const { config, locate, diagnostics } = loadConfig(file, {});
  assert.deepEqual(diagnostics.map(formatDiagnostic), []);
  assert.ok(config !== undefined);
  return compileRoutes(config, model, locate, createPace());
}

async function problems(service: string): Promise<string[]> {
  return (await table(service)).diagnostics.map(problem =>
    formatDiagnostic(problem).replaceAll(`${folder}/`, ""),
  );
}

/** The JSON that a body becomes on the way to the backend and back. */
async function echo(
  service: string,
  name: string,
  variable: string,
  body: string,
  query = "",
): Promise<unknown> {
  const { routes } = await table(service);
  const route = routes.find(({ rpc }) => rpc.name === name);
  assert.ok(route !== undefined);
  const bytes = Buffer.from(body);
  const wire = route.request.encode([variable], query, { contentType: "application/json", bytes });
  const { body: text } = route.response.decode(wire);
  return JSON.parse(String(text));
}

const bare = '{"nickname":"x","numbers":[1,0],"names":{"a":""}}';
const envelope = (data: unknown) => ({ errCode: 0, errMsg: "", errDlt: "", data });

test("under errors: openim the wrappers of openim.protobuf are bare values both ways", async () => {
  assert.deepEqual(
    await echo("errors: openim", "Set", "1", bare),
    envelope({ id: "1", ...JSON.parse(bare) }),
  );
  assert.deepEqual(
    await echo("errors: openim", "Get", "x", "", "numbers=5&names[a]=b&id=1"),
    envelope({ id: "1", nickname: "x", numbers: [5], names: { a: "b" } }),
  );
});

test("dialects other than openim write wrappers as messages, unless json.wrappers names them", async () => {
  await assert.rejects(() => echo("errors: google", "Set", "1", bare), /expected an object/);
  const named = "json: { wrappers: [openim.protobuf.StringValue, openim.protobuf.Int32Value] }";
  assert.deepEqual(await echo(named, "Set", "1", bare), { id: "1", ...JSON.parse(bare) });
});

test("json.wrappers replaces what the dialect brings, for a service and for a method", async () => {
  await assert.rejects(
    () => echo("json: { wrappers: [] }\n    errors: openim", "Set", "1", bare),
    /expected an object/,
  );
  const method = "methods: { Set: { json: { wrappers: [t.Own] } } }";
  assert.deepEqual(await echo(method, "Set", "1", '{"own":"x","nickname":{"value":"y"}}'), {
    id: "1",
    nickname: { value: "y" },
    own: "x",
  });
});

test("a name under json.wrappers that is no message, or no wrapper, is an error at its position", async () => {
  assert.deepEqual(
    (await problems("json: { wrappers: [openim.protobuf.StringVale, t.Own, t.Two] }")).slice(0, 2),
    [
      'gateway.yaml:7:24: error: the descriptors have no message "openim.protobuf.StringVale" (at services[0].json.wrappers[0]); did you mean "openim.protobuf.StringValue"?',
      'gateway.yaml:7:59: error: t.Two cannot be written as a bare value; expected a message with exactly one field, a scalar or an enum named "value" (at services[0].json.wrappers[2])',
    ],
  );
  assert.equal((await problems("methods: { Set: { json: { wrappers: [t.M] } } }")).length > 0, true);
});
