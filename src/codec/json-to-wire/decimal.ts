/** JSON's number grammar (RFC 8259 §6), which is also that of numbers in ProtoJSON strings. */
const NUMBER = /^(-?)(0|[1-9][0-9]*)(?:\.([0-9]+))?(?:[eE]([+-]?[0-9]+))?$/;

/** More digits than any 64-bit integer or finite double has. */
const MOST_DIGITS = 310;
/** Longer texts are refused unread. */
const LONGEST = 1000;

/** True where the text is one JSON number of at most 1,000 characters and nothing else. */
export function isNumberText(text: string): boolean {
  return text.length <= LONGEST && NUMBER.test(text);
}

/**
 * The exact value of a JSON number that is an integer however it is written (`1e3`, `1.0`); undefined where the text
 * is no number, has a fraction, has more than 310 digits or 1,000 characters.
 */
export function exactInteger(text: string): bigint | undefined {
  const match = text.length <= LONGEST ? NUMBER.exec(text) : null;
  if (match === null) return undefined;
  const [, sign = "", whole = "", fraction = "", exponent = "0"] = match;
  const digits = (whole + fraction).replace(/^0+/, "");
  if (digits === "") return 0n;
  const significant = digits.replace(/0+$/, "");
  const zeros = Number(exponent) - fraction.length + digits.length - significant.length;
  if (zeros < 0 || significant.length + zeros > MOST_DIGITS) return undefined;
  return BigInt(sign + significant + "0".repeat(zeros));
}

/** Decimal digits that a double holds exactly, whatever they are. */
const PLAIN_DIGITS = 15;
const MINUS = 0x2d;
const ZERO = 0x30;

/**
 * The value of an integer of at most 15 digits in its plain form, which nearly all have (`-12`, not `1.2e1`). NaN for
 * any other text, which may be an integer all the same.
 */
export function plainInteger(text: string): number {
  const first = text.charCodeAt(0) === MINUS ? 1 : 0;
  const digits = text.length - first;
  if (digits < 1 || digits > PLAIN_DIGITS) return Number.NaN;
  if (digits > 1 && text.charCodeAt(first) === ZERO) return Number.NaN;
  let value = 0;
  for (let index = first; index < text.length; index++) {
    const digit = text.charCodeAt(index) - ZERO;
    if (digit < 0 || digit > 9) return Number.NaN;
    value = value * 10 + digit;
  }
  return first === 0 ? value : 0 - value;
}
