import { TranscodeError } from "./error.js";
import { describeJson, type JsonValue } from "./json.js";
import type { Writer } from "./json-to-wire/writer.js";

const UNDERSCORE = 0x5f;
const BACKTICK = 0x60;
const COMMA = 0x2c;
const POINT = 0x2e;
const STAR = 0x2a;

/**
 * The paths of a mask in its JSON form, `author.firstName,items.*.name`, as proto field paths, one after the other.
 * A segment `*` stands for all fields or elements (AIP-134, AIP-161), and one in backticks is the key of a map.
 */
export interface MaskPaths {
  readonly bytes: Uint8Array;
  /** Where each path ends. */
  readonly ends: readonly number[];
}

/** @throws TranscodeError INVALID_VALUE */
export function parseFieldMask(value: JsonValue): MaskPaths {
  const paths = typeof value === "string" ? scanPaths(Buffer.from(value)) : undefined;
  if (paths !== undefined) return paths;
  throw new TranscodeError(
    "INVALID_VALUE",
    "",
    `expected field paths in lowerCamelCase such as "title,author.firstName" or "*", found ${describeJson(value)}`,
  );
}

/** Writes `repeated string paths = 1` of `google.protobuf.FieldMask`. @throws TranscodeError INVALID_VALUE */
export function writeFieldMask(value: JsonValue, writer: Writer): void {
  const { bytes, ends } = parseFieldMask(value);
  let start = 0;
  for (const end of ends) {
    writer.uint32(10);
    writer.slice(bytes, start, end);
    start = end;
  }
}

/** Byte by byte, as a mask may be as large as a body: each capital becomes two characters. */
function scanPaths(text: Uint8Array): MaskPaths | undefined {
  const bytes = Buffer.allocUnsafe(text.length * 2);
  const ends: number[] = [];
  let to = 0;
  let start = 0;
  for (let at = 0; at < text.length; ) {
    const byte = text[at]!;
    if (byte === COMMA) {
      if (to === start || at + 1 === text.length) return undefined;
      ends.push(to);
      start = to;
      at++;
    } else if (byte >= 0x41 && byte <= 0x5a) {
      bytes[to++] = UNDERSCORE;
      bytes[to++] = byte | 0x20;
      at++;
    } else if (isPlain(byte)) {
      bytes[to++] = byte;
      at++;
    } else {
      const end = wholeSegment(text, 0, at, text.length);
      if (end < 0) return undefined;
      while (at < end) bytes[to++] = text[at++]!;
    }
  }
  if (text.length > 0) ends.push(to);
  return { bytes, ends };
}

/**
 * One proto field path in lowerCamelCase, written to `into` from `to` on.
 * @returns where it ends there; -1 where the way back would not give the same path
 */
export function formatMaskPath(
  path: Uint8Array,
  start: number,
  end: number,
  into: Uint8Array,
  to: number,
): number {
  let out = to;
  for (let at = start; at < end; ) {
    const byte = path[at]!;
    if (byte === UNDERSCORE) {
      const letter = at + 1 < end ? path[at + 1]! : 0;
      if (letter < 0x61 || letter > 0x7a) return -1;
      into[out++] = letter & 0xdf;
      at += 2;
    } else if (isPlain(byte)) {
      into[out++] = byte;
      at++;
    } else {
      const after = wholeSegment(path, start, at, end);
      if (after < 0) return -1;
      while (at < after) into[out++] = path[at++]!;
    }
  }
  return out;
}

/** a–z, 0–9 and the point. */
function isPlain(byte: number): boolean {
  return (byte >= 0x61 && byte <= 0x7a) || (byte >= 0x30 && byte <= 0x39) || byte === POINT;
}

/** The end of a segment that is `*` or in backticks; -1 where none begins at `at`. */
function wholeSegment(text: Uint8Array, start: number, at: number, end: number): number {
  const before = text[at - 1];
  if (at > start && before !== POINT && before !== COMMA) return -1;
  let after = at + 1;
  if (text[at] === BACKTICK) {
    while (after < end && text[after] !== BACKTICK) after++;
    if (after === end) return -1;
    after++;
  } else if (text[at] !== STAR) {
    return -1;
  }
  return after === end || text[after] === POINT || text[after] === COMMA ? after : -1;
}
