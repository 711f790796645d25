import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  exactInteger,
  type Long,
  plainInteger,
  readIntegerText,
} from "../../src/codec/json-to-wire/decimal.js";

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

const anyForm = fc.oneof(
  number,
  fc
    .tuple(
      fc.bigInt({ min: -(2n ** 65n), max: 2n ** 65n }),
      fc.integer({ min: 0, max: 25 }),
      fc.integer({ min: -25, max: 25 }),
    )
    .map(([value, places, exponent]) => {
      const [sign, digits] = value < 0n ? ["-", String(-value)] : ["", String(value)];
      const padded = digits.padStart(places + 1, "0");
      const point = padded.length - places;
      const fraction = places === 0 ? "" : `.${padded.slice(point)}`;
      return `${sign}${padded.slice(0, point)}${fraction}e${exponent}`;
    }),
  fc.constantFrom("1e18", "-0", "0.0", "0e99999999999", "18446744073709551615", "18446744073709551616"),
  fc.constantFrom(
    "-9223372036854775808",
    "-9223372036854775809",
    "9223372036854775808",
    "1.",
    ".5",
    "1e",
    "--1",
  ),
  fc.constantFrom("1.5.+3", "1e5e5", "00", "1200e-2", "1200e-3", "1e99999999999999999999", "１"),
);

/** The value of the halves. */
function bigintOf(integer: number | Long | undefined, signed: boolean): bigint | undefined {
  if (integer === undefined || typeof integer === "number")
    return integer === undefined ? undefined : BigInt(integer);
  const bits = (BigInt(integer.high) << 32n) | BigInt(integer.low);
  return signed ? BigInt.asIntN(64, bits) : bits;
}

test("an integer in any form is read digit by digit as bigints read it", () => {
  fc.assert(
    fc.property(anyForm, text => {
      const exact = exactInteger(text);
      const inRange = (low: bigint, high: bigint) =>
        exact === undefined || exact < low || exact > high ? undefined : exact;
      const reader = readIntegerText(text);
      assert.equal(bigintOf(reader?.int64(), true), inRange(-(2n ** 63n), 2n ** 63n - 1n), text);
      assert.equal(bigintOf(reader?.uint64(), false), inRange(0n, 2n ** 64n - 1n), text);
    }),
    { numRuns: 5000 },
  );
});
