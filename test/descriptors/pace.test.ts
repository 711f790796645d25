import assert from "node:assert/strict";
import { Session } from "node:inspector";
import { type TestContext, test } from "node:test";
import { decodeSet } from "../../src/descriptors/descriptor-proto.js";
import { type DescriptorInput, loadModel } from "../../src/descriptors/load/load.js";
import type { Pace } from "../../src/net/pace.js";
import { type Files, folderOf } from "./workspace.js";

const members = 5_000;
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
${lines(at => `${["string", "int64", "repeated W", "optional bool"][at % 4]} field_${at} = ${at < 15_000 ? at + 1 : at + 5_000} [deprecated = true];`).join("\n")}
}
enum E {
${lines(at => `VALUE_${at} = ${at};`).join("\n")}
}
`,
  "messages.proto": `syntax = "proto2"; package q;
${lines(at => `message M${at} { optional M${(at * 7) % members} next = 1; oneof one { string a = 2; string b = 3; } }`).join("\n")}
`,
};

/** Counts by turn how often each block of the code was run. */
class CountingPace implements Pace {
  readonly #session = new Session();
  readonly #scripts: RegExp;
  turns = 0;
  maxUnits = 0;
  maxStep = 0;
  /** The most runs of one block in one turn, and where that is. */
  most = { count: 0, where: "" };
  #units = 0;

  constructor(scripts: RegExp) {
    this.#scripts = scripts;
    this.#session.connect();
    this.#session.post("Profiler.enable");
    this.#session.post("Profiler.startPreciseCoverage", { callCount: true, detailed: true });
  }

  spent(units: number): boolean {
    this.#units += units;
    this.maxStep = Math.max(this.maxStep, units);
    return this.#units >= unitsPerTurn;
  }

  async nextTurn(): Promise<void> {
    this.turns++;
    this.maxUnits = Math.max(this.maxUnits, this.#units);
    this.#units = 0;
    this.#session.post("Profiler.takePreciseCoverage", (_, { result }) => {
      for (const { url, functions } of result) {
        if (!this.#scripts.test(url)) continue;
        for (const { functionName, ranges } of functions)
          for (const { count, startOffset } of ranges)
            if (count > this.most.count)
              this.most = { count, where: `${url}: ${functionName} ${startOffset}` };
      }
    });
  }

  /** Takes the rest of the work as one more turn. */
  async end(): Promise<void> {
    await this.nextTurn();
    this.#session.disconnect();
  }
}

async function inputsOf(t: TestContext): Promise<ReadonlyMap<string, readonly DescriptorInput[]>> {
  const folder = folderOf(t, files);
  const protos: DescriptorInput = { kind: "protos", folder, include: [] };
  const { model } = await loadModel([protos]);
  const set = model.descriptorSet();
  const file = `${folderOf(t, { "set.binpb": set })}/set.binpb`;
  const reflected: DescriptorInput = { kind: "files", origin: "backend", files: decodeSet(set) };
  return new Map([
    ["files", [protos]],
    ["a set", [{ kind: "set", file }]],
    ["reflection", [reflected]],
    ["files that reflection repeats", [protos, reflected]],
  ]);
}

async function load(inputs: readonly DescriptorInput[]): Promise<CountingPace> {
  const pace = new CountingPace(/\/src\/(?:descriptors|wire|net)\//);
  const { model } = await loadModel(inputs, pace);
  assert.equal(model.services.get("p.S")?.methods.length, members);
  await pace.end();
  return pace;
}

/** V8 counts for one observer only. */
const skip = process.env.NODE_V8_COVERAGE !== undefined && "coverage is counted; needs a run without";

test("no turn of the event loop loads more than its share, whatever the descriptors come from", {
  skip,
}, async t => {
  for (const [name, inputs] of await inputsOf(t)) {
    let pace = await load(inputs);
    // V8 now and then counts runs of an earlier turn again; a loop in one piece is found every time.
    for (let again = 0; again < 2 && pace.most.count >= members; again++) pace = await load(inputs);
    assert.ok(pace.turns > 100, `${name}: ${pace.turns} turns`);
    assert.ok(pace.maxStep <= maxStep, `${name}: a step of ${pace.maxStep} units`);
    assert.ok(pace.maxUnits < unitsPerTurn + maxStep, `${name}: a turn of ${pace.maxUnits} units`);
    // A loop over all members that is done in one turn runs some block once for each of them.
    assert.ok(pace.most.count < members, `${name}: ${pace.most.count} times ${pace.most.where}`);
  }
});

test("what loading has linked is not linked in one piece when it is first asked for", async t => {
  const { model } = await loadModel([{ kind: "protos", folder: folderOf(t, files), include: [] }]);
  const pace = new CountingPace(/\/src\/descriptors\//);
  assert.equal(model.message("p.W")?.fieldsByName.size, 2 * members);
  assert.equal(model.enum("p.E")?.valuesByNumber.size, members);
  assert.equal(model.services.get("p.S")?.methods[0]?.line, 4);
  await pace.end();
  assert.ok(pace.most.count < members, `${pace.most.count} times ${pace.most.where}`);
});

test("errors in large files are located and get suggestions without a long turn", async t => {
  const wrong = lines(at => `message M${at} { optional N${at} next = 1; }`).join("\n");
  const folder = folderOf(t, { ...files, "wrong.proto": `syntax = "proto2"; package r;\n${wrong}` });
  const pace = new CountingPace(/\/src\/descriptors\//);
  await assert.rejects(loadModel([{ kind: "protos", folder, include: [] }], pace));
  await pace.end();
  assert.ok(pace.most.count < members, `${pace.most.count} times ${pace.most.where}`);
});
