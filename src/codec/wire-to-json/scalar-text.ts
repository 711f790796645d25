import { isUtf8 } from "node:buffer";
import type { EnumType, Field } from "../../descriptors/model.js";
import { malformed, type Reader } from "./reader.js";

/** Reads one value from the wire and gives its JSON text. */
export type ReadText = (reader: Reader) => string;

function int32Text(reader: Reader): string {
  return String(reader.uint32() | 0);
}

function uint32Text(reader: Reader): string {
  return String(reader.uint32());
}

function sint32Text(reader: Reader): string {
  const bits = reader.uint32();
  return String((bits >>> 1) ^ -(bits & 1));
}

function fixed32Text(reader: Reader): string {
  return String(reader.fixed32());
}

function sfixed32Text(reader: Reader): string {
  return String(reader.fixed32() | 0);
}

function int64Text(reader: Reader): string {
  reader.varint64();
  return `"${signed(reader.low, reader.high)}"`;
}

function uint64Text(reader: Reader): string {
  reader.varint64();
  return `"${unsigned(reader.low, reader.high)}"`;
}

function sint64Text(reader: Reader): string {
  reader.zigzag64();
  return `"${signed(reader.low, reader.high)}"`;
}

function fixed64Text(reader: Reader): string {
  reader.fixed64();
  return `"${unsigned(reader.low, reader.high)}"`;
}

function sfixed64Text(reader: Reader): string {
  reader.fixed64();
  return `"${signed(reader.low, reader.high)}"`;
}

/** The same integers as JSON numbers where a double holds them exactly, else as strings still. */
export function asNumber(read: ReadText): ReadText {
  return reader => {
    const text = read(reader);
    const digits = text.slice(1, -1);
    return digits.length < 16 || Number.isSafeInteger(Number(digits)) ? digits : text;
  };
}

/** Map keys of every kind are strings. */
export function asKey(read: ReadText): ReadText {
  return reader => {
    const text = read(reader);
    return text.startsWith('"') ? text : `"${text}"`;
  };
}

function boolText(reader: Reader): string {
  reader.varint64();
  return reader.low !== 0 || reader.high !== 0 ? "true" : "false";
}

function doubleText(reader: Reader): string {
  return numberText(reader.double());
}

function floatText(reader: Reader): string {
  return floatJson(reader.float());
}

/** The shortest decimal that a 32-bit reader takes for the number. */
export function floatJson(value: number): string {
  const text = numberText(value);
  // A float has at most nine significant digits, its double mostly more: 0.1 would be 0.10000000149011612.
  if (text.length <= 8 || !Number.isFinite(value)) return text;
  for (let digits = 6; digits < 9; digits++) {
    const short = Number(value.toPrecision(digits));
    if (Math.fround(short) === value) return String(short);
  }
  return String(Number(value.toPrecision(9)));
}

/** `google.protobuf.Value.number_value`, which has no text for NaN and the infinities. */
export function finiteText(reader: Reader): string {
  const value = reader.double();
  if (!Number.isFinite(value))
    throw malformed(`google.protobuf.Value cannot hold the number ${value} in JSON`);
  return numberText(value);
}

function numberText(value: number): string {
  if (Number.isFinite(value)) return value === 0 && 1 / value < 0 ? "-0" : String(value);
  return `"${value}"`;
}

/** A string that must be valid UTF-8. */
export function stringText(reader: Reader): string {
  return readString(reader, true);
}

/** A string of proto2, where bytes that are not UTF-8 become U+FFFD. */
function looseStringText(reader: Reader): string {
  return readString(reader, false);
}

/** Up to this length a string is made faster from its codes than by a native call. */
const maxHandCopiedChars = 16;

function readString(reader: Reader, strict: boolean): string {
  const end = reader.span();
  const start = reader.pos;
  const { bytes } = reader;
  reader.pos = end;
  let at = start;
  for (; at < end; at++) {
    const byte = bytes[at]!;
    if (byte < 0x20 || byte > 0x7e || byte === 0x22 || byte === 0x5c) break;
  }
  if (at === end) {
    return end - start <= maxHandCopiedChars
      ? shortText(bytes, start, end)
      : `"${bytes.toString("latin1", start, end)}"`;
  }
  const text = bytes.toString("utf8", start, end);
  if (strict && text.includes("\ufffd") && !isUtf8(bytes.subarray(start, end))) {
    throw malformed("a string is not valid UTF-8");
  }
  return JSON.stringify(text);
}

/** Quotes plain ASCII. */
function shortText(bytes: Uint8Array, start: number, end: number): string {
  let text = '"';
  let at = start;
  for (; at + 3 < end; at += 4) {
    text += String.fromCharCode(bytes[at]!, bytes[at + 1]!, bytes[at + 2]!, bytes[at + 3]!);
  }
  for (; at < end; at++) text += String.fromCharCode(bytes[at]!);
  return `${text}"`;
}

function bytesText(reader: Reader): string {
  const end = reader.span();
  const text = `"${reader.bytes.toString("base64", reader.pos, end)}"`;
  reader.pos = end;
  return text;
}

/**
 * Enum values by name, unknown ones by number. For a closed enum an unknown number gives the empty text: such a value
 * belongs to the unknown fields.
 */
export function enumText(type: EnumType, policy: "name" | "number"): ReadText {
  if (type.fullName === "google.protobuf.NullValue") {
    return reader => {
      reader.varint64();
      return "null";
    };
  }
  const texts = new Map<number, string>();
  for (const [number, value] of type.valuesByNumber) {
    texts.set(number, policy === "name" ? JSON.stringify(value.name) : String(number));
  }
  const { closed } = type;
  return reader => {
    const number = reader.uint32() | 0;
    return texts.get(number) ?? (closed ? "" : String(number));
  };
}

function unsigned(low: number, high: number): string {
  if (high < 0x20_0000) return String(high * 0x1_0000_0000 + low);
  return ((BigInt(high) << 32n) | BigInt(low)).toString();
}

function signed(low: number, high: number): string {
  if (high < 0x20_0000) return String(high * 0x1_0000_0000 + low);
  const top = high | 0;
  if (top < 0 && top >= -0x20_0000) return String(top * 0x1_0000_0000 + low);
  return ((BigInt(top) << 32n) | BigInt(low)).toString();
}

/** Readers of 64-bit integers. */
export const longReaders = new Set([int64Text, uint64Text, sint64Text, fixed64Text, sfixed64Text]);

/** Of a field that is neither a message nor an enum. */
export function scalarReader(field: Field): ReadText {
  switch (field.kind) {
    case "double":
      return doubleText;
    case "float":
      return floatText;
    case "int32":
      return int32Text;
    case "int64":
      return int64Text;
    case "uint32":
      return uint32Text;
    case "uint64":
      return uint64Text;
    case "sint32":
      return sint32Text;
    case "sint64":
      return sint64Text;
    case "fixed32":
      return fixed32Text;
    case "fixed64":
      return fixed64Text;
    case "sfixed32":
      return sfixed32Text;
    case "sfixed64":
      return sfixed64Text;
    case "bool":
      return boolText;
    case "bytes":
      return bytesText;
    default:
      return field.utf8 ? stringText : looseStringText;
  }
}
