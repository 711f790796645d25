import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { TranscodeError } from "../../src/codec/error.js";
import { BAIL } from "../../src/codec/json-to-wire/json-cursor.js";
import { Decoders } from "../../src/codec/wire-to-json/decoders.js";
import { JsonWriter } from "../../src/codec/wire-to-json/json-writer.js";
import { Reader } from "../../src/codec/wire-to-json/reader.js";
import { ALL } from "./json-arbitrary.js";
import { encode, model, POLICY, type } from "./schema.js";
import { int, len, tag, varint, wire } from "./wire-bytes.js";

const decoders = new Decoders(model, POLICY);
const defaults = new Decoders(model, { ...POLICY, emitDefaults: true, int64: "number", enums: "number" });
const out = new JsonWriter();

/** What one pass prints; undefined where it leaves the bytes to the decoder that goes field by field. */
function print(name: string, bytes: Uint8Array, from = decoders): string | undefined {
  out.reset();
  try {
    from.message(type(name)).print(new Reader(bytes), bytes.length, out, 100);
    return out.finish();
  } catch (error) {
    if (error === BAIL || error instanceof TranscodeError) return undefined;
    throw error;
  }
}

function fieldByField(name: string, bytes: Uint8Array, from = decoders): string | undefined {
  try {
    return from.message(type(name)).decode(new Reader(bytes), bytes.length, 100);
  } catch (error) {
    if (error instanceof TranscodeError) return undefined;
    throw error;
  }
}

function assertSame(printed: string, text: string | undefined): void {
  assert.ok(text !== undefined, `only one pass takes ${printed}`);
  assert.deepEqual(JSON.parse(printed), JSON.parse(text));
}

test("random messages are printed in one pass, as they are field by field", () => {
  fc.assert(
    fc.property(ALL, json => {
      const bytes = encode("three.All", JSON.stringify(json));
      for (const from of [decoders, defaults]) {
        const printed = print("three.All", bytes, from);
        assert.ok(printed !== undefined, JSON.stringify(json));
        assertSame(printed, fieldByField("three.All", bytes, from));
      }
    }),
    { numRuns: 150, endOnFailure: true },
  );
});

test("all bytes that one pass takes are printed as they are field by field", () => {
  fc.assert(
    fc.property(
      fc.constantFrom("three.All", "two.Plain", "two.Strict", "ed.Node"),
      fc.array(
        fc.oneof(
          fc
            .tuple(fc.integer({ min: 1, max: 130 }), fc.bigInt(0n, 2n ** 64n - 1n))
            .map(([n, v]) => int(n, v)),
          fc
            .tuple(fc.integer({ min: 1, max: 230 }), fc.integer({ min: -3, max: 3 }))
            .map(([n, v]) => int(n, v)),
          fc.tuple(fc.integer({ min: 1, max: 230 }), fc.string({ maxLength: 4 })).map(([n, v]) => len(n, v)),
          fc.tuple(fc.integer({ min: 1, max: 230 }), fc.nat(200)).map(([n, v]) => len(n, int(1, v))),
          fc.uint8Array({ maxLength: 4 }).map(bytes => [...bytes]),
        ),
        { maxLength: 5 },
      ),
      (name, fields) => {
        const bytes = wire(...fields);
        const printed = print(name, bytes);
        if (printed !== undefined) assertSame(printed, fieldByField(name, bytes));
      },
    ),
    { numRuns: 5000 },
  );
});

test("each field of random messages is printed alone as it is field by field", () => {
  fc.assert(
    fc.property(ALL, json => {
      const bytes = encode("three.All", JSON.stringify(json));
      for (const field of type("three.All").fields) {
        const node = decoders.bareField(field);
        out.reset();
        node.print(new Reader(bytes), bytes.length, out, 100);
        const expected = node.decode(new Reader(bytes), bytes.length, 100);
        assert.equal(out.finish(), expected, field.name);
      }
    }),
    { numRuns: 30, endOnFailure: true },
  );
});

test("integers print as BigInt prints them", () => {
  const edges = [0n, 9n, 10n, 999_999_999n, 10n ** 9n, 2n ** 53n - 1n, 2n ** 53n, 10n ** 18n, 2n ** 63n - 1n];
  fc.assert(
    fc.property(
      fc.oneof(
        fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n),
        fc.constantFrom(...edges, ...edges.map(edge => -edge)),
      ),
      value => {
        assert.equal(print("three.All", wire(int(24, value))), `{"oInt64":"${value}"}`);
        const unsigned = BigInt.asUintN(64, value);
        assert.equal(print("three.All", wire(int(26, value))), `{"oUint64":"${unsigned}"}`);
      },
    ),
    { numRuns: 3000 },
  );
});

test("doubles print as JSON.stringify prints them", () => {
  const decimal = fc
    .tuple(fc.integer({ min: -3_000_000, max: 3_000_000 }), fc.constantFrom(1, 10, 100, 1000, 10_000))
    .map(([number, power]) => number / power);
  fc.assert(
    fc.property(fc.oneof(decimal, fc.double({ noNaN: true, noDefaultInfinity: true })), value => {
      const bytes = new Uint8Array(new Float64Array([value]).buffer);
      const expected = Object.is(value, -0) ? "-0" : JSON.stringify(value);
      assert.equal(print("three.All", wire([...tag(21, 1), ...bytes])), `{"oDouble":${expected}}`);
    }),
    { numRuns: 5000 },
  );
});

test("times print as Date prints them", () => {
  fc.assert(
    fc.property(fc.integer({ min: -62135596800, max: 253402300799 }), seconds => {
      const expected = new Date(seconds * 1000).toISOString().replace(".000Z", "Z");
      assert.equal(print("three.All", wire(len(201, int(1, seconds)))), `{"timestamp":"${expected}"}`);
    }),
    { numRuns: 2000 },
  );
});

for (const [what, bytes] of [
  ["a field that comes twice", [...int(3, 1), ...int(3, 2)]],
  ["a message in two pieces", [...len(17, []), ...len(17, [])]],
  ["a list that another field interrupts", [...len(54, "a"), ...int(3, 1), ...len(54, "b")]],
  ["a list packed and not packed", [...len(43, [1]), ...int(43, 1)]],
  ["two members of a oneof", [...int(101, 1), ...len(102, "x")]],
  [
    "a map key that comes twice",
    [...len(74, [...len(1, "k"), ...len(2, "a")]), ...len(74, [...len(1, "k"), ...len(2, "b")])],
  ],
  ["a map entry without its key", len(74, len(2, "a"))],
  ["an empty packed list", len(43, [])],
  ["a string that is not UTF-8", len(14, [0xff])],
  ["a length beyond the end", [...tag(14, 2), ...varint(5)]],
] as [string, number[]][]) {
  test(`${what} is left to the decoder that goes field by field`, () => {
    assert.equal(print("three.All", Uint8Array.from(bytes)), undefined);
  });
}
