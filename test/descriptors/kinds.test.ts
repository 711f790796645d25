import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { before, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { decodeSet } from "../../src/descriptors/descriptor-codec.js";
import { loadModel } from "../../src/descriptors/load/load.js";
import type { Field, Model, OptionValue } from "../../src/descriptors/model.js";
import { dump } from "./dump.js";
import { folderOf } from "./workspace.js";

const FIXTURES = fileURLToPath(new URL("fixtures", import.meta.url));
/** Made by protoc from the files in `kinds`, with imports and source info. */
const PROTOC_SET = join(FIXTURES, "kinds.binpb");

const TYPES = [
  "kinds.Value",
  "kinds.Level",
  "kinds.Shape",
  "kinds.Shape.ChildrenEntry",
  "kinds.Shape.Inner",
  "kinds.Shape.Inner.Deep",
  "kinds.Shape.Kind",
  "kinds.Fields",
  "kinds.Legacy",
  "kinds.Legacy.Item",
  "kinds.Legacy.Item.Part",
  "kinds.Legacy.Old",
  "kinds.Legacy.again",
  "kinds.labels",
  "kinds.extra",
  "kinds.Extra",
  "kinds.Modern",
  "kinds.Open",
  "kinds.Closed",
  "kinds.Inherited",
  "kinds.Inherited.Nested",
  "kinds.more",
  "kinds.Holder.inner",
  "google.api.http",
  "google.protobuf.Timestamp",
];

describe("a model of every kind of element", () => {
  let fromText: Model;

  before(async () => {
    const { model, diagnostics } = await loadModel([{ kind: "protos", folder: FIXTURES, include: [] }]);
    assert.deepEqual(diagnostics, []);
    fromText = model;
  });

  it("a model of every kind of element is the same from text as from protoc's descriptor set", async () => {
    const { model, diagnostics } = await loadModel([{ kind: "set", file: PROTOC_SET }]);
    assert.deepEqual(diagnostics, []);
    assert.deepEqual(dump(fromText, TYPES), dump(model, TYPES));
  });

  it("a model of every kind of element gives a field that is looked up alone as its message has it", async () => {
    const shown = (field: Field | undefined) =>
      field && [
        ...[
          field.fullName,
          field.number,
          field.jsonName,
          field.kind,
          field.repeated,
          field.presence,
          field.packed,
        ],
        ...[field.delimited, field.oneof?.name, field.defaultText, field.comment, field.message?.fullName],
        ...[field.enum?.fullName, field.map?.value.kind, Buffer.from(field.options.bytes).toString("hex")],
      ];
    const { model } = await loadModel([{ kind: "set", file: PROTOC_SET }]);
    const { model: whole } = await loadModel([{ kind: "set", file: PROTOC_SET }]);
    for (const type of TYPES) {
      const expected = whole.message(type);
      const message = model.message(type);
      if (expected === undefined || message === undefined) continue;
      const names = [...expected.fieldsByName.keys(), "nothing", "n\u00e4me"];
      const alone = names.map(name => message.field(name));
      assert.deepEqual(
        alone.map(shown),
        names.map(name => shown(expected.fieldsByName.get(name))),
      );
      for (const [index, name] of names.entries())
        assert.equal(message.fieldsByName.get(name), alone[index], `${type}.${name}`);
    }
  });

  it("a model of every kind of element is the same once exported as a descriptor set and loaded again, comments and lines included", async t => {
    const folder = folderOf(t, {});
    const file = join(folder, "model.binpb");
    const bytes = fromText.descriptorSet();
    writeFileSync(file, bytes);
    const { model } = await loadModel([{ kind: "set", file }]);
    assert.deepEqual(dump(model, TYPES), dump(fromText, TYPES));
    assert.deepEqual(Buffer.from(model.descriptorSet()), Buffer.from(bytes));
  });

  it("a model of every kind of element is the same from serialized files in any order, as reflection gives them", async () => {
    const files = decodeSet(fromText.descriptorSet()).reverse();
    const { model, diagnostics } = await loadModel([{ kind: "files", origin: "reflection", files }]);
    assert.deepEqual(diagnostics, []);
    // Reflected copies of bundled files give way to those.
    const names = TYPES.filter(name => name.startsWith("kinds."));
    const [reflected, expected] = [dump(model, names), dump(fromText, names)];
    assert.deepEqual(reflected.types, expected.types);
    assert.deepEqual(reflected.services, expected.services);
  });

  it("a model of every kind of element accepts text and protoc's set side by side, since they say the same", async () => {
    const { diagnostics } = await loadModel([
      { kind: "protos", folder: FIXTURES, include: [] },
      { kind: "set", file: PROTOC_SET },
    ]);
    assert.deepEqual(diagnostics, []);
  });

  it("a model of every kind of element gives a oneof without options empty ones, whatever syntax and source it is of", async t => {
    const oneof = (fields: string) =>
      `message M { message N { oneof inner { ${fields} } } oneof outer { ${fields} } }`;
    const fields = "string a = 1; int32 b = 2;";
    const folder = folderOf(t, {
      "two.proto": `syntax = "proto2"; package two; ${oneof(fields)}`,
      "three.proto": `syntax = "proto3"; package three; ${oneof(fields)}`,
      "editions.proto": `edition = "2023"; package editions; ${oneof(fields)}`,
    });
    const text = await loadModel([{ kind: "protos", folder, include: [] }]);
    const bytes = text.model.descriptorSet();
    const file = join(folder, "set.binpb");
    writeFileSync(file, bytes);
    const set = await loadModel([{ kind: "set", file }]);
    const reflected = await loadModel([{ kind: "files", origin: "u", files: decodeSet(bytes) }]);
    for (const { model } of [text, set, reflected]) {
      for (const name of ["two.M", "two.M.N", "three.M", "three.M.N", "editions.M", "editions.M.N"]) {
        const [found] = model.message(name)!.oneofs;
        assert.deepEqual(
          found?.fields.map(each => each.name),
          ["a", "b"],
        );
        assert.deepEqual(found?.options.bytes, new Uint8Array());
      }
    }
  });

  it("a model of every kind of element exports files after what they import", () => {
    const seen = new Set<string>();
    for (const [name, file] of fromText.files) {
      for (const dependency of file.dependencies)
        assert.ok(seen.has(dependency), `${dependency} before ${name}`);
      seen.add(name);
    }
  });

  it("a model of every kind of element gives fields their presence, packing, encoding and UTF-8 checks by syntax", () => {
    const traits = (message: string) =>
      Object.fromEntries(
        fromText.message(message)!.fields.map(({ name, presence, packed, delimited, utf8 }) => {
          return [
            name,
            [presence, packed && "packed", delimited && "delimited", utf8 && "utf8"]
              .filter(Boolean)
              .join(" "),
          ];
        }),
      );
    const shape = traits("kinds.Shape");
    assert.equal(shape.name, "implicit utf8");
    assert.equal(shape.maybe_count, "explicit");
    assert.equal(shape.numbers, "implicit packed");
    assert.equal(shape.spread, "implicit");
    assert.equal(shape.text, "explicit utf8");
    assert.equal(shape.nested, "explicit");
    const legacy = traits("kinds.Legacy");
    assert.equal(legacy.id, "required");
    assert.equal(legacy.text, "explicit");
    assert.equal(legacy.loose, "implicit");
    assert.equal(legacy.tight, "implicit packed");
    assert.equal(legacy.item, "implicit delimited");
    assert.deepEqual(traits("kinds.Modern"), {
      explicit: "explicit",
      implicit: "implicit",
      required: "required",
      packed: "implicit packed",
      expanded: "implicit",
      delimited: "explicit delimited",
      prefixed: "explicit",
      verified: "explicit utf8",
      open: "explicit",
      closed: "explicit",
      map: "implicit",
      legacy: "explicit",
    });
    assert.deepEqual(traits("kinds.Inherited"), {
      implicit: "implicit utf8",
      delimited: "explicit delimited",
      map: "implicit",
      closed: "explicit",
      expanded: "implicit",
      packed: "implicit packed",
      member: "explicit utf8",
    });
    assert.equal(fromText.extensionByName("kinds.more")?.delimited, true);
  });

  it("a model of every kind of element distinguishes closed enums from open ones", () => {
    const closed = (name: string) => fromText.enum(name)!.closed;
    assert.equal(closed("kinds.Shape.Kind"), false);
    assert.equal(closed("kinds.Level"), true);
    assert.equal(closed("kinds.Open"), false);
    assert.equal(closed("kinds.Closed"), true);
    assert.equal(closed("kinds.Inherited.Nested"), true);
  });

  it("a model of every kind of element lists real oneofs only, and the first value of a shared number", () => {
    const shape = fromText.message("kinds.Shape")!;
    assert.deepEqual(
      shape.oneofs.map(({ name, fields }) => [name, fields.map(field => field.name)]),
      [["choice", ["text", "when", "inner"]]],
    );
    assert.equal(shape.fieldsByName.get("maybe_count")?.oneof, undefined);
    assert.equal(shape.fieldsByName.get("text")?.oneof, shape.oneofs[0]);
    assert.equal(fromText.enum("kinds.Shape.Kind")?.valuesByNumber.get(1)?.name, "KIND_ROUND");
    assert.equal(fromText.enum("kinds.Shape.Kind")?.values.length, 4);
  });

  it("a model of every kind of element names fields in JSON as protoc does", () => {
    const inner = fromText.message("kinds.Shape.Inner")!;
    assert.deepEqual(
      inner.fields.map(field => field.jsonName),
      ["deep", "OddName", "MixedCase"],
    );
    assert.equal(fromText.message("kinds.Shape")?.fieldsByName.get("payload")?.name, "data");
    assert.equal(fromText.extensionByName("kinds.labels")?.jsonName, "[kinds.labels]");
  });

  it("a model of every kind of element keeps comments: leading, else trailing, and never detached ones", () => {
    const shape = fromText.message("kinds.Shape")!;
    const comment = (name: string) => shape.fieldsByName.get(name)!.comment;
    assert.equal(shape.comment, "A block comment\n  with an indented line.");
    assert.equal(comment("name"), "Leading of the field.");
    assert.equal(comment("only_trailing"), "Only trailing.");
    assert.equal(comment("maybe_count"), "");
    assert.equal(shape.oneofs[0]?.comment, "The choice.");
    const service = fromText.services.get("kinds.Shapes")!;
    assert.equal(service.comment, "The service.");
    assert.deepEqual(
      service.methods.map(method => method.comment),
      ["Gets a shape.", "", "Plain."],
    );
    assert.equal(shape.line, 19);
    assert.equal(service.methods[0]?.line, 99);
  });

  it("a model of every kind of element keeps defaults as the descriptor spells them", () => {
    const legacy = fromText.message("kinds.Legacy")!;
    const defaults = legacy.fields.flatMap(({ name, defaultText }) =>
      defaultText === undefined ? [] : [[name, defaultText]],
    );
    assert.deepEqual(defaults, [
      ["count", "-7"],
      ["text", 'a\n"b" é'],
      ["data", "\\377\\001ok"],
      ["ratio", "1e-07"],
      ["part", "0.1"],
      ["infinite", "-inf"],
      ["on", "true"],
      ["kind", "KIND_ROUND"],
      ["big", "18446744073709551615"],
    ]);
  });

  it("a model of every kind of element finds extensions by name and by number", () => {
    const again = fromText.extension("kinds.Legacy", 100);
    assert.equal(again?.fullName, "kinds.Legacy.again");
    assert.equal(again, fromText.extensionByName("kinds.Legacy.again"));
    assert.equal(again?.parent, fromText.message("kinds.Legacy"));
    assert.equal(fromText.extension("kinds.Legacy", 999), undefined);
    assert.equal(fromText.message("kinds.Legacy")?.extendable, true);
    assert.equal(fromText.message("kinds.Shape")?.extendable, false);
  });

  it("a model of every kind of element describes methods: path, streaming, idempotency, deprecation", () => {
    const methods = fromText.services.get("kinds.Shapes")!.methods;
    const facts = methods.map(({ path, clientStreaming, serverStreaming, idempotency, deprecated }) => {
      return [path, clientStreaming, serverStreaming, idempotency, deprecated];
    });
    assert.deepEqual(facts, [
      ["/kinds.Shapes/Get", false, false, "no_side_effects", false],
      ["/kinds.Shapes/Put", true, true, "unknown", true],
      ["/kinds.Shapes/Plain", false, false, "unknown", false],
    ]);
  });

  it("a model of every kind of element decodes option values of every kind", () => {
    const field = (name: string) => fromText.message("kinds.Fields")!.fieldsByName.get(name)!.options;
    assert.deepEqual(field("a").get("kinds.tags"), ["one", "two"]);
    assert.equal(field("a").get("kinds.big"), 18446744073709551615n);
    assert.deepEqual(field("a").get("kinds.raw"), Buffer.from([0xff, 0, 0x7a]));
    assert.equal(field("a").get("kinds.ratio"), Number.NEGATIVE_INFINITY);
    assert.equal(field("a").get("kinds.level"), "LEVEL_HIGH");
    assert.equal(field("a").get("kinds.field"), undefined);
    assert.deepEqual(plain(field("b").get("kinds.field")), {
      double: 1.5e300,
      float: Math.fround(-0.1),
      int64: -9223372036854775808n,
      uint64: 18446744073709551615n,
      int32: -2147483648,
      sint64: -1n,
      fixed64: 18446744073709551615n,
      sfixed32: -2,
      bool: true,
      string: "joined text",
      bytes: Buffer.from([0xff, 0]),
      level: "LEVEL_HIGH",
      value: { value: { bool: false } },
      values: [{ int32: 1 }, { int32: 2 }, { int32: 3 }],
      numbers: [1, 2, 3],
      packed: [4, 5],
      strings: ["x", "y"],
      map: { k: 5n, "": -6n },
      group: { text: "in a group" },
      any: { type_url: "type.googleapis.com/kinds.Value", value: Buffer.from([40, 9]) },
      "[kinds.Holder.inner]": "extension",
    });
  });

  it("a model of every kind of element merges statements that set parts of one option, and lists those of a repeated one", () => {
    const shape = fromText.message("kinds.Shape")!;
    assert.deepEqual(plain(shape.options.get("kinds.message")), {
      value: { string: 'a "quoted" AB\u00e9 text' },
      level: "LEVEL_HIGH",
    });
    assert.deepEqual(plain(shape.options.get("kinds.Holder.holder")), {
      "[kinds.Holder.inner]": "extension in aggregate",
    });
    assert.equal(shape.options.get("deprecated"), true);
    const get = fromText.services.get("kinds.Shapes")!.methods[0]!;
    assert.deepEqual(plain(get.options.get("kinds.method")), [{ int32: 1 }, { int32: 2 }]);
    assert.equal(get.options.get("kinds.message"), undefined, "an extension of other options");
    assert.equal(get.options.get("no.such.option"), undefined);
    const kind = fromText.enum("kinds.Shape.Kind")!;
    assert.equal(kind.options.get("kinds.enum"), -3);
    assert.deepEqual(plain(kind.values[1]!.options.get("kinds.enum_value")), { numbers: [1, 2, 3] });
  });

  it("a model of every kind of element reads HTTP rules from an aggregate as from single statements", () => {
    const [get, put] = fromText.services.get("kinds.Shapes")!.methods;
    assert.deepEqual(plain(get!.options.get("google.api.http")), {
      get: "/v1/{name=shapes/*}",
      additional_bindings: [
        { get: "/v1/other/{name}" },
        { custom: { kind: "HEAD", path: "/v1/{name}" }, response_body: "deep" },
      ],
    });
    assert.deepEqual(plain(put!.options.get("google.api.http")), { put: "/v1/shapes", body: "*" });
  });
});

/** Option values have no prototype; literals do. */
function plain(value: OptionValue | undefined): unknown {
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== "object" || value instanceof Uint8Array) return value;
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, plain(inner)]));
}
