import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { loadModel } from "../../src/descriptors/load/load.js";
import { countBlocks, type Task } from "./block-counts.js";
import { type Files, folderOf } from "./workspace.js";

/** More than the steps of a turn, of which the smallest count for half a unit. */
const members = 3_000;
const unitsPerTurn = 500;
/** What one step may take: more than a turn's room means that something is done in one piece. */
const maxStep = 1_000;

const lines = (line: (index: number) => string) => Array.from({ length: members }, (_, index) => line(index));

/** Methods with rules, and members of one message and one enum, each in one file. */
const files: Files = {
  "methods.proto": `syntax = "proto3"; package p; import "google/api/annotations.proto"; import "wide.proto";
service S {
${lines(at => `// Gets ${at}.\nrpc Get${at}(A) returns (A) { option (google.api.http) = { get: "/v1/m${at}/{id}" }; }`).join("\n")}
}
message A { string id = 1; }
`,
  "wide.proto": `syntax = "proto3"; package p;
// Wide.
message W {
${lines(at => `${["string", "int64", "repeated W", "optional bool"][at % 4]} field_${at} = ${at + 1} [deprecated = true];`).join("\n")}
}
enum E {
${lines(at => `VALUE_${at} = ${at};`).join("\n")}
}
`,
  "messages.proto": `syntax = "proto2"; package q;
${lines(at => `message M${at} { optional M${(at * 7) % members} next = 1; oneof one { string a = 2; string b = 3; } }`).join("\n")}
`,
  // One option of many values each: a list, messages, packed numbers, and an option that is set again and again.
  "options.proto": `syntax = "proto3"; package o; import "google/protobuf/descriptor.proto";
extend google.protobuf.MessageOptions { L l = 50001; repeated string s = 50002; }
message L { repeated string s = 1; repeated L l = 2; repeated int32 n = 3; }
message Listed { option (l) = { s: [${lines(at => `"${at}"`).join(", ")}] }; }
message Numbered { option (l) = { n: [${lines(String).join(", ")}] }; }
message Nested { option (l) = { ${lines(at => `l { s: "${at}" }`).join(" ")} }; }
message Repeated { ${lines(at => `option (s) = "${at}";`).join("\n")} }
`,
};

async function inputsOf(t: TestContext): Promise<ReadonlyMap<string, Task["inputs"]>> {
  const folder = folderOf(t, files);
  const protos = { kind: "protos", folder, include: [] } as const;
  const { model } = await loadModel([protos]);
  assert.equal(model.services.get("p.S")?.methods.length, members);
  const set = `${folderOf(t, { "set.binpb": model.descriptorSet() })}/set.binpb`;
  return new Map<string, Task["inputs"]>([
    ["files", [protos]],
    ["a set", [{ kind: "set", file: set }]],
    ["reflection", [{ kind: "reflected", set }]],
    ["files that reflection repeats", [protos, { kind: "reflected", set }]],
  ]);
}

test("no turn of the event loop loads more than its share, whatever the descriptors come from", async t => {
  for (const [name, inputs] of await inputsOf(t)) {
    const counts = await countBlocks({ inputs, count: "loading", unitsPerTurn });
    assert.equal(counts.failed, false);
    assert.ok(counts.turns > 100, `${name}: ${counts.turns} turns`);
    assert.ok(counts.maxStep <= maxStep, `${name}: a step of ${counts.maxStep} units`);
    assert.ok(counts.maxUnits < unitsPerTurn + maxStep, `${name}: a turn of ${counts.maxUnits} units`);
    // A loop over all members that is done in one turn runs some block once for each of them.
    assert.ok(counts.most.count < members, `${name}: ${counts.most.count} times ${counts.most.where}`);
  }
});

test("descriptors that loading has linked are not linked in one piece at their first use", async t => {
  const folder = folderOf(t, files);
  const { most, asked } = await countBlocks({
    inputs: [{ kind: "protos", folder, include: [] }],
    count: "asking",
    unitsPerTurn,
  });
  assert.deepEqual(asked, { names: 2 * members, numbers: members, line: 4 });
  assert.ok(most.count < members, `${most.count} times ${most.where}`);
});

test("errors in large files are located and get suggestions without a long turn", async t => {
  const wrong = lines(at => `message M${at} { optional N${at} next = 1; }`).join("\n");
  const folder = folderOf(t, { ...files, "wrong.proto": `syntax = "proto2"; package r;\n${wrong}` });
  const { failed, most } = await countBlocks({
    inputs: [{ kind: "protos", folder, include: [] }],
    count: "loading",
    unitsPerTurn,
  });
  assert.equal(failed, true);
  assert.ok(most.count < members, `${most.count} times ${most.where}`);
});
