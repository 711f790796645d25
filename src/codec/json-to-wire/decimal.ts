/** JSON's number grammar (RFC 8259 §6), which is also that of numbers in ProtoJSON strings. */
const numberSyntax = /^(-?)(0|[1-9][0-9]*)(?:\.([0-9]+))?(?:[eE]([+-]?[0-9]+))?$/;

/** Longer texts are refused unread. */
const maxNumberChars = 1000;

/** True where the text is one JSON number of at most 1,000 characters and nothing else. */
export function isNumberText(text: string): boolean {
  return text.length <= maxNumberChars && numberSyntax.test(text);
}

/** More digits than any finite double has. */
const maxBigintDigits = 310;

/**
 * The exact value of a JSON number that is an integer however it is written (`1e3`, `1.0`), of any size up to 310 digits;
 * undefined for anything else. For single values: `readIntegerText` is many times faster.
 */
export function exactInteger(text: string): bigint | undefined {
  const match = text.length <= maxNumberChars ? numberSyntax.exec(text) : null;
  if (match === null) return undefined;
  const [, sign = "", whole = "", fraction = "", exponent = "0"] = match;
  const digits = (whole + fraction).replace(/^0+/, "");
  if (digits === "") return 0n;
  const significant = digits.replace(/0+$/, "");
  const zeros = Number(exponent) - fraction.length + digits.length - significant.length;
  if (zeros < 0 || significant.length + zeros > maxBigintDigits) return undefined;
  return BigInt(sign + significant + "0".repeat(zeros));
}

/** A 64-bit integer that no double holds exactly: two unsigned halves in two's complement. */
export class Long {
  constructor(
    readonly low: number,
    readonly high: number,
  ) {}
}

/** Decimal digits that a double always holds exactly. */
const EXACT_DIGITS = 15;
const maxDigits = 20;
/** Digits of the upper part; the product with a power of ten below 10^11 is then done in two exact pieces. */
const topDigits = 10;
/** A larger exponent means zero or a number out of range, however large it is. */
const maxExponent = 100_000;
const MINUS = 0x2d;
const PLUS = 0x2b;
const POINT = 0x2e;
const ZERO = 0x30;
const TWO_32 = 0x1_0000_0000;
const powersOfTen = Array.from({ length: topDigits + 1 }, (_, exponent) => 10 ** exponent);

/**
 * Reads integers in any form that JSON has for them (`12`, `1e3`, `10.0`, `1200e-2`) digit by digit. It holds the last
 * integer that was read; no await lies between `read` and its use.
 */
class IntegerReader {
  /** Where the number ended. */
  end = 0;
  #negative = false;
  /** The magnitude. */
  #low = 0;
  #high = 0;

  /** @returns false where there is no number, it has a fraction, or its magnitude is above 2^64 - 1 */
  read(bytes: Uint8Array, start: number): boolean {
    let at = start;
    const negative = bytes[at] === MINUS;
    if (negative) at++;
    const first = at;
    let top = 0;
    let rest = 0;
    let count = 0;
    let zeros = 0;
    let point = -1;
    for (; ; at++) {
      const byte = bytes[at];
      if (byte === POINT && point < 0) {
        point = at;
        continue;
      }
      if (byte === undefined || byte < ZERO || byte > ZERO + 9) break;
      // Zeros count only where another digit follows, or none of them lies behind the point.
      if (byte === ZERO) {
        if (count > 0) zeros++;
        continue;
      }
      if (count + zeros >= maxDigits) return false;
      for (; zeros > 0; zeros--, count++) {
        if (count < topDigits) top *= 10;
        else rest *= 10;
      }
      if (count < topDigits) top = top * 10 + byte - ZERO;
      else rest = rest * 10 + byte - ZERO;
      count++;
    }
    const whole = (point < 0 ? at : point) - first;
    if (whole === 0 || point === at - 1 || (bytes[first] === ZERO && whole > 1)) return false;
    if (point >= 0) zeros -= at - point - 1;
    if (bytes[at] === 0x65 || bytes[at] === 0x45) {
      at++;
      const isNegative = bytes[at] === MINUS;
      if (isNegative || bytes[at] === PLUS) at++;
      const digits = at;
      let exponent = 0;
      for (let byte = bytes[at]; byte !== undefined && byte >= ZERO && byte <= ZERO + 9; byte = bytes[++at]) {
        exponent = Math.min(exponent * 10 + byte - ZERO, maxExponent);
      }
      if (at === digits) return false;
      zeros += isNegative ? -exponent : exponent;
    }
    this.end = at;
    this.#negative = negative;
    if (count > 0) {
      if (zeros < 0 || count + zeros > maxDigits) return false;
      for (; zeros > 0; zeros--, count++) {
        if (count < topDigits) top *= 10;
        else rest *= 10;
      }
    }
    // top × 10^n + rest in pieces that doubles hold exactly.
    const power = powersOfTen[Math.max(0, count - topDigits)]!;
    const upper = Math.floor(top / 0x1_0000) * power;
    const middle = (upper % 0x1_0000) * 0x1_0000 + (top % 0x1_0000) * power + rest;
    this.#low = middle % TWO_32;
    this.#high = Math.floor(upper / 0x1_0000) + Math.floor(middle / TWO_32);
    return this.#high < TWO_32;
  }

  /** As an int64; undefined where it is out of range. */
  int64(): number | Long | undefined {
    const low = this.#low;
    const high = this.#high;
    if (high < 0x20_0000) {
      const number = high * TWO_32 + low;
      return this.#negative ? 0 - number : number;
    }
    if (!this.#negative) return high < 0x8000_0000 ? new Long(low, high) : undefined;
    if (high > 0x8000_0000 || (high === 0x8000_0000 && low > 0)) return undefined;
    return new Long(-low >>> 0, (~high + (low === 0 ? 1 : 0)) >>> 0);
  }

  /** As a uint64; undefined where it is negative. */
  uint64(): number | Long | undefined {
    const low = this.#low;
    const high = this.#high;
    if (this.#negative && (low !== 0 || high !== 0)) return undefined;
    return high < 0x20_0000 ? high * TWO_32 + low : new Long(low, high);
  }
}

const reader = new IntegerReader();
/** Room for the longest text, three bytes a character, and a zero behind it. */
const scratch = Buffer.alloc(maxNumberChars * 3 + 1);

/** Reads an integer of any form from bytes; undefined where there is none or it is longer than 1,000 characters. */
export function readAnyInteger(bytes: Uint8Array, start: number): IntegerReader | undefined {
  return reader.read(bytes, start) && reader.end - start <= maxNumberChars ? reader : undefined;
}

/** The same from a text that is nothing else. */
export function readIntegerText(text: string): IntegerReader | undefined {
  if (text.length > maxNumberChars) return undefined;
  const length = scratch.write(text, "utf8");
  scratch[length] = 0;
  return reader.read(scratch, 0) && reader.end === length ? reader : undefined;
}

/**
 * The value of an integer of at most 15 digits in its plain form, which nearly all have (`-12`, not `1.2e1`). NaN for
 * any other text, which may be an integer all the same.
 */
export function plainInteger(text: string): number {
  const first = text.charCodeAt(0) === MINUS ? 1 : 0;
  const digits = text.length - first;
  if (digits < 1 || digits > EXACT_DIGITS) return Number.NaN;
  if (digits > 1 && text.charCodeAt(first) === ZERO) return Number.NaN;
  let value = 0;
  for (let index = first; index < text.length; index++) {
    const digit = text.charCodeAt(index) - ZERO;
    if (digit < 0 || digit > 9) return Number.NaN;
    value = value * 10 + digit;
  }
  return first === 0 ? value : 0 - value;
}
