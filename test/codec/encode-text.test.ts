import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Encoders } from "../../src/codec/json-to-wire/encoders.js";
import { BAIL, JsonCursor } from "../../src/codec/json-to-wire/json-cursor.js";
import { Writer } from "../../src/codec/json-to-wire/writer.js";
import { maxWorkUnits } from "../../src/codec/work.js";
import { ALL } from "./json-arbitrary.js";
import { decode, encode, model, POLICY, type } from "./schema.js";

const encoders = new Encoders(model, POLICY);
const writer = new Writer();

/** What one pass makes of the text, printed again; undefined where it leaves the text to the tree. */
function copy(name: string, json: string, depth = 100): string | undefined {
  writer.reset();
  try {
    const cursor = new JsonCursor(Buffer.from(json), maxWorkUnits);
    encoders.message(type(name)).encodeText(cursor, writer, depth);
    cursor.finish();
  } catch (error) {
    if (error === BAIL) return undefined;
    throw error;
  }
  return decode(name, writer.finish());
}

test("random JSON is copied in one pass, without a look at the tree", () => {
  fc.assert(
    fc.property(ALL, fc.constantFrom(0, 1), (json, indent) => {
      const text = JSON.stringify(json, undefined, indent);
      const copied = copy("three.All", text);
      assert.ok(copied !== undefined, text);
      assert.deepEqual(JSON.parse(copied), JSON.parse(decode("three.All", encode("three.All", text))));
    }),
    { numRuns: 200, endOnFailure: true },
  );
});

test("members in any order, by either name, with white space and escapes are copied in one pass", () => {
  const json = ` {\t"f_string" :"a\\n\\u00e9\\ud83d\\ude00é😀", "fInt32"\n: 5 ,"rInt32":[ ] } `;
  assert.equal(copy("three.All", json), '{"fString":"a\\né😀é😀","fInt32":5}');
});

for (const [kind, number, printed] of [
  ["int64", "9007199254740993", undefined],
  ["int64", "-9007199254740993", undefined],
  ["int64", "9223372036854775807", undefined],
  ["int64", "-9223372036854775807", undefined],
  ["int64", "-9223372036854775808", undefined],
  ["int64", "-4294967296000000000", undefined],
  ["int64", "-1000000000000000", undefined],
  ["uint64", "9999999999999999999", undefined],
  ["uint64", "18446744073709551615", undefined],
  ["uint64", "4294967296000000000", undefined],
  ["int64", "1000000000000000e3", "1000000000000000000"],
] as const) {
  test(`the ${kind} ${number} is exact, as number and as string`, () => {
    const name = kind === "int64" ? "fInt64" : "fUint64";
    for (const json of [number, `"${number}"`]) {
      assert.equal(copy("three.All", `{"${name}":${json}}`), `{"${name}":"${printed ?? number}"}`);
    }
  });
}

test("64-bit integers of 16 to 19 digits are exact", () => {
  fc.assert(
    fc.property(fc.bigInt(-(2n ** 63n) + 1n, 2n ** 63n - 1n), value => {
      assert.equal(copy("three.All", `{"oInt64":${value}}`), `{"oInt64":"${value}"}`);
    }),
    { numRuns: 2000 },
  );
});

test("decimals read as JSON.parse reads them", () => {
  const decimal = fc
    .tuple(fc.constantFrom("", "-"), fc.nat(), fc.stringMatching(/^(\.[0-9]{1,12})?$/))
    .map(([sign, whole, fraction]) => sign + whole + fraction);
  fc.assert(
    fc.property(fc.oneof(decimal, fc.double({ noNaN: true, noDefaultInfinity: true }).map(String)), text => {
      const expected = JSON.parse(text) as number;
      const printed = JSON.parse(copy("three.All", `{"oDouble":${text}}`)!) as { oDouble: number };
      assert.ok(Object.is(printed.oDouble, expected), text);
    }),
    { numRuns: 2000 },
  );
});

test("times in UTC are read as Date reads them", () => {
  fc.assert(
    fc.property(fc.integer({ min: -62135596800, max: 253402300799 }), seconds => {
      const text = new Date(seconds * 1000).toISOString().replace(".000Z", "Z");
      assert.equal(copy("three.All", `{"timestamp":"${text}"}`), `{"timestamp":"${text}"}`);
    }),
    { numRuns: 2000 },
  );
  for (const text of [
    "2023-02-29T00:00:00Z",
    "1900-02-29T00:00:00Z",
    "0000-01-01T00:00:00Z",
    "2023-04-31T00:00:00Z",
  ]) {
    assert.throws(() => encode("three.All", `{"timestamp":"${text}"}`));
  }
});

for (const [what, json] of [
  ["a name in escapes", '{"\\u0066Int32":1}'],
  ["a name that needs escapes", JSON.stringify({ '"); throw 1; // ${x} ` \\ \u2028': "a" })],
  ["an extension", '{"[two.ext_number]":5}'],
  ["an unknown member", '{"nope":1}'],
  ["a field twice", '{"fInt32":1,"fInt32":1}'],
  ["a field by both names", '{"fInt32":1,"f_int32":1}'],
  ["a map key twice", '{"mInt32":{"a":1,"\\u0061":1}}'],
  ["two members of a oneof", '{"cInt32":1,"cString":"x"}'],
  ["more after the end", "{}{}"],
  ["a byte order mark", "\ufeff{}"],
  ["a comma too many", '{"rInt32":[1,]}'],
  ["a lone surrogate", '{"fString":"\\ud800"}'],
  ["a control character", '{"fString":"\n"}'],
  ["too large a number", '{"fInt32":2147483648}'],
  ["a number with a leading zero", '{"fInt32":01}'],
  ["a word cut short", '{"fBool":tru}'],
  ["another word", '{"fBool":nulls}'],
  ["a list that never ends", '{"rInt32":[1'],
  ["a string that never ends", '{"fString":"'],
  ["a name that never ends", '{"fStr'],
  ["nothing", ""],
]) {
  test(`${what} is left to the tree`, () => {
    assert.equal(copy(what === "an extension" ? "two.Plain" : "three.All", json!), undefined);
  });
}

test("lists and maps count as levels of nesting", () => {
  assert.equal(copy("three.All", '{"rInt32":[1]}', 2), '{"rInt32":[1]}');
  assert.equal(copy("three.All", '{"rInt32":[1]}', 1), undefined);
  assert.equal(copy("three.All", '{"mInt32":{"a":1}}', 1), undefined);
  assert.equal(copy("three.All", '{"fAll":{}}', 1), undefined);
});

test("a text cut at any byte, or with any byte changed, fails or succeeds both ways", () => {
  const json = Buffer.from(
    '{"fDouble":-1.5,"fInt64":"-9007199254740993","fString":"h\\u00e9\\"llo","fAll":{"fBool":true,"rInt32":[1, 300]},' +
      '"mAll":{"k":{"fString":"x"}},"timestamp":"2024-01-02T03:04:05.6Z","value":{"a":[1,null,"x"]},"cNull":null,"fColor":"RED"}',
  );
  const attempt = (text: Buffer) => {
    if (!text.equals(Buffer.from(text.toString()))) return;
    try {
      encode("three.All", text.toString());
    } catch (error) {
      assert.equal((error as Error).name, "TranscodeError", String((error as Error).stack));
    }
  };
  for (let length = 0; length < json.length; length++) attempt(json.subarray(0, length));
  for (let index = 0; index < json.length; index++) {
    for (const byte of [0x20, 0x22, 0x2c, 0x30, 0x39, 0x5c, 0x5d, 0x65, 0x6e, 0x7d, 0x2e, 0x2d]) {
      const changed = Buffer.from(json);
      changed[index] = byte;
      attempt(changed);
    }
  }
});
