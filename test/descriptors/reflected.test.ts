import assert from "node:assert/strict";
import { join } from "node:path";
import { describe, it, type TestContext } from "node:test";
import { fileURLToPath } from "node:url";
import { loadSync } from "@grpc/proto-loader";
import { decodeFile, decodeSet, encodeFile, encodeSet } from "../../src/descriptors/descriptor-codec.js";
import { type DescriptorInput, loadModel } from "../../src/descriptors/load/load.js";
import { type Files, folderOf, loadProtos, problems } from "./workspace.js";

const BUNDLE = fileURLToPath(new URL("../../protos", import.meta.url));

const SHOP = {
  "common/money.proto": 'syntax = "proto3"; package common; message Money { int64 units = 1; }',
  "shop/v1/item.proto": `syntax = "proto3"; package shop.v1;
    import "google/protobuf/timestamp.proto"; import "common/money.proto";
    message Item {
      message Part { enum Size { SIZE_UNSPECIFIED = 0; LARGE = 1; } Size size = 1; }
      repeated Part parts = 1;
      map<string, Part> by_name = 2;
      google.protobuf.Timestamp made_at = 3;
      common.Money price = 4;
      oneof kind { string text = 5; Part part = 6; }
      optional int32 count = 7;
    }`,
  "main.proto": `syntax = "proto3"; package shop.v1;
    import "google/api/annotations.proto"; import "google/protobuf/empty.proto";
    import "google/protobuf/field_mask.proto"; import "shop/v1/item.proto";
    message GetRequest { string id = 1; google.protobuf.FieldMask mask = 2; }
    service Shop {
      rpc Get(GetRequest) returns (Item) { option (google.api.http) = { get: "/v1/{id}" }; }
      rpc Delete(GetRequest) returns (google.protobuf.Empty);
    }`,
};

/** What the usual Node stack reflects of a `main.proto`: descriptors that @grpc/proto-loader has rebuilt. */
function rebuilt(t: TestContext, files: Files): Uint8Array[] {
  const folder = folderOf(t, files);
  const definitions = loadSync("main.proto", { includeDirs: [folder, BUNDLE], keepCase: true });
  for (const definition of Object.values(definitions))
    if (Array.isArray(definition.fileDescriptorProtos)) return definition.fileDescriptorProtos;
  throw new Error("no descriptors");
}

function reflection(origin: string, files: readonly Uint8Array[]): DescriptorInput {
  return { kind: "files", origin, files };
}

const SHOP_WARNING =
  'backend: warning: "shop_v1.proto" does not import the files that define google.protobuf.FieldMask, google.protobuf.Timestamp, common.Money and 1 more; the definitions known by these names are used';

describe("descriptors that a server has rebuilt", () => {
  it("descriptors that a server has rebuilt load with one warning a file, whatever they leave out", async t => {
    const input = reflection("backend", rebuilt(t, SHOP));
    assert.deepEqual(await problems("<none>", () => loadModel([input])), [SHOP_WARNING]);
    const { model } = await loadModel([input]);
    const fields = model.message("shop.v1.Item")!.fields.map(field => {
      const type = field.map?.value.message ?? field.message;
      return [field.name, field.kind, type?.fullName, field.presence, field.oneof?.name];
    });
    assert.deepEqual(fields, [
      ["parts", "message", "shop.v1.Item.Part", "implicit", undefined],
      ["by_name", "message", "shop.v1.Item.Part", "implicit", undefined],
      ["made_at", "message", "google.protobuf.Timestamp", "explicit", undefined],
      ["price", "message", "common.Money", "explicit", undefined],
      ["text", "string", undefined, "explicit", "kind"],
      ["part", "message", "shop.v1.Item.Part", "explicit", "kind"],
      ["count", "int32", undefined, "explicit", undefined],
    ]);
    assert.deepEqual(
      model.message("shop.v1.Item")?.oneofs.map(({ name }) => name),
      ["kind"],
    );
    const methods = model.services.get("shop.v1.Shop")?.methods.map(({ output }) => output.fullName);
    assert.deepEqual(methods, ["shop.v1.Item", "google.protobuf.Empty"]);
  });

  it("descriptors that a server has rebuilt leave the bundled definitions as they are", async t => {
    const { model } = await loadModel([reflection("backend", rebuilt(t, SHOP))]);
    const fileOf = (name: string) => model.message(name)?.file.name;
    assert.equal(fileOf("google.protobuf.FeatureSet"), "google/protobuf/descriptor.proto");
    assert.equal(fileOf("google.protobuf.Timestamp"), "google/protobuf/timestamp.proto");
    assert.equal(fileOf("google.api.HttpRule"), "google/api/http.proto");
    assert.equal(model.extension("google.protobuf.MethodOptions", 72295728)?.fullName, "google.api.http");
    assert.equal(model.files.has("google_protobuf.proto"), false);
  });

  it("descriptors that a server has rebuilt are exported with the imports that they lacked", async t => {
    const { model } = await loadModel([reflection("backend", rebuilt(t, SHOP))]);
    const folder = folderOf(t, { "set.binpb": model.descriptorSet() });
    const again = await loadModel([{ kind: "set", file: join(folder, "set.binpb") }]);
    assert.deepEqual(again.diagnostics, []);
    assert.deepEqual([...(again.model.files.get("shop_v1.proto")?.dependencies ?? [])].sort(), [
      "common.proto",
      "google/protobuf/empty.proto",
      "google/protobuf/field_mask.proto",
      "google/protobuf/timestamp.proto",
    ]);
  });

  it("descriptors that a server has rebuilt are refused in a descriptor set, which is where they came from and not in the bundle", async t => {
    const folder = folderOf(t, { "set.binpb": encodeSet(rebuilt(t, SHOP)) });
    const found = await problems(folder, () => loadModel([{ kind: "set", file: join(folder, "set.binpb") }]));
    assert.ok(found.length > 0);
    for (const line of found) assert.match(line, /^set\.binpb: error: /);
  });

  it("rebuilt descriptors of two servers may have files of one name with different types", async t => {
    const other = { "main.proto": 'syntax = "proto3"; package shop.v1; message Stock { Stock next = 1; }' };
    const { model } = await loadModel([
      reflection("one", rebuilt(t, SHOP)),
      reflection("two", rebuilt(t, other)),
      reflection("three", rebuilt(t, SHOP)),
    ]);
    assert.equal(model.message("shop.v1.Stock")?.file.name, "2/shop_v1.proto");
    assert.equal(model.message("shop.v1.Item")?.file.name, "shop_v1.proto");
    assert.equal(model.files.has("3/shop_v1.proto"), false);
  });

  it("rebuilt descriptors of two servers that differ in a type are an error naming both", async t => {
    const other = {
      ...SHOP,
      "common/money.proto": SHOP["common/money.proto"].replace("int64 units", "string units"),
    };
    const inputs = [reflection("one", rebuilt(t, SHOP)), reflection("two", rebuilt(t, other))];
    const found = await problems("<none>", () => loadModel(inputs));
    assert.deepEqual(
      found.filter(line => line.includes("error")),
      [
        'two: error: message "common.Money" in "common.proto" of two differs from the one in "common.proto" of one (at common.Money)',
      ],
    );
  });

  it("descriptors that a server has rebuilt agree with the whole ones of another server as far as messages go", async t => {
    const { model: whole } = await loadProtos(t, SHOP);
    const files = decodeSet(whole.descriptorSet()).filter(file => decodeFile(file).name !== "main.proto");
    for (const inputs of [
      [reflection("one", rebuilt(t, SHOP)), reflection("two", files)],
      [reflection("two", files), reflection("one", rebuilt(t, SHOP))],
    ]) {
      const { model } = await loadModel(inputs);
      assert.equal(model.message("shop.v1.Item")?.fieldsByName.get("by_name")?.map?.value.kind, "message");
    }
  });

  it("descriptors that a server has rebuilt whose types use each other across packages load, and are exported without a circle", async t => {
    const files = {
      "main.proto": `syntax = "proto3"; package a; import "b.proto"; import "leaf.proto"; message A { b.B b = 1; }`,
      "b.proto": 'syntax = "proto3"; package b; import "leaf.proto"; message B { a.Leaf leaf = 1; }',
      "leaf.proto": 'syntax = "proto3"; package a; message Leaf {}',
    };
    const { model } = await loadModel([reflection("backend", rebuilt(t, files))]);
    const folder = folderOf(t, { "set.binpb": model.descriptorSet() });
    const again = (await loadModel([{ kind: "set", file: join(folder, "set.binpb") }])).model;
    assert.equal(again.message("b.B")?.fields[0]?.message?.fullName, "a.Leaf");
    assert.equal(again.message("a.A")?.fields[0]?.message?.fullName, "b.B");
  });
});

describe("reflected files", () => {
  const fileOf = async (t: TestContext, files: Files, name: string) => {
    const { model } = await loadProtos(t, files);
    const found = decodeSet(model.descriptorSet())
      .map(decodeFile)
      .find(file => file.name === name);
    assert.ok(found);
    return found;
  };

  it("reflected files take an unqualified type from their own server before that of another", async t => {
    const file = await fileOf(
      t,
      { "a.proto": 'syntax = "proto3"; package x.y; message Use { Used used = 1; } message Used {}' },
      "a.proto",
    );
    const used = file.messageType.pop()!;
    file.messageType[0]!.field[0]!.typeName = "Used";
    const top = encodeFile({ ...file, name: "top.proto", package: "x", messageType: [used] });
    const near = encodeFile({ ...file, name: "near.proto", messageType: [used] });
    const inputs = [reflection("other", [near]), reflection("own", [encodeFile(file), top])];
    const { model } = await loadModel(inputs);
    assert.equal(model.message("x.y.Use")?.fields[0]?.message?.fullName, "x.Used");
  });

  it("reflected files may bring what the bundled copy of a package lacks, and only that", async t => {
    const http =
      'syntax = "proto3"; package google.api; message HttpRule {} message Newer { HttpRule rule = 1; }';
    const use =
      'syntax = "proto3"; package t; import "google/api/http.proto"; message M { google.api.Newer n = 1; }';
    const { model: strict } = await loadProtos(t, { "google/api/http.proto": http, "m.proto": use });
    const files = decodeSet(strict.descriptorSet());
    const { model, diagnostics } = await loadModel([reflection("backend", files)]);
    assert.deepEqual(diagnostics, []);
    assert.equal(model.message("t.M")?.fields[0]?.message?.file.name, "2/google/api/http.proto");
    assert.ok(model.message("google.api.HttpRule")?.fieldsByName.has("get"));
    const again = await loadModel([reflection("export", decodeSet(model.descriptorSet()))]);
    assert.deepEqual(again.diagnostics, []);
    assert.ok(again.model.message("google.api.Newer"));
  });

  it("reflected files with types that nothing defines are an error", async t => {
    const file = await fileOf(
      t,
      { "a.proto": 'syntax = "proto3"; package t; message A { A a = 1; A b = 2; }' },
      "a.proto",
    );
    file.messageType[0]!.field[0]!.typeName = "Missing";
    file.messageType[0]!.field[1]!.typeName = ".t.Missing";
    assert.deepEqual(await problems("<none>", () => loadModel([reflection("backend", [encodeFile(file)])])), [
      'backend: error: unknown type "Missing", expected a message or an enum (at t.A.a)',
      'backend: error: unknown type ".t.Missing", expected a message or an enum (at t.A.b)',
    ]);
  });
});
