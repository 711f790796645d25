import assert from "node:assert/strict";
import { join } from "node:path";
import { before, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { decodeSet } from "../../src/descriptors/descriptor-codec.js";
import { bundledNames } from "../../src/descriptors/load/files.js";
import { type DescriptorInput, loadModel } from "../../src/descriptors/load/load.js";
import type { Model } from "../../src/descriptors/model.js";
import { protocSkipped, setOf } from "../descriptor-source.js";
import { folderOf, loadProtos, problemsOf } from "./workspace.js";

const FOLDER = fileURLToPath(new URL("corners", import.meta.url));
const TEXT = { kind: "protos", folder: FOLDER, include: [] } as const;
/** Made from that folder by a release of protoc that strips what holds for sources only. */
const SET = { kind: "set", file: `${FOLDER}.binpb` } as const;

describe("corners that protoc has its own way with", () => {
  let text: Model;
  let set: Model;

  before(async () => {
    ({ model: text } = await loadModel([TEXT]));
    ({ model: set } = await loadModel([SET]));
  });

  it("a .proto file and the set that protoc made of it are no conflict", async () => {
    for (const inputs of [
      [TEXT, SET],
      [SET, TEXT],
    ])
      assert.deepEqual((await loadModel(inputs)).diagnostics, []);
  });

  it("default values of float and double are spelled as protoc spells them", () => {
    const defaults = (model: Model) =>
      model.message("two.M")!.fields.map(({ name, defaultText }) => [name, defaultText]);
    assert.deepEqual(defaults(text), defaults(set));
    assert.deepEqual(defaults(text)[0], ["f", "1234.12341"]);
  });

  it("an option of proto2 whose text is not UTF-8 is kept", () => {
    for (const model of [text, set]) {
      const { bytes } = model.message("two.M")!.fieldsByName.get("rr")!.options;
      assert.deepEqual([...bytes.slice(-2)], [0xff, 0xfe]);
    }
  });

  it("a string default of proto2 that is not UTF-8 keeps its bytes from files, sets and reflection", async t => {
    const source = (text: string) => ({
      "test.proto": `syntax = "proto2"; package t; message M { optional string s = 1 [default = "${text}"]; }`,
    });
    const bytes = Buffer.from("a\xffz\xc3", "latin1");
    const folder = folderOf(t, source("a\\xffz\\303"));
    const protos: DescriptorInput = { kind: "protos", folder, include: [] };
    const { model } = await loadModel([protos]);
    const set = model.descriptorSet();
    assert.ok(Buffer.from(set).includes(bytes));
    const file = join(folderOf(t, { "set.binpb": set }), "set.binpb");
    const files = decodeSet(set);
    const inputs: DescriptorInput[] = [
      { kind: "set", file },
      { kind: "files", origin: "reflection", files },
    ];
    for (const input of inputs) {
      const found = await loadModel([input]);
      assert.equal(found.model.message("t.M")?.fields[0]?.defaultText, "a\ufffdz\ufffd");
      assert.ok(Buffer.from(found.model.descriptorSet()).includes(bytes));
      assert.deepEqual((await loadModel([protos, input])).diagnostics, []);
    }
    const other = folderOf(t, source("a\\xfez\\303"));
    await assert.rejects(
      loadModel([
        { kind: "protos", folder: other, include: [] },
        { kind: "set", file },
      ]),
    );
  });

  it("option values that hold for sources only, or are defaults without presence, are left out", () => {
    for (const model of [text, set]) {
      const options = (type: string, field: string) => model.message(type)!.fieldsByName.get(field)!.options;
      assert.equal(options("two.M", "s").get("two.gone"), undefined);
      assert.equal(options("two.M", "s").get("two.num"), 0);
      assert.deepEqual(Object.entries(options("three.M", "a").get("three.rule")!), [
        ["r", Object.create(null)],
        ["ns", [0, 1]],
        ["m", Object.assign(Object.create(null), { a: 0 })],
        ["kk", 0],
        ["oi", 0],
      ]);
    }
  });

  it("the utf8_validation of a map holds for its keys and values", () => {
    for (const model of [text, set]) {
      const utf8 = (name: string) => {
        const map = model.message("ed.M")!.fieldsByName.get(name)!.map!;
        return [map.key.utf8, map.value.utf8];
      };
      assert.deepEqual(utf8("m"), [false, false]);
      assert.deepEqual(utf8("o"), [false, true]);
    }
  });

  it("extensions of a message set have numbers up to 2147483646", async t => {
    for (const model of [text, set])
      assert.equal(model.extension("two.Set", 600_000_000)?.fullName, "two.Ext.e");
    const found = await problemsOf(t, {
      "a.proto":
        'syntax = "proto2"; message M { extensions 4 to max; } extend M { optional int32 e = 600000000; }',
    });
    assert.deepEqual(found, [
      'a.proto:1:66: error: "M" does not declare 600000000 as an extension number (at e)',
    ]);
  });

  it("descriptors of corner cases agree with the protoc that is installed", {
    skip: protocSkipped,
  }, async t => {
    for (const name of ["two.proto", "three.proto"]) {
      const file = setOf(t, FOLDER, name);
      assert.deepEqual((await loadModel([TEXT, { kind: "set", file }])).diagnostics, [], name);
    }
  });
});

it("every bundled file can be imported, also by the paths that Go modules use", async t => {
  const wanted = [
    ...bundledNames(),
    "github.com/gogo/protobuf/gogoproto/gogo.proto",
    "github.com/envoyproxy/protoc-gen-validate/validate/validate.proto",
  ];
  for (const name of [
    "google/protobuf/go_features.proto",
    "google/protobuf/java_features.proto",
    "google/protobuf/cpp_features.proto",
    "google/protobuf/compiler/plugin.proto",
    "google/api/visibility.proto",
    "google/api/service.proto",
    "google/longrunning/operations.proto",
    "protoc-gen-openapiv2/options/annotations.proto",
    "protoc-gen-swagger/options/annotations.proto",
    "validate/validate.proto",
    "gogoproto/gogo.proto",
  ])
    assert.ok(wanted.includes(name), name);
  const imports = wanted.map(name => `import "${name}";`).join("\n");
  const source = `syntax = "proto3"; package t;\n${imports}
    message M { string s = 1 [(gogoproto.nullable) = false, (validate.rules).string.min_len = 1]; }`;
  const { model, diagnostics } = await loadProtos(t, { "t.proto": source });
  assert.deepEqual(diagnostics, []);
  assert.equal(model.message("t.M")!.fields[0]!.options.get("gogoproto.nullable"), false);
});
