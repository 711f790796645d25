import assert from "node:assert/strict";
import { test } from "node:test";
import { createFileRegistry, fromBinary } from "@bufbuild/protobuf";
import { pathToString } from "@bufbuild/protobuf/reflect";
import { FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { createValidator } from "@bufbuild/protovalidate";
import fc from "fast-check";
import { createPace } from "../../src/net/pace.js";
import { compileValidators } from "../../src/validation/compile.js";
import { encode, model, typeOf } from "./model.js";

/** The library by itself, and with every rule in CEL: what we answer must not depend on its fast paths. */
const registry = createFileRegistry(fromBinary(FileDescriptorSetSchema, model.descriptorSet()));
const reference = createValidator({ registry, disableNativeRules: true });

const text = fc.oneof(
  fc.string({ unit: "grapheme", maxLength: 6 }),
  fc.constantFrom("", "a", "ok", "red", "rooms/1"),
);
const int = fc.oneof(fc.integer({ min: -2, max: 12 }), fc.constantFrom(-(2 ** 31), 2 ** 31 - 1));
const person = fc.record({ login: text }, { requiredKeys: [] });

const { tree } = fc.letrec(tie => ({
  tree: fc.record(
    {
      name: text,
      children: fc.array(tie("tree"), { maxLength: 2, depthIdentifier: "tree" }),
      twin: fc.oneof({ depthIdentifier: "tree", maxDepth: 3 }, fc.constant({}), tie("tree")),
    },
    { requiredKeys: [] },
  ),
}));

const arbitraries = {
  Texts: fc.record(
    { name: text, slug: text, email: text, id: text, color: text, prefix: text, nick: text, muted: text },
    { requiredKeys: [] },
  ),
  Numbers: fc.record(
    {
      i32: int,
      i64: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map(String),
      u64: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }).map(String),
      d: fc.constantFrom(0, -0, 1.5, "NaN", "Infinity", "-Infinity"),
      f: fc.constantFrom(-1, 0, 0.5, 1, "NaN"),
      s: int,
      x: fc.integer({ min: 0, max: 2 }),
      b: fc.boolean(),
    },
    { requiredKeys: [] },
  ),
  Required: fc.record({ room: text, person, tags: fc.array(text, { maxLength: 2 }) }, { requiredKeys: [] }),
  Lists: fc.record(
    {
      tags: fc.array(text, { maxLength: 5 }),
      people: fc.array(person, { maxLength: 3 }),
      counts: fc.dictionary(text, int, { maxKeys: 4 }),
      byNumber: fc.dictionary(int.map(String), person, { maxKeys: 2 }),
    },
    { requiredKeys: [] },
  ),
  Choices: fc.oneof(fc.record({ room: text }), fc.record({ user: int, color: int })),
  Expressions: fc.record({ from: int, to: int, code: text }, { requiredKeys: [] }),
  Tree: tree,
} as const;

for (const [name, arbitrary] of Object.entries(arbitraries)) {
  test(`any message of ${name} breaks the rules that the library alone finds broken`, async () => {
    const type = typeOf(model, name);
    const schema = registry.getMessage(type.fullName)!;
    const validate = (await compileValidators(model, [type], createPace())).byType.get(type)!;
    fc.assert(
      fc.property(arbitrary as fc.Arbitrary<unknown>, json => {
        const bytes = encode(type, json);
        const result = reference.validate(schema, fromBinary(schema, bytes));
        const expected = (result.violations ?? []).map(({ field, message, forKey }) => ({
          field: pathToString(field),
          description: forKey ? `key: ${message}` : message,
        }));
        const actual = validate(bytes).map(({ field, description }) => ({ field, description }));
        assert.deepEqual(actual, expected);
      }),
      { numRuns: 200 },
    );
  });
}
