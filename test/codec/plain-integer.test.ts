import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { exactInteger, plainInteger } from "../../src/codec/json-to-wire/decimal.js";

const number = fc.oneof(
  fc.bigInt({ min: -(10n ** 18n), max: 10n ** 18n }).map(String),
  fc.stringMatching(/^-?[0-9.eE+]{0,18}$/),
  fc.string({ maxLength: 20 }),
);

test("an integer in its plain form has the value that it has in any other", () => {
  fc.assert(
    fc.property(number, text => {
      const plain = plainInteger(text);
      if (Number.isNaN(plain)) return;
      assert.equal(exactInteger(text), BigInt(plain));
    }),
    { numRuns: 2000 },
  );
});

test("at most 15 digits with nothing around them are the plain form", () => {
  for (const text of ["0", "-0", "7", "-12", "999999999999999", "-999999999999999"])
    assert.equal(plainInteger(text) + 0, Number(text) + 0, text);
  for (const text of ["", "-", "+1", "01", "-01", " 1", "1 ", "1.0", "1e3", "1000000000000000", "１", "0x1"])
    assert.equal(plainInteger(text), Number.NaN, text);
});
