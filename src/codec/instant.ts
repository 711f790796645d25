import { TranscodeError } from "./error.js";
import { describeJson, type JsonValue } from "./json.js";

/** 0001-01-01T00:00:00Z and 9999-12-31T23:59:59Z, in seconds of the Unix epoch. */
const minTimeSeconds = -62135596800;
const maxTimeSeconds = 253402300799;

/** Seconds and the nanoseconds after them, as Timestamp and Duration hold them. */
export interface Instant {
  readonly seconds: number;
  readonly nanos: number;
}

/**
 * Reads `2006-01-02T15:04:05.999999999Z`: RFC 3339 with up to nine digits of a second and `Z` or an offset.
 * @throws TranscodeError INVALID_VALUE
 */
export function parseTimestamp(value: JsonValue): Instant {
  const instant = typeof value === "string" ? scanTimestamp(value) : undefined;
  if (instant === undefined) throw invalid(value);
  return instant;
}

/** Character by character: a body can hold a great many times, and a regular expression takes ten times as long. */
function scanTimestamp(text: string): Instant | undefined {
  for (const [at, char] of punctuation) if (text.charCodeAt(at) !== char) return undefined;
  let at = 19;
  let nanos = 0;
  if (text[at] === ".") {
    const start = ++at;
    for (let digit = digitAt(text, at); digit >= 0; digit = digitAt(text, ++at)) nanos = nanos * 10 + digit;
    if (at === start || at - start > 9) return undefined;
    nanos *= 10 ** (9 - (at - start));
  }
  const offset = offsetAt(text, at);
  const [hour, minute, second] = [pairAt(text, 11), pairAt(text, 14), pairAt(text, 17)];
  // NaN, the result for characters that are not digits, fails every comparison.
  if (!(hour < 24 && minute < 60 && second < 60 && offset > -86_400)) return undefined;
  const year = pairAt(text, 0) * 100 + pairAt(text, 2);
  const seconds = secondsOf(year, pairAt(text, 5), pairAt(text, 8), (hour * 60 + minute) * 60 + second, 0);
  if (seconds === undefined) return undefined;
  const utc = seconds - offset;
  return utc >= minTimeSeconds && utc <= maxTimeSeconds ? { seconds: utc, nanos } : undefined;
}

/** The characters between the digits of `2006-01-02T15:04:05`. */
const punctuation = [
  [4, 0x2d],
  [7, 0x2d],
  [10, 0x54],
  [13, 0x3a],
  [16, 0x3a],
] as const;

/** Seconds east of UTC of the `Z` or `+01:00` that ends the text; NaN where none does. */
function offsetAt(text: string, at: number): number {
  if (text[at] === "Z") return text.length === at + 1 ? 0 : Number.NaN;
  const sign = text[at] === "+" ? 1 : text[at] === "-" ? -1 : Number.NaN;
  const [hour, minute] = [pairAt(text, at + 1), pairAt(text, at + 4)];
  if (text.length !== at + 6 || text[at + 3] !== ":" || !(hour < 24 && minute < 60)) return Number.NaN;
  return sign * (hour * 60 + minute) * 60;
}

function pairAt(text: string, at: number): number {
  const [tens, ones] = [digitAt(text, at), digitAt(text, at + 1)];
  return tens >= 0 && ones >= 0 ? tens * 10 + ones : Number.NaN;
}

/** A digit; -1 for any other character and beyond the end. */
function digitAt(text: string, at: number): number {
  const digit = text.charCodeAt(at) - 0x30;
  return digit >= 0 && digit <= 9 ? digit : -1;
}

/**
 * Seconds of the epoch from a date and the second of its day; undefined for no date.
 * @param minYear 0 where an offset can still lead into the year 1
 */
export function secondsOf(
  year: number,
  month: number,
  day: number,
  second: number,
  minYear = 1,
): number | undefined {
  if (!(year >= minYear && month >= 1 && month <= 12 && day >= 1)) return undefined;
  const leap = year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0);
  if (day > daysOfMonths[month - 1]! + (month === 2 && leap ? 1 : 0)) return undefined;
  // Years that begin with March have the leap day at their end.
  const shifted = month > 2 ? year : year - 1;
  const dayOfYear = Math.floor((153 * (month > 2 ? month - 3 : month + 9) + 2) / 5) + day - 1;
  const days =
    shifted * 365 +
    Math.floor(shifted / 4) -
    Math.floor(shifted / 100) +
    Math.floor(shifted / 400) +
    dayOfYear;
  return (days - EPOCH_DAY) * 86400 + second;
}

/** The Gregorian date of a day counted from 1970-01-01. */
export function civilDate(day: number): {
  readonly year: number;
  readonly month: number;
  readonly date: number;
} {
  const shifted = day + EPOCH_DAY;
  const era = Math.floor(shifted / ERA_DAYS);
  const ofEra = shifted - era * ERA_DAYS;
  const yearOfEra = Math.floor(
    (ofEra - Math.floor(ofEra / 1460) + Math.floor(ofEra / 36_524) - Math.floor(ofEra / 146_096)) / 365,
  );
  const ofYear = ofEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100));
  const fromMarch = Math.floor((5 * ofYear + 2) / 153);
  const date = ofYear - Math.floor((153 * fromMarch + 2) / 5) + 1;
  const month = fromMarch < 10 ? fromMarch + 3 : fromMarch - 9;
  return { year: yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, date };
}

/** Days of four centuries, after which the calendar repeats. */
const ERA_DAYS = 146_097;

const daysOfMonths = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
/** Days from the first of March of the year 0 to the first of January 1970. */
const EPOCH_DAY = 719_468;

/** True for the years 0001 to 9999 and for nanoseconds of one second. */
export function isTimestamp(seconds: number, nanos: number): boolean {
  return seconds >= minTimeSeconds && seconds <= maxTimeSeconds && nanos >= 0 && nanos <= 999_999_999;
}

/** Undefined where the instant is outside the years 0001 to 9999 or `nanos` outside 0 to 999,999,999. */
export function formatTimestamp(seconds: number, nanos: number): string | undefined {
  if (!isTimestamp(seconds, nanos)) return undefined;
  return `${new Date(seconds * 1000).toISOString().slice(0, 19)}${formatNanos(nanos)}Z`;
}

/** The nanoseconds of up to nine digits after the point. */
function parseNanos(fraction: string | undefined): number {
  return fraction === undefined ? 0 : Number(fraction.padEnd(9, "0"));
}

/** Nothing, or a point and three, six or nine digits. */
function formatNanos(nanos: number): string {
  if (nanos === 0) return "";
  const digits = String(nanos).padStart(9, "0");
  if (nanos % 1_000_000 === 0) return `.${digits.slice(0, 3)}`;
  return nanos % 1000 === 0 ? `.${digits.slice(0, 6)}` : `.${digits}`;
}

function invalid(value: JsonValue): TranscodeError {
  return new TranscodeError(
    "INVALID_VALUE",
    "",
    `expected a time such as "2006-01-02T15:04:05Z" in the years 0001 to 9999, found ${describeJson(value)}`,
  );
}

/** About 10,000 years (google/protobuf/duration.proto). */
const maxDurationSeconds = 315_576_000_000;

const durationSyntax = /^(-?)(\d{1,12})(?:\.(\d{1,9}))?s$/;

/**
 * Reads `1.5s`: seconds with up to nine digits after the point, within ±315,576,000,000 s.
 * @throws TranscodeError INVALID_VALUE
 */
export function parseDuration(value: JsonValue): Instant {
  const match = typeof value === "string" ? durationSyntax.exec(value) : null;
  const seconds = match === null ? Number.NaN : Number(match[2]);
  if (match === null || !(seconds <= maxDurationSeconds)) {
    throw new TranscodeError(
      "INVALID_VALUE",
      "",
      `expected a duration such as "1.5s", at most ${maxDurationSeconds}s, found ${describeJson(value)}`,
    );
  }
  const nanos = parseNanos(match[3]);
  return match[1] === "" ? { seconds, nanos } : { seconds: 0 - seconds, nanos: 0 - nanos };
}

/** Undefined where a part is out of range or the two have different signs. */
export function formatDuration(seconds: number, nanos: number): string | undefined {
  const whole = Math.abs(seconds);
  const part = Math.abs(nanos);
  if (
    !(whole <= maxDurationSeconds) ||
    part > 999_999_999 ||
    (seconds < 0 && nanos > 0) ||
    (seconds > 0 && nanos < 0)
  ) {
    return undefined;
  }
  return `${seconds < 0 || nanos < 0 ? "-" : ""}${whole}${formatNanos(part)}s`;
}
