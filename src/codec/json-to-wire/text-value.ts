import type { Field, MessageType } from "../../descriptors/model.js";
import { TranscodeError } from "../error.js";
import { formatMaskPath, parseFieldMask } from "../field-mask.js";
import { formatDuration, formatTimestamp, parseDuration, parseTimestamp } from "../instant.js";
import { JsonNumber, type JsonValue } from "../json.js";
import {
  DURATION,
  FIELD_MASK,
  isWrapper,
  NULL_VALUE,
  type OwnWrappers,
  TIMESTAMP,
  VALUE,
  wrappedField,
} from "../well-known.js";
import { isNumberText } from "./decimal.js";
import {
  bytesValue,
  doubleValue,
  enumValue,
  floatValue,
  int32Value,
  int64Value,
  invalid,
  uint32Value,
  uint64Value,
} from "./scalar-value.js";

/** True for fields whose values a path or a query can hold as text: scalars, enums, and well-known types with a text form. */
export function isTextBindable(field: Field, wrappers: OwnWrappers): boolean {
  if (field.map !== undefined) return false;
  return field.message === undefined || isTextType(field.message, wrappers);
}

function isTextType(type: MessageType, wrappers: OwnWrappers): boolean {
  return [TIMESTAMP, DURATION, FIELD_MASK, VALUE].includes(type.fullName) || isWrapper(type, wrappers);
}

/**
 * The JSON value that one piece of text from a path or a query gives a field, or one element of a repeated field. The
 * result always encodes. Numbers stay text, so that none loses digits.
 * @param field one for which `isTextBindable` holds
 * @throws TranscodeError INVALID_VALUE where the text is no value of the field; empty text is one for strings and bytes
 */
export function leafFromText(field: Field, text: string): JsonValue {
  switch (field.kind) {
    case "string":
      return text;
    case "bytes":
      bytesValue(text);
      return text;
    case "bool":
      return boolFromText(text);
    case "enum":
      return enumFromText(field, text);
    case "message":
      return wellKnownFromText(field.message!, text);
    default:
      checkNumber(field, text);
      return text;
  }
}

function boolFromText(text: string): boolean {
  if (text !== "true" && text !== "false") throw invalid("true or false", text);
  return text === "true";
}

function enumFromText(field: Field, text: string): JsonValue {
  const type = field.enum!;
  if (text === "null" && type.fullName === NULL_VALUE) return null;
  if (text === "") throw invalid(`the name or number of a value of ${type.fullName}`, text);
  const value = /^-?\d{1,10}$/.test(text) ? Number(text) : text;
  enumValue(type, false)(value);
  return value;
}

function checkNumber(field: Field, text: string): void {
  switch (field.kind) {
    case "double":
      doubleValue(text);
      return;
    case "float":
      floatValue(text);
      return;
    case "int32":
    case "sint32":
    case "sfixed32":
      int32Value(text);
      return;
    case "uint32":
    case "fixed32":
      uint32Value(text);
      return;
    case "uint64":
    case "fixed64":
      uint64Value(text);
      return;
    default:
      int64Value(text);
  }
}

function wellKnownFromText(type: MessageType, text: string): JsonValue {
  switch (type.fullName) {
    case TIMESTAMP:
      parseTimestamp(text);
      return text;
    case DURATION:
      parseDuration(text);
      return text;
    case FIELD_MASK:
      parseFieldMask(text);
      return text;
    case VALUE:
      return jsonLiteral(text);
    default: {
      const wrapped = wrappedField(type);
      if (wrapped === undefined) throw invalid(`a value of ${type.fullName}`, text);
      return leafFromText(wrapped, text);
    }
  }
}

/** `google.protobuf.Value` takes JSON's literals and numbers as such, and anything else as a string. */
function jsonLiteral(text: string): JsonValue {
  if (text === "null") return null;
  if (text === "true" || text === "false") return text === "true";
  if (!isNumberText(text)) return text;
  const number = Number(text);
  return Number.isFinite(number) ? number : new JsonNumber(text);
}

const typesOfParts = new Set([TIMESTAMP, DURATION, FIELD_MASK]);

/** True for well-known types with a text form that a query may also give field by field: `t.seconds=5`. */
export function isParted(type: MessageType, wrappers: OwnWrappers): boolean {
  return typesOfParts.has(type.fullName) || isWrapper(type, wrappers);
}

/**
 * The JSON value of a well-known type from values of its fields.
 * @param parts by field; lists for repeated fields
 * @throws TranscodeError INVALID_VALUE where together they are no value of the type
 */
export function partedValue(type: MessageType, parts: ReadonlyMap<Field, JsonValue>): JsonValue {
  switch (type.fullName) {
    case TIMESTAMP:
      return instant(type, parts, formatTimestamp, "a time in the years 0001 to 9999");
    case DURATION:
      return instant(
        type,
        parts,
        formatDuration,
        "a duration whose seconds and nanos are in range and of one sign",
      );
    case FIELD_MASK:
      return mask([...parts.values()].flat());
    default:
      return [...parts.values()][0] ?? null;
  }
}

function instant(
  type: MessageType,
  parts: ReadonlyMap<Field, JsonValue>,
  format: (seconds: number, nanos: number) => string | undefined,
  expected: string,
): string {
  const part = (name: string): JsonValue => parts.get(type.fieldsByName.get(name) as Field) ?? 0;
  const text = format(Number(int64Value(part("seconds"))), int32Value(part("nanos")));
  if (text !== undefined) return text;
  const found = `${part("seconds")} seconds and ${part("nanos")} nanos`;
  throw new TranscodeError("INVALID_VALUE", "", `expected ${expected}, found ${found}`);
}

function mask(paths: readonly JsonValue[]): string {
  return paths
    .filter(path => path !== "")
    .map(path => {
      const bytes = Buffer.from(typeof path === "string" ? path : "");
      const text = Buffer.alloc(bytes.length);
      const end = formatMaskPath(bytes, 0, bytes.length, text, 0);
      if (end < 0) throw invalid('a field path such as "author.first_name"', path);
      return text.toString("utf8", 0, end);
    })
    .join(",");
}
