import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it, type TestContext } from "node:test";
import { decodeFile, decodeSet, encodeFile } from "../../src/descriptors/descriptor-codec.js";
import { type DescriptorInput, loadModel } from "../../src/descriptors/load/load.js";
import { type Files, folderOf, loadProtos, problems, problemsOf } from "./workspace.js";

const A =
  'syntax = "proto3"; package t; message A { string name = 1; repeated A all = 2; } enum E { ZERO = 0; }';

function inputOf(t: TestContext, files: Files): DescriptorInput & { kind: "protos" } {
  return { kind: "protos", folder: folderOf(t, files), include: [] };
}

describe("several sources", () => {
  it("several sources may bring the same file, with other comments", async t => {
    const first = inputOf(t, { "a.proto": A });
    const second = inputOf(t, { "a.proto": `// Comment.\n${A.replaceAll(";", "; // note\n")}` });
    const { model, diagnostics } = await loadModel([first, second]);
    assert.deepEqual(diagnostics, []);
    assert.equal(model.files.get("a.proto")?.origin, join(first.folder, "a.proto"));
  });

  it("several sources may bring the same type under another path, once in the exported set", async t => {
    const first = inputOf(t, { "a.proto": A });
    const second = inputOf(t, {
      "copy/a.proto": A.replace(
        "package t;",
        "package t; message Before { A a = 1; }\n// About B.\nmessage B { A a = 1; }",
      ),
    });
    const { model } = await loadModel([first, second]);
    assert.equal(model.message("t.B")?.fields[0]?.message, model.message("t.A"));
    const file = join(first.folder, "set.binpb");
    writeFileSync(file, model.descriptorSet());
    const again = (await loadModel([{ kind: "set", file }])).model;
    assert.equal(again.message("t.B")?.comment, "About B.");
    assert.deepEqual(again.files.get("copy/a.proto")?.dependencies, ["a.proto"]);
  });

  it("several sources that differ in a type are an error naming both origins and the type", async t => {
    const folder = folderOf(t, { "one/a.proto": A, "two/b.proto": A.replace("string name", "bytes name") });
    const inputs = ["one", "two"].map(
      name => ({ kind: "protos", folder: join(folder, name), include: [] }) as const,
    );
    assert.deepEqual(await problems(folder, () => loadModel(inputs)), [
      'two/b.proto: error: message "t.A" in two/b.proto differs from the one in one/a.proto (at t.A)',
    ]);
  });

  it("several sources that differ in an option, a field number or a default are different", async t => {
    const source = (field: string) =>
      `syntax = "proto2"; package t; message A { optional int32 x = ${field}; }`;
    for (const other of ["1 [deprecated = true]", "2", "1 [default = 5]", '1 [json_name = "y"]']) {
      const inputs = [inputOf(t, { "a.proto": source("1") }), inputOf(t, { "b.proto": source(other) })];
      await assert.rejects(loadModel(inputs), /message "t\.A" in .* differs from the one in /, other);
    }
  });

  it("several sources may have different files of one path, each for its own imports", async t => {
    const service = (name: string) => ({
      "service.proto": `syntax = "proto3"; package ${name}; import "common.proto"; service S { rpc Get(M) returns (M); }`,
      "common.proto": `syntax = "proto3"; package ${name}; message M { string ${name} = 1; }`,
    });
    const inputs: DescriptorInput[] = [
      inputOf(t, service("a")),
      inputOf(t, service("b")),
      {
        kind: "files",
        origin: "reflection",
        files: decodeSet((await loadProtos(t, service("c"))).model.descriptorSet()),
      },
    ];
    const { model, diagnostics } = await loadModel(inputs);
    assert.deepEqual(diagnostics, []);
    const folder = folderOf(t, { "set.binpb": model.descriptorSet() });
    const again = await loadModel([{ kind: "set", file: join(folder, "set.binpb") }]);
    assert.deepEqual(again.diagnostics, []);
    for (const each of [model, again.model]) {
      for (const name of ["a", "b", "c"])
        assert.equal(each.services.get(`${name}.S`)?.methods[0]?.input.fields[0]?.name, name);
      const names = [...each.files.keys()].filter(name => !name.startsWith("google/"));
      assert.deepEqual(names.sort(), [
        "2/common.proto",
        "2/service.proto",
        "3/common.proto",
        "3/service.proto",
        "common.proto",
        "service.proto",
      ]);
      assert.deepEqual(each.files.get("2/service.proto")?.dependencies, ["2/common.proto"]);
    }
  });

  it("several sources with files of one path may share a part of their types", async t => {
    const first = inputOf(t, { "a.proto": A });
    const second = inputOf(t, {
      "a.proto": A.replace("enum E { ZERO = 0; }", "message Other { A a = 1; }"),
    });
    const { model, diagnostics } = await loadModel([first, second]);
    assert.deepEqual(diagnostics, []);
    assert.ok(model.enum("t.E"));
    assert.equal(model.message("t.Other")?.fields[0]?.message, model.message("t.A"));
    const files = decodeSet(model.descriptorSet());
    const again = await loadModel([{ kind: "files", origin: "export", files }]);
    assert.deepEqual(again.diagnostics, []);
    assert.deepEqual(again.model.files.get("2/a.proto")?.dependencies, ["a.proto"]);
  });

  it("several sources that differ in a nested type are an error naming both, not an unknown type", async t => {
    const nested = A.replace("repeated A all = 2;", "message Inner {} Inner inner = 2;");
    const folder = folderOf(t, { "one/a.proto": A, "two/a.proto": nested });
    const inputs = ["one", "two"].map(
      name => ({ kind: "protos", folder: join(folder, name), include: [] }) as const,
    );
    assert.deepEqual(await problems(folder, () => loadModel(inputs)), [
      'two/a.proto: error: message "t.A" in two/a.proto differs from the one in one/a.proto (at t.A)',
    ]);
  });

  it("several sources may leave out JSON names that are the default", async t => {
    const { model } = await loadProtos(t, { "a.proto": A });
    const files = decodeSet(model.descriptorSet()).map(bytes => {
      const file = decodeFile(bytes);
      for (const { field } of file.messageType) for (const each of field) delete each.jsonName;
      return encodeFile(file);
    });
    const { diagnostics } = await loadModel([
      inputOf(t, { "a.proto": A }),
      { kind: "files", origin: "reflection", files },
    ]);
    assert.deepEqual(diagnostics, []);
  });

  it("several sources that define a name twice in one file are an error", async t => {
    const folder = folderOf(t, {
      "a.proto": 'syntax = "proto3"; package t; message A {} enum A { ZERO = 0; }',
    });
    assert.deepEqual(await problems(folder, () => loadModel([{ kind: "protos", folder, include: [] }])), [
      'a.proto: error: enum "t.A" is defined twice in a.proto (at t.A)',
    ]);
  });
});

describe("a copy of a bundled file", () => {
  const HTTP = `syntax = "proto3"; package google.api; message HttpRule { string get = 2; string body = 7; }`;
  const ANNOTATIONS = `syntax = "proto3"; package google.api; import "google/protobuf/descriptor.proto";
    extend google.protobuf.MethodOptions { HttpRule http = 72295728; }`;
  const SERVICE = `syntax = "proto3"; package t; message M {}
    service S { rpc Get(M) returns (M) { option (google.api.http) = { get: "/v1/m" }; } }`;

  const http = async (t: TestContext, files: Files) => {
    const { model, diagnostics } = await loadProtos(t, files);
    assert.deepEqual(diagnostics, []);
    const set = model.descriptorSet();
    const reloaded = await loadModel([{ kind: "files", origin: "export", files: decodeSet(set) }]);
    for (const each of [model, reloaded.model]) {
      const rule = each.services.get("t.S")?.methods[0]?.options.get("google.api.http");
      assert.equal(JSON.stringify(rule), '{"get":"/v1/m"}');
    }
    return model;
  };

  it("a copy of a bundled file under the same path wins, even where it is reduced", async t => {
    const model = await http(t, {
      "google/api/http.proto": HTTP,
      "google/api/annotations.proto": ANNOTATIONS.replace("import", 'import "google/api/http.proto"; import'),
      "s.proto": SERVICE.replace("message", 'import "google/api/annotations.proto"; message'),
    });
    assert.equal(model.message("google.api.HttpRule")?.fields.length, 2);
  });

  it("a copy of a bundled file under another path wins too", async t => {
    const model = await http(t, {
      "third_party/http.proto": HTTP,
      "third_party/annotations.proto": ANNOTATIONS.replace(
        "import",
        'import "third_party/http.proto"; import',
      ),
      "s.proto": SERVICE.replace("message", 'import "third_party/annotations.proto"; message'),
      "o.proto": 'syntax = "proto3"; package o; import "google/api/annotations.proto";',
    });
    assert.equal(model.message("google.api.HttpRule")?.file.name, "third_party/http.proto");
  });

  it("a copy of descriptor.proto from before editions gives way to the bundled one", async t => {
    const old = `syntax = "proto2"; package google.protobuf; message FileDescriptorSet {} message MethodOptions { extensions 1000 to max; }`;
    const { model } = await loadProtos(t, {
      "google/protobuf/descriptor.proto": old,
      "a.proto":
        'edition = "2023"; package t; option features.field_presence = IMPLICIT; message M { int32 x = 1; }',
    });
    assert.equal(model.message("t.M")?.fields[0]?.presence, "implicit");
  });

  it("a copy of a bundled file that lacks what another bundled file needs is where the error points", async t => {
    const old =
      'syntax = "proto2"; package google.protobuf; message FeatureSet {} message MethodOptions { extensions 1000 to max; }';
    const { model, diagnostics } = await loadProtos(t, {
      "third_party/descriptor.proto": old,
      "a.proto": 'syntax = "proto3"; package t; import "google/api/annotations.proto"; message M {}',
    });
    assert.deepEqual(diagnostics, []);
    assert.equal(model.message("google.protobuf.FeatureSet")?.file.name, "third_party/descriptor.proto");
    const older = await problemsOf(t, { "third_party/descriptor.proto": `${old} message FieldOptions {}` });
    assert.deepEqual(older, [
      'third_party/descriptor.proto: error: "third_party/descriptor.proto" lacks a message or an enum "FieldOptions.FeatureSupport", which "google/protobuf/descriptor.proto" needs: the copy is too old or incomplete (at google.protobuf.EnumValueOptions.feature_support)',
    ]);
    const found = await problemsOf(t, {
      "google/protobuf/any.proto": 'syntax = "proto3"; package google.protobuf; message NotAny {}',
    });
    assert.equal(found.length, 3);
    for (const line of found)
      assert.match(line, /^google\/protobuf\/any\.proto: error: "google\/protobuf\/any\.proto" lacks .*Any"/);
  });

  it("a copy of a bundled file may differ between two sources", async t => {
    const first = inputOf(t, {
      "google/type/money.proto": 'syntax = "proto3"; package google.type; message Money { int64 units = 2; }',
    });
    const second = inputOf(t, {
      "google/type/money.proto":
        'syntax = "proto3"; package google.type; message Money { string currency_code = 1; } message More {}',
    });
    const { model } = await loadModel([first, second]);
    assert.ok(model.message("google.type.More"));
  });
});

describe("the bundle", () => {
  it("the bundle of descriptors is in every model as far as errors and well-known types need it", async () => {
    const { model } = await loadModel([]);
    for (const name of [
      "google.rpc.BadRequest",
      "google.rpc.Status",
      "google.api.HttpBody",
      "google.protobuf.Any",
      "google.protobuf.DoubleValue",
    ]) {
      assert.ok(model.message(name), name);
    }
    assert.equal(model.message("google.type.Money"), undefined);
  });

  it("the bundle of descriptors can be imported whole", async t => {
    const names =
      "google/api/annotations google/api/client google/api/field_behavior google/api/field_info google/api/resource google/rpc/code google/type/date google/type/datetime google/type/expr trpc/api/annotations grpc/reflection/v1/reflection grpc/reflection/v1alpha/reflection grpc/health/v1/health".split(
        " ",
      );
    const imports = names.map(name => `import "${name}.proto";`).join(" ");
    const { model, diagnostics } = await loadProtos(t, {
      "a.proto": `syntax = "proto3"; package t; ${imports}`,
    });
    assert.deepEqual(diagnostics, []);
    assert.ok(model.services.has("grpc.reflection.v1.ServerReflection"));
    assert.ok(model.services.has("grpc.reflection.v1alpha.ServerReflection"));
    assert.ok(model.services.has("grpc.health.v1.Health"));
    assert.equal(model.extensionByName("trpc.api.http")?.number, 50201);
    assert.equal(model.extensionByName("google.api.http")?.number, 72295728);
    const rule = (name: string) => model.message(name)!.fields.map(field => `${field.number} ${field.name}`);
    assert.deepEqual(rule("trpc.api.HttpRule").sort(), rule("google.api.HttpRule").sort());
  });
});

describe("a descriptor set", () => {
  const load = (t: TestContext, bytes: Uint8Array) => {
    const folder = folderOf(t, { "api.binpb": bytes });
    return problems(folder, () => loadModel([{ kind: "set", file: join(folder, "api.binpb") }]));
  };

  it("bytes that are no descriptor set are an error", async t => {
    const expected = ["api.binpb: error: the file is not a serialized google.protobuf.FileDescriptorSet"];
    assert.deepEqual(await load(t, Buffer.from("syntax = proto3")), expected);
    assert.deepEqual(await load(t, Buffer.from([0x0a, 0x02, 0xff, 0xff])), [
      "api.binpb: error: entry 1 is not a serialized google.protobuf.FileDescriptorProto",
    ]);
    assert.deepEqual(await load(t, new Uint8Array()), [
      "api.binpb: warning: the descriptor set has no files",
    ]);
  });

  it("a descriptor set without its imports says which types are missing", async t => {
    const { model } = await loadProtos(t, {
      "a.proto": 'syntax = "proto3"; package t; import "b.proto"; message A { B b = 1; }',
      "b.proto": 'syntax = "proto3"; package t; message B {}',
    });
    const only = decodeSet(model.descriptorSet()).filter(
      file => Buffer.from(file).includes("b.proto\x12") === false,
    );
    const found = await problems("<none>", () =>
      loadModel([
        {
          kind: "files",
          origin: "reflection",
          files: only.filter(file => Buffer.from(file).includes("a.proto")),
        },
      ]),
    );
    assert.deepEqual(found, [
      'reflection: warning: "a.proto" imports "b.proto", which is in no descriptor source',
      'reflection: error: unknown type ".t.B", expected a message or an enum (at t.A.b); did you mean "t.A"?',
    ]);
  });

  it("a descriptor set with malformed options does not fail where they are read", async () => {
    const method = Buffer.concat([
      Buffer.from([0x0a, 1]),
      Buffer.from("G"),
      Buffer.from([0x12, 4]),
      Buffer.from(".t.M"),
      Buffer.from([0x1a, 4]),
      Buffer.from(".t.M"),
      Buffer.from([0x22, 2, 0xff, 0xff]),
    ]);
    const service = Buffer.concat([
      Buffer.from([0x0a, 1]),
      Buffer.from("S"),
      Buffer.from([0x12, method.length]),
      method,
    ]);
    const file = Buffer.concat([
      Buffer.from([0x0a, 1]),
      Buffer.from("f"),
      Buffer.from([0x12, 1]),
      Buffer.from("t"),
      Buffer.from([0x22, 3, 0x0a, 1]),
      Buffer.from("M"),
      Buffer.from([0x32, service.length]),
      service,
    ]);
    const found = await problems("<none>", () =>
      loadModel([{ kind: "files", origin: "reflection", files: [file] }]),
    );
    assert.deepEqual(found, ['reflection: error: the options of "t.S.G" are malformed (at t.S.G)']);
  });
});
