import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { Registry } from "prom-client";
import { formatDiagnostic } from "../../src/config/diagnostic.js";
import { createPace } from "../../src/net/pace.js";
import { compileValidators } from "../../src/validation/compile.js";
import { ValidationMetrics } from "../../src/validation/validator.js";
import { loadUnderTest } from "../descriptor-source.js";
import { encode, model, typeOf } from "./model.js";

async function validatorOf(name: string) {
  const type = typeOf(model, name);
  const validate = (await compileValidators(model, [type], createPace())).byType.get(type);
  assert.ok(validate !== undefined);
  return (json: unknown) => validate(encode(type, json));
}

/** What is said of the rules in `source`, whose type is edge.Message. */
async function problems(t: TestContext, source: string): Promise<string[]> {
  const folder = mkdtempSync(join(tmpdir(), "protogate-validation-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const head = `syntax = "proto3"; package edge; import "buf/validate/validate.proto";\n`;
  writeFileSync(join(folder, "test.proto"), head + source);
  const { model } = await loadUnderTest(folder);
  const { diagnostics } = await compileValidators(model, [typeOf(model, "Message")], createPace());
  return diagnostics.map(formatDiagnostic);
}

test("types without rules within their reach get no validator, whatever else the model holds", async () => {
  const types = ["Free", "FreeTree"].map(name => typeOf(model, name));
  assert.deepEqual(await compileValidators(model, types, createPace()), {
    byType: new Map(),
    diagnostics: [],
  });
});

test("a type whose rules are only in types within gets a validator", async () => {
  const { byType } = await compileValidators(
    model,
    ["Outer", "Inner", "Free"].map(name => typeOf(model, name)),
    createPace(),
  );
  assert.deepEqual([...byType.keys()].map(type => type.name).sort(), ["Inner", "Outer"]);
});

test("every bearer of a rule that cannot be compiled is named, with its line", async t => {
  const source = `message Message {
  string mistyped = 1 [(buf.validate.field).int32.gt = 1];
  string unknown = 2 [(buf.validate.field).cel = {id: "a.b", expression: "shout(this) == ''"}];
  string broken = 3 [(buf.validate.field).cel = {id: "a.c", expression: "this == "}];
  string pattern = 4 [(buf.validate.field).string.pattern = "(?=a)"];
  string good = 5 [(buf.validate.field).string.min_len = 1];
  oneof one { string left = 6 [(buf.validate.field).cel_expression = "thiss == ''"]; string right = 7 [(buf.validate.field).cel_expression = "this.size()"]; }
  Within within = 8;
}
message Within {
  option (buf.validate.message).oneof = {fields: ["absent"]};
  string a = 1;
}`;
  const prefix = "error: a buf.validate rule cannot be used:";
  assert.deepEqual(await problems(t, source), [
    `test.proto:3: ${prefix} expected rule "string", got "int32" on field edge.Message.mistyped (at edge.Message.mistyped)`,
    `test.proto:4: ${prefix} unbound function: shout (at edge.Message.unknown)`,
    `test.proto:5: ${prefix} failed to compile a.c: syntax error: <input>:1:6: found = but expecting end of input (at edge.Message.broken)`,
    `test.proto:6: ${prefix} error parsing regexp: invalid or unsupported Perl syntax: \`(?=\` (at edge.Message.pattern)`,
    `test.proto:8: ${prefix} unresolved attribute (at edge.Message.left)`,
    `test.proto:8: ${prefix} expression this.size() outputs bigint, wanted either bool or string (at edge.Message.right)`,
    `test.proto:11: ${prefix} field "absent" not found in message edge.Within (at edge.Within)`,
  ]);
});

test("a rule that fails only on some values is a warning", async t => {
  const source = `message Message {
  int32 size = 1 [(buf.validate.field).cel = {id: "a.b", message: "odd", expression: "10 / (this - 1) > 0"}];
}`;
  assert.deepEqual(await problems(t, source), [
    "test.proto:3: warning: a buf.validate rule fails on a sample value, and gives status 500 where it does on a request: int divide by zero (at edge.Message.size)",
  ]);
});

test("a rule that fails while it is evaluated never lets a message pass", async () => {
  const validate = await validatorOf("Fragile");
  assert.deepEqual(validate({ divisor: 9 }), []);
  assert.throws(() => validate({ divisor: 7 }), /^Error: a rule of edge.Fragile failed: int divide by zero$/);
});

test("at most a hundred violations are named, and of a large message the first alone", async () => {
  const validate = await validatorOf("Lists");
  const people = (count: number): unknown => ({ tags: ["a"], people: Array(count).fill({}) });
  assert.equal(validate(people(500)).length, 100);
  assert.deepEqual(
    validate(people(50_000)).map(({ field }) => field),
    ["people[0].login"],
  );
});

test("long map keys are shortened in the path of a violation", async () => {
  const validate = await validatorOf("Lists");
  const [violation] = validate({ tags: ["a"], counts: { ["k".repeat(2000)]: 0 } });
  assert.equal(violation?.field.length, 512);
  assert.match(violation?.field ?? "", /^counts\["k+\.\.\.$/);
});

test("messages as deep as the gateway reads are validated to their leaves", async () => {
  const validate = await validatorOf("Tree");
  let tree: unknown = {};
  for (let level = 0; level < 900; level++) tree = { name: "a", twin: tree };
  const [violation, ...others] = validate(tree);
  assert.equal(violation?.description, "must be at least 1 characters");
  assert.deepEqual(others, []);
});

test("failures are counted by method", async () => {
  const registry = new Registry();
  const metrics = new ValidationMetrics(registry);
  const type = typeOf(model, "Required");
  const validate = (await compileValidators(model, [type], createPace())).byType.get(type)!;
  const counted = metrics.counted(validate, "edge.Rooms", "Join");
  assert.equal(counted(encode(type, {})).length, 3);
  assert.deepEqual(counted(encode(type, { room: "a", person: { login: "b" }, tags: ["c"] })), []);
  assert.equal(
    await registry.metrics(),
    `# HELP protogate_validation_failures_total Requests that broke the rules that their messages declare.
# TYPE protogate_validation_failures_total counter
protogate_validation_failures_total{grpc_service="edge.Rooms",grpc_method="Join"} 1
`,
  );
});
