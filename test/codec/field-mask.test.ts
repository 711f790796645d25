import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { TranscodeError } from "../../src/codec/error.js";
import { decode, echo, encode } from "./schema.js";
import { len, wire } from "./wire-bytes.js";

function mask(...paths: string[]): Uint8Array {
  return wire(
    len(
      203,
      paths.flatMap(path => len(1, path)),
    ),
  );
}

for (const [json, paths] of [
  ["*", ["*"]],
  ["items.*.name", ["items.*.name"]],
  ["items.*.firstName,title", ["items.*.first_name", "title"]],
  ["reviews.1.rating", ["reviews.1.rating"]],
  ["reviews.`John, F. Kennedy_X`.ratingAverage", ["reviews.`John, F. Kennedy_X`.rating_average"]],
  ['labels.`ключ"`', ['labels.`ключ"`']],
  ["a".repeat(200), ["a".repeat(200)]],
  ["", []],
] as const) {
  test(`the field mask ${json.slice(0, 50)} is read and printed`, () => {
    const text = JSON.stringify({ mask: json });
    assert.deepEqual(new Uint8Array(encode("three.All", text)), new Uint8Array(mask(...paths)));
    assert.equal(decode("three.All", mask(...paths)), text);
  });
}

for (const json of [
  "a*",
  "*a",
  "**",
  "a_b",
  "a,",
  ",a",
  "a,,b",
  "a b",
  "`a",
  "a.`b",
  "a`b`",
  "`a`b",
  "é",
  5,
]) {
  test(`the field mask ${JSON.stringify(json)} is refused`, () => {
    assert.throws(() => encode("three.All", JSON.stringify({ mask: json })), /expected field paths/);
  });
}

test("a path that lowerCamelCase cannot give back is malformed in a response", () => {
  for (const path of ["fooBar", "foo__bar", "foo_3", "foo_", "a*", "a,b", "`a", "a b"]) {
    assert.throws(() => decode("three.All", mask(path)), /no lowerCamelCase form/, path);
  }
});

test("any paths that can be printed are read back as they were", () => {
  const segment = fc.oneof(
    fc.stringMatching(/^[a-z][a-z0-9]{0,3}(_[a-z]){0,2}$/),
    fc.constant("*"),
    fc.string({ unit: "grapheme", maxLength: 5 }).map(text => `\`${text.replaceAll("`", "")}\``),
  );
  const path = fc.array(segment, { minLength: 1, maxLength: 4 }).map(segments => segments.join("."));
  fc.assert(
    fc.property(fc.array(path, { minLength: 1, maxLength: 5 }), paths => {
      const json = decode("three.All", mask(...paths));
      assert.deepEqual(new Uint8Array(encode("three.All", json)), new Uint8Array(mask(...paths)));
    }),
  );
});

test("any text as a field mask gives a message or a TranscodeError", () => {
  const text = fc.string({ unit: fc.constantFrom(..."aZ_.,*`1é "), maxLength: 12 });
  fc.assert(
    fc.property(text, json => {
      try {
        assert.deepEqual(JSON.parse(echo("three.All", JSON.stringify({ mask: json }))), { mask: json });
      } catch (error) {
        assert.ok(error instanceof TranscodeError, String(error));
        assert.equal(error.reason, "INVALID_VALUE");
      }
    }),
    { numRuns: 2000 },
  );
});
