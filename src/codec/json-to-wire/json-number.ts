import { type Instant, secondsOf } from "../instant.js";
import { cost } from "../work.js";
import { type Long, readAnyInteger } from "./decimal.js";
import { BAIL, type JsonCursor } from "./json-cursor.js";

const QUOTE = 0x22;
const PLUS = 0x2b;
const MINUS = 0x2d;
const POINT = 0x2e;
const ZERO = 0x30;
const COLON = 0x3a;

/** An integer of so many digits is exact in a double, and so is its quotient by a power of ten up to 10^22. */
const EXACT_DIGITS = 15;
/** Powers of ten that a double holds exactly. */
const maxExactExponent = 22;
const powersOfTen = Array.from({ length: maxExactExponent + 1 }, (_, exponent) => 10 ** exponent);
const maxLongDigits = 19;
const NINE_DIGITS = 1_000_000_000;
const TWO_32 = 0x1_0000_0000;

/** An integer of up to 15 digits, in quotes or not; NaN, and `pos` as it was, for anything else. */
export function readInteger(cursor: JsonCursor): number {
  const { bytes } = cursor;
  let at = cursor.pos;
  const quoted = bytes[at] === QUOTE;
  if (quoted) at++;
  const negative = bytes[at] === MINUS;
  if (negative) at++;
  const start = at;
  let number = 0;
  let digit = (bytes[at] ?? 0) - ZERO;
  while (digit >= 0 && digit <= 9) {
    number = number * 10 + digit;
    digit = (bytes[++at] ?? 0) - ZERO;
  }
  if (at === start || at - start > EXACT_DIGITS || (bytes[start] === ZERO && at - start > 1))
    return Number.NaN;
  if (quoted ? bytes[at] !== QUOTE : isNumberPart(bytes[at])) return Number.NaN;
  cursor.pos = quoted ? at + 1 : at;
  return negative ? 0 - number : number;
}

/**
 * An integer of 16 to 19 digits, in quotes or not, into `low` and `high` in two's complement.
 * @returns false, and `pos` as it was, for anything else and where a signed one has more than 63 bits
 */
export function readLong(cursor: JsonCursor, signed: boolean): boolean {
  const { bytes } = cursor;
  let at = cursor.pos;
  const quoted = bytes[at] === QUOTE;
  if (quoted) at++;
  const negative = bytes[at] === MINUS;
  if (negative) at++;
  const start = at;
  let digit = (bytes[at] ?? 0) - ZERO;
  while (digit >= 0 && digit <= 9) digit = (bytes[++at] ?? 0) - ZERO;
  const count = at - start;
  if (count <= EXACT_DIGITS || count > maxLongDigits || bytes[start] === ZERO) return false;
  if (quoted ? bytes[at] !== QUOTE : isNumberPart(bytes[at])) return false;
  const top = digits(bytes, start, at - 9);
  const rest = digits(bytes, at - 9, at);
  // top × 10⁹ + rest in pieces that doubles hold exactly: top has at most ten digits.
  const lower = (top % 0x1_0000) * NINE_DIGITS + rest;
  const upper = Math.floor(top / 0x1_0000) * NINE_DIGITS;
  const middle = (upper % 0x1_0000) * 0x1_0000 + lower;
  let low = middle % TWO_32;
  let high = Math.floor(upper / 0x1_0000) + Math.floor(middle / TWO_32);
  if (signed ? high > 0x7fff_ffff : negative) return false;
  if (negative) {
    low = -low >>> 0;
    high = (~high + (low === 0 ? 1 : 0)) >>> 0;
  }
  cursor.low = low;
  cursor.high = high;
  cursor.pos = quoted ? at + 1 : at;
  return true;
}

/**
 * An integer in any other form: `1e3`, `-0`, `10.0`, in quotes or not.
 * @throws BAIL where there is none or it is out of range
 */
export function anyInteger(cursor: JsonCursor, signed: boolean): number | Long {
  const { bytes, pos } = cursor;
  const quoted = bytes[pos] === QUOTE;
  const reader = readAnyInteger(bytes, quoted ? pos + 1 : pos);
  const value = signed ? reader?.int64() : reader?.uint64();
  if (value === undefined || (quoted && bytes[reader!.end] !== QUOTE)) throw BAIL;
  cursor.spend(cost.integerForm);
  cursor.pos = reader!.end + (quoted ? 1 : 0);
  return value;
}

/** A decimal number of up to 15 digits, with an exponent or without; NaN, and `pos` as it was, for anything else. */
export function readDecimal(cursor: JsonCursor): number {
  const { bytes } = cursor;
  let at = cursor.pos;
  const negative = bytes[at] === MINUS;
  if (negative) at++;
  const start = at;
  let number = 0;
  let digit = (bytes[at] ?? 0) - ZERO;
  while (digit >= 0 && digit <= 9) {
    number = number * 10 + digit;
    digit = (bytes[++at] ?? 0) - ZERO;
  }
  const whole = at - start;
  if (whole === 0 || (bytes[start] === ZERO && whole > 1)) return Number.NaN;
  let fraction = 0;
  if (bytes[at] === POINT) {
    const point = at++;
    digit = (bytes[at] ?? 0) - ZERO;
    while (digit >= 0 && digit <= 9) {
      number = number * 10 + digit;
      digit = (bytes[++at] ?? 0) - ZERO;
    }
    fraction = at - point - 1;
    if (fraction === 0) return Number.NaN;
  }
  if (whole + fraction > EXACT_DIGITS) return Number.NaN;
  let exponent = -fraction;
  if (isNumberPart(bytes[at])) {
    if (bytes[at] === POINT) return Number.NaN;
    const sign = bytes[++at];
    if (sign === MINUS || sign === PLUS) at++;
    const first = at;
    let power = 0;
    digit = (bytes[at] ?? 0) - ZERO;
    while (digit >= 0 && digit <= 9) {
      power = power * 10 + digit;
      digit = (bytes[++at] ?? 0) - ZERO;
    }
    exponent += sign === MINUS ? -power : power;
    if (at === first) return Number.NaN;
  }
  // Both are exact, so that the result is the nearest double.
  if (exponent > maxExactExponent || exponent < -maxExactExponent) return Number.NaN;
  cursor.pos = at;
  if (exponent < 0) number /= powersOfTen[-exponent]!;
  else if (exponent > 0) number *= powersOfTen[exponent]!;
  return negative ? -number : number;
}

/** A time in UTC, `"2006-01-02T15:04:05.999999999Z"`; undefined, and `pos` as it was, for anything else. */
export function readUtc(cursor: JsonCursor): Instant | undefined {
  const { bytes, pos } = cursor;
  if (bytes[pos + 5] !== MINUS || bytes[pos + 8] !== MINUS || bytes[pos + 11] !== 0x54) return undefined;
  if (bytes[pos + 14] !== COLON || bytes[pos + 17] !== COLON || bytes[pos] !== QUOTE) return undefined;
  const hour = pair(bytes, pos + 12);
  const minute = pair(bytes, pos + 15);
  const second = pair(bytes, pos + 18);
  // NaN, which digits of another kind make, is not within anything.
  if (!(hour < 24 && minute < 60 && second < 60)) return undefined;
  let at = pos + 20;
  let nanos = 0;
  if (bytes[at] === POINT) {
    const start = ++at;
    for (let digit = bytes[at]; digit !== undefined && digit >= ZERO && digit <= 0x39; digit = bytes[++at])
      nanos = nanos * 10 + digit - ZERO;
    const count = at - start;
    if (count === 0 || count > 9) return undefined;
    nanos *= powersOfTen[9 - count]!;
  }
  if (bytes[at] !== 0x5a || bytes[at + 1] !== QUOTE) return undefined;
  const year = pair(bytes, pos + 1) * 100 + pair(bytes, pos + 3);
  const ofDay = (hour * 60 + minute) * 60 + second;
  const seconds = secondsOf(year, pair(bytes, pos + 6), pair(bytes, pos + 9), ofDay);
  if (seconds === undefined) return undefined;
  cursor.pos = at + 2;
  return { seconds, nanos };
}

/** Two digits; NaN where there are others. */
function pair(bytes: Uint8Array, at: number): number {
  const tens = bytes[at]! - ZERO;
  const ones = bytes[at + 1]! - ZERO;
  return tens >= 0 && tens <= 9 && ones >= 0 && ones <= 9 ? tens * 10 + ones : Number.NaN;
}

function digits(bytes: Uint8Array, start: number, end: number): number {
  let number = 0;
  for (let at = start; at < end; at++) number = number * 10 + bytes[at]! - ZERO;
  return number;
}

/** A point or an exponent: what goes before it is not the whole number. */
function isNumberPart(byte: number | undefined): boolean {
  return byte === POINT || byte === 0x65 || byte === 0x45;
}
