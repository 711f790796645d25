import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { TranscodeError } from "../../src/codec/error.js";
import { JsonNumber, type JsonValue } from "../../src/codec/json.js";
import { parseJson } from "../../src/codec/json-to-wire/parse-json.js";

function parse(text: string | Uint8Array, depth = 100): JsonValue {
  return parseJson(typeof text === "string" ? Buffer.from(text) : text, { depth });
}

function failure(text: string | Uint8Array, depth = 100): TranscodeError {
  try {
    parse(text, depth);
  } catch (error) {
    assert.ok(error instanceof TranscodeError, String(error));
    return error;
  }
  return assert.fail(`${text} was accepted`);
}

/** The value as JSON.parse gives it: numbers as the nearest double. */
function rounded(value: JsonValue): unknown {
  if (value instanceof JsonNumber) return Number(value.text);
  if (Array.isArray(value)) return value.map(rounded);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, rounded(member)]));
}

test("any JSON value reads as JSON.parse reads it", () => {
  fc.assert(
    fc.property(fc.json({ maxDepth: 5 }), fc.constantFrom(undefined, 1, "\t"), (text, indent) => {
      const spaced = JSON.stringify(JSON.parse(text), null, indent);
      assert.deepEqual(rounded(parse(spaced)), JSON.parse(spaced));
    }),
    { numRuns: 500 },
  );
});

test("every text that JSON.parse refuses is refused, and no other exception comes out", () => {
  const pieces = fc.constantFrom(
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    '"',
    "\\",
    "u12",
    "-",
    "0",
    "1",
    ".",
    "e",
    "+",
    "true",
    "nul",
    " ",
    "a",
    "\n",
    "\u0000",
    "é",
  );
  fc.assert(
    fc.property(fc.array(pieces, { maxLength: 8 }), parts => {
      const text = parts.join("");
      try {
        parse(text);
      } catch (error) {
        assert.ok(error instanceof TranscodeError, String(error));
        return;
      }
      JSON.parse(text);
    }),
    { numRuns: 3000 },
  );
});

for (const text of [
  "",
  " ",
  "nul",
  "tru",
  "01",
  "-",
  "+1",
  "1.",
  ".5",
  "1e",
  "1e+",
  "0x1",
  "NaN",
  "Infinity",
  "'a'",
  "[1,]",
  "[,1]",
  "[1 2]",
  '{"a":1,}',
  "{a:1}",
  '{"a"}',
  '{"a" 1}',
  "[",
  '{"a":',
  '"abc',
  '"\\x"',
  '"\\u12g4"',
  '"\n"',
  "1 2",
  "{}}",
  "/**/1",
]) {
  test(`${JSON.stringify(text)} is malformed`, () => {
    assert.equal(failure(text).reason, "MALFORMED_JSON");
  });
}

test("an error says line, column, path, what was found and what was expected", () => {
  const error = failure('{"a": {"b c": [1,\n  x]}}');
  assert.deepEqual(error.position, { line: 2, column: 3 });
  assert.equal(error.field, 'a["b c"][1]');
  assert.equal(error.message, 'found "x", expected a value (line 2, column 3)');
});

test("a repeated member name is an error, however it is written", () => {
  const error = failure('{"x":{"a":1,"\\u0061":2}}');
  assert.equal(error.reason, "DUPLICATE_KEY");
  assert.equal(error.field, "x");
  assert.match(error.message, /two members named "a"/);
  assert.equal(failure('{"__proto__":1,"__proto__":2}').reason, "DUPLICATE_KEY");
  assert.equal(failure('{"1":1,"1":2}').reason, "DUPLICATE_KEY");
  assert.equal(failure('{"a":null,"a":null}').reason, "DUPLICATE_KEY");
});

test("names of Object.prototype are ordinary keys", () => {
  const value = parse('{"__proto__":{"polluted":1},"constructor":2,"toString":3,"hasOwnProperty":4}');
  assert.deepEqual(Object.keys(value as object), ["__proto__", "constructor", "toString", "hasOwnProperty"]);
  assert.equal(({} as Record<string, unknown>).polluted, undefined);
  assert.equal((parse("{}") as Record<string, unknown>).toString, undefined);
});

test("nesting is bounded", () => {
  assert.doesNotThrow(() => parse("[".repeat(10) + "]".repeat(10), 10));
  assert.equal(failure("[".repeat(11) + "]".repeat(11), 10).reason, "TOO_DEEP");
  assert.equal(failure('{"a":'.repeat(100_000), 100).reason, "TOO_DEEP");
});

test("text that is not UTF-8 is refused", () => {
  for (const bytes of [[0xff], [0xc0, 0xaf], [0xed, 0xa0, 0x80], [0xf4, 0x90, 0x80, 0x80], [0xe2, 0x82]]) {
    assert.equal(failure(Buffer.from([0x22, ...bytes, 0x22])).reason, "MALFORMED_JSON");
  }
});

test("a byte order mark is skipped", () => {
  assert.equal(parse(Buffer.from([0xef, 0xbb, 0xbf, 0x31])), 1);
});

test("escapes are read, and half a surrogate pair is refused", () => {
  assert.equal(parse('"\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\ud83d\\ude00x"'), '"\\/\b\f\n\r\té😀x');
  for (const text of ['"\\ud800"', '"\\udc00"', '"\\ud800\\ud800"', '"\\ud800x"', '"\\ud83d\\n"']) {
    assert.equal(failure(text).reason, "MALFORMED_JSON", text);
  }
});

test("numbers that a double would not print as they stand keep their text", () => {
  for (const text of [
    "9007199254740993",
    "-9223372036854775808".replace("8", "9"),
    "1e400",
    "9007199254740993.0",
    "1.00000000000000000001",
    "1e-400",
    "9007199254740992.5",
    "1e3",
    "1.0",
    "-1.50",
    "0.0000001",
    "9007199254740992",
    "1e22",
    "18446744073709551616",
    "0e999999999",
  ]) {
    const value = parse(text);
    assert.ok(value instanceof JsonNumber, text);
    assert.equal(value.text, text);
  }
});

test("all other numbers are plain, -0 included", () => {
  for (const text of [
    "0",
    "-0",
    "1",
    "1.5",
    "0.1",
    "-1.25",
    "0.000001",
    "9007199254740991",
    "0.30000000000000004",
  ]) {
    assert.ok(Object.is(parse(text), Number(text)), text);
  }
});

test("an error repeats little of the input", () => {
  const long = "x".repeat(10_000);
  const error = failure(`{"${long}":{"${long}":1,"${long}":2}}`);
  assert.ok(error.message.length < 200);
  assert.ok(error.field.length < 200);
});

test("a very long number is read in time that grows with its length only", () => {
  assert.ok(parse(`1${"0".repeat(200_000)}1`) instanceof JsonNumber);
});
