import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import protojson from "protobufjs/ext/protojson.js";
import { ALL } from "./json-arbitrary.js";
import { decode, encode, root } from "./schema.js";

/** What protobufjs makes of the bytes. */
function reference(name: string, wire: Uint8Array): unknown {
  const type = root.lookupType(name);
  return plain(protojson.toJson(type, type.decode(wire)));
}

function referenceWire(name: string, json: unknown): Uint8Array {
  const type = root.lookupType(name);
  return type.encode(protojson.fromJson(type, json)).finish();
}

/**
 * The reference prints a float as the double that it is (0.10000000149011612), we print the shortest decimal that
 * gives the float again (0.1), so floats compare as floats.
 */
function plain(value: unknown, float = false): unknown {
  if (typeof value === "number") return float ? Math.fround(value) : value;
  if (Array.isArray(value)) return value.map(item => plain(item, float));
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, member]) => [
      name,
      plain(member, float || /^[frmow]_?[fF]loat$/.test(name)),
    ]),
  );
}

test("random messages are printed as protobufjs prints them", () => {
  fc.assert(
    fc.property(ALL, json => {
      const wire = referenceWire("three.All", json);
      assert.deepEqual(plain(JSON.parse(decode("three.All", wire))), reference("three.All", wire));
    }),
    { numRuns: 200 },
  );
});

test("random JSON becomes the message that protobufjs reads from it", () => {
  fc.assert(
    fc.property(ALL, json => {
      // JSON.stringify writes -0 as 0, so both sides start from the text.
      const text = JSON.stringify(json);
      const expected = referenceWire("three.All", JSON.parse(text));
      assert.deepEqual(reference("three.All", encode("three.All", text)), reference("three.All", expected));
    }),
    { numRuns: 200 },
  );
});

const PLAIN: fc.Arbitrary<Record<string, unknown>> = fc.letrec<{ plain: Record<string, unknown> }>(tie => ({
  plain: fc.record(
    {
      number: fc.integer({ min: -5, max: 5 }),
      text: fc.constantFrom("", "x", "other"),
      closed: fc.constantFrom<unknown>("ONE", "TWO", 1, 2),
      closeds: fc.array(fc.constantFrom<unknown>("ONE", 2), { maxLength: 3 }),
      closedMap: fc.dictionary(
        fc.string({ maxLength: 3 }).filter(key => key !== "__proto__"),
        fc.constantFrom("ONE", "TWO"),
      ),
      section: fc.oneof(
        { maxDepth: 3 },
        fc.record({ page: fc.nat() }, { requiredKeys: [] }),
        fc.record({ page: fc.nat(), inner: tie("plain") }, { requiredKeys: [] }),
      ),
      rows: fc.array(fc.record({ cell: fc.string() }, { requiredKeys: [] }), { maxLength: 3 }),
      right: fc.string(),
      loose: fc.array(fc.integer(), { maxLength: 3 }),
      "[two.ext_number]": fc.integer(),
      "[two.ext_texts]": fc.array(fc.string(), { maxLength: 3 }),
      "[two.ext_closed]": fc.array(fc.constantFrom("ONE", "TWO"), { maxLength: 3 }),
      "[two.Scope.scoped]": fc.string(),
    },
    { requiredKeys: [] },
  ),
})).plain;

test("groups, closed enums and extensions of proto2 agree with protobufjs both ways", () => {
  fc.assert(
    fc.property(PLAIN, json => {
      const wire = referenceWire("two.Plain", json);
      assert.deepEqual(plain(JSON.parse(decode("two.Plain", wire))), reference("two.Plain", wire));
      assert.deepEqual(
        reference("two.Plain", encode("two.Plain", JSON.stringify(json))),
        reference("two.Plain", wire),
      );
    }),
    { numRuns: 200 },
  );
});

const NODE: fc.Arbitrary<Record<string, unknown>> = fc.letrec<{ node: Record<string, unknown> }>(tie => ({
  node: fc.oneof(
    { maxDepth: 3, withCrossShrink: true },
    fc.record({ id: fc.integer(), plain: fc.integer({ min: -1, max: 1 }) }, { requiredKeys: [] }),
    fc.record(
      {
        child: tie("node"),
        children: fc.array(tie("node"), { maxLength: 2 }),
        leaves: fc.dictionary(
          fc.constantFrom("a", "b"),
          fc.record({ name: fc.string() }, { requiredKeys: [] }),
        ),
        expanded: fc.array(fc.integer(), { maxLength: 3 }),
        prefixed: fc.record({ name: fc.string() }, { requiredKeys: [] }),
        leaf: fc.record({ name: fc.string() }, { requiredKeys: [] }),
      },
      { requiredKeys: [] },
    ),
  ),
})).node;

test("delimited messages and the presence of editions agree with protobufjs both ways", () => {
  fc.assert(
    fc.property(NODE, json => {
      const wire = referenceWire("ed.Node", json);
      assert.deepEqual(plain(JSON.parse(decode("ed.Node", wire))), reference("ed.Node", wire));
      assert.deepEqual(
        reference("ed.Node", encode("ed.Node", JSON.stringify(json))),
        reference("ed.Node", wire),
      );
    }),
    { numRuns: 200 },
  );
});
