import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import fc from "fast-check";
import protobuf from "protobufjs";
import protojson from "protobufjs/ext/protojson.js";
import { createCodecs } from "../../src/codec/codecs.js";
import { Writer } from "../../src/codec/json-to-wire/writer.js";
import { loadUnderTest } from "../descriptor-source.js";
import { SCALARS } from "./json-arbitrary.js";
import { POLICY } from "./schema.js";

/** A field of the message `M`: a scalar kind, `M` itself or the enum `E`. */
interface RandomField {
  readonly kind: string;
  readonly shape: "singular" | "optional" | "repeated" | "map" | "choice";
  readonly number: number;
  readonly name: string;
}

// The reference prints floats as the doubles that they are; they are compared elsewhere.
const KINDS = [...Object.keys(SCALARS).filter(kind => kind !== "float"), "M", "E"];
const ENUM = fc.constantFrom<unknown>("ZERO", "ONE", "HIGH", -5);

const FIELDS: fc.Arbitrary<RandomField[]> = fc
  .uniqueArray(
    fc.record({
      kind: fc.constantFrom(...KINDS),
      shape: fc.constantFrom("singular", "optional", "repeated", "map", "choice"),
      number: fc.oneof(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 20_000, max: 2 ** 29 - 1 })),
      word: fc.stringMatching(/^[a-z]{1,6}(_[a-z]{1,4})?$/),
    }),
    { selector: field => field.number, minLength: 1, maxLength: 45 },
  )
  .map(fields =>
    fields.map(({ word, ...field }, index) => ({ ...field, name: `${word}_x${index}` }) as RandomField),
  );

function protoOf(fields: readonly RandomField[]): string {
  const declare = ({ kind, shape, number, name }: RandomField) => {
    if (shape === "map") return `map<string, ${kind}> ${name} = ${number};`;
    const label = shape === "optional" || shape === "repeated" ? `${shape} ` : "";
    return `${label}${kind} ${name} = ${number};`;
  };
  const inside = fields.filter(field => field.shape === "choice").map(declare);
  const outside = fields.filter(field => field.shape !== "choice").map(declare);
  const choice = inside.length === 0 ? "" : `oneof choice { ${inside.join(" ")} }`;
  return `syntax = "proto3"; package random; enum E { ZERO = 0; ONE = 1; HIGH = 1000; } message M { ${outside.join(" ")} ${choice} }`;
}

function messageOf(fields: readonly RandomField[], depth: number): fc.Arbitrary<Record<string, unknown>> {
  const inner = depth === 0 ? fc.constant({}) : messageOf(fields.slice(0, 12), depth - 1);
  const members: Record<string, fc.Arbitrary<unknown>> = {};
  let chosen = false;
  for (const { kind, shape, name } of fields) {
    const value = kind === "M" ? inner : kind === "E" ? ENUM : SCALARS[kind]!;
    if (shape === "choice" && chosen) continue;
    chosen ||= shape === "choice";
    members[name] =
      shape === "repeated"
        ? fc.array(value, { maxLength: 3 })
        : shape === "map"
          ? fc.dictionary(fc.stringMatching(/^[a-z"é]{0,3}$/), value, { maxKeys: 3 })
          : value;
  }
  return fc.record(members, { requiredKeys: [] });
}

test("random messages of random types are transcoded as protobufjs transcodes them", async () => {
  const folder = await mkdtemp(join(tmpdir(), "protogate-schema-"));
  const writer = new Writer();
  try {
    const cases = FIELDS.chain(fields =>
      fc.tuple(fc.constant(fields), fc.array(messageOf(fields, 2), { minLength: 5, maxLength: 15 })),
    );
    await fc.assert(
      fc.asyncProperty(cases, async ([fields, messages]) => {
        const proto = protoOf(fields);
        await writeFile(join(folder, "random.proto"), proto);
        const { model } = await loadUnderTest(folder);
        const codec = createCodecs(model, POLICY).message(model.message("random.M")!);
        const reference = protobuf.parse(proto).root.resolveAll().lookupType("random.M");
        for (const message of messages) {
          const text = JSON.stringify(message);
          const wire = reference.encode(protojson.fromJson(reference, JSON.parse(text))).finish();
          const expected = protojson.toJson(reference, reference.decode(wire));
          assert.deepEqual(JSON.parse(codec.decode(wire)), expected, proto);
          writer.reset();
          codec.encodeText(Buffer.from(text), writer);
          assert.deepEqual(protojson.toJson(reference, reference.decode(writer.finish())), expected, proto);
        }
      }),
      { numRuns: 40, endOnFailure: true },
    );
  } finally {
    await rm(folder, { recursive: true });
  }
});
