import { nearest } from "../../config/nearest.js";
import type { EnumType, Field } from "../../descriptors/model.js";
import { excerpt, TranscodeError } from "../error.js";
import { describeJson, JsonNumber, type JsonValue } from "../json.js";
import { isNumberText, type Long, plainInteger, readIntegerText } from "./decimal.js";

/** int32, sint32, sfixed32. @throws TranscodeError INVALID_VALUE, as every function here */
export function int32Value(value: JsonValue): number {
  const number = plainNumber(value) ?? readInteger(value)?.int64();
  // Adding 0 makes 0 of -0.
  if (typeof number === "number" && (number | 0) === number) return number + 0;
  throw invalid("an integer from -2147483648 to 2147483647", value);
}

/** uint32, fixed32. */
export function uint32Value(value: JsonValue): number {
  const number = plainNumber(value) ?? readInteger(value)?.uint64();
  if (typeof number === "number" && number >>> 0 === number) return number + 0;
  throw invalid("an integer from 0 to 4294967295", value);
}

/** int64, sint64, sfixed64: a number where a double is exact. */
export function int64Value(value: JsonValue): number | Long {
  const integer = plainNumber(value) ?? readInteger(value)?.int64();
  if (integer !== undefined) return typeof integer === "number" ? integer + 0 : integer;
  throw invalid("an integer from -9223372036854775808 to 9223372036854775807", value);
}

/** uint64, fixed64: a number where a double is exact. */
export function uint64Value(value: JsonValue): number | Long {
  const integer = plainNumber(value) ?? readInteger(value)?.uint64();
  if (typeof integer === "number" ? integer >= 0 : integer !== undefined) return integer as number | Long;
  throw invalid("an integer from 0 to 18446744073709551615", value);
}

export function doubleValue(value: JsonValue): number {
  if (typeof value === "number") return value;
  if (value instanceof JsonNumber || (typeof value === "string" && isNumberText(value))) {
    const number = Number(value instanceof JsonNumber ? value.text : value);
    if (Number.isFinite(number)) return number;
  }
  if (value === "NaN") return Number.NaN;
  if (value === "Infinity") return Number.POSITIVE_INFINITY;
  if (value === "-Infinity") return Number.NEGATIVE_INFINITY;
  throw invalid('a number, "NaN", "Infinity" or "-Infinity"', value);
}

export function floatValue(value: JsonValue): number {
  const number = doubleValue(value);
  if (Number.isFinite(number) && !Number.isFinite(Math.fround(number))) {
    throw invalid("a number in the range of a 32-bit float", value);
  }
  return number;
}

/** `google.protobuf.Value.number_value`. */
export function finiteValue(value: JsonNumber | number): number {
  const number = typeof value === "number" ? value : Number(value.text);
  if (!Number.isFinite(number)) throw invalid("a number in the range of a double", value);
  return number;
}

export function boolValue(value: JsonValue): boolean {
  if (typeof value === "boolean") return value;
  throw invalid("true or false", value);
}

export function stringValue(value: JsonValue): string {
  if (typeof value === "string") return value;
  throw invalid("a string", value);
}

export function bytesValue(value: JsonValue): Uint8Array {
  const bytes = typeof value === "string" ? decodeBase64(value) : undefined;
  if (bytes === undefined) throw invalid("bytes as a base64 string", value);
  return bytes;
}

/**
 * The number of an enum value given by name or number. With unknown fields ignored an unknown name gives undefined:
 * the value is to be left out.
 */
export function enumValue(type: EnumType, ignoreUnknown: boolean): (value: JsonValue) => number | undefined {
  const { fullName, valuesByName, valuesByNumber, closed } = type;
  const nullable = fullName === "google.protobuf.NullValue";
  return value => {
    if (typeof value === "string") {
      const known = valuesByName.get(value);
      if (known !== undefined) return known.number;
      if (ignoreUnknown) return undefined;
      throw new TranscodeError(
        "INVALID_VALUE",
        "",
        `${fullName} has no value named ${JSON.stringify(excerpt(value))}`,
        nearest(excerpt(value), valuesByName.keys()),
      );
    }
    if (value === null && nullable) return 0;
    const number = value instanceof JsonNumber ? readInteger(value)?.int64() : value;
    if (typeof number === "number" && (number | 0) === number) {
      if (closed && !valuesByNumber.has(number)) throw invalid(`a value of ${fullName}`, value);
      return number + 0;
    }
    throw invalid(`the name or number of a value of ${fullName}`, value);
  };
}

/** The error for a value that does not fit; names the expected and the found value. */
export function invalid(expected: string, found: JsonValue): TranscodeError {
  return new TranscodeError("INVALID_VALUE", "", `expected ${expected}, found ${describeJson(found)}`);
}

/** Undefined where the value is no integer in its plain form; `readInteger` handles the other forms and large ones. */
function plainNumber(value: JsonValue): number | undefined {
  const number = typeof value === "string" ? plainInteger(value) : value;
  return typeof number === "number" && Number.isSafeInteger(number) ? number : undefined;
}

function readInteger(value: JsonValue): ReturnType<typeof readIntegerText> {
  if (typeof value === "string") return readIntegerText(value);
  if (value instanceof JsonNumber) return readIntegerText(value.text);
  return typeof value === "number" && Number.isInteger(value)
    ? readIntegerText(String(BigInt(value)))
    : undefined;
}

/**
 * Bytes from base64 in the standard (RFC 4648 §4) or the URL-safe alphabet (§5), with all padding or none.
 * Undefined where the text is anything else.
 */
export function decodeBase64(text: string): Buffer | undefined {
  const padding = text.endsWith("==") ? 2 : text.endsWith("=") ? 1 : 0;
  const symbols = text.length - padding;
  if (symbols % 4 === 1 || (padding > 0 && text.length % 4 !== 0)) return undefined;
  const bytes = Buffer.from(text, "base64");
  // Node passes over characters outside the alphabets, which leaves fewer bytes than the symbols make.
  return bytes.length === Math.floor((symbols * 3) / 4) ? bytes : undefined;
}

/** One spelling a number, so that two names cannot mean one key. */
const canonicalInteger = /^(?:0|-?[1-9][0-9]{0,19})$/;

type KeyValue = string | boolean | number | Long;

/**
 * How the member names of a map's JSON object become keys.
 * @throws TranscodeError INVALID_VALUE (the function returned) where a name is no key of that kind
 */
export function mapKeyValue(key: Field): (name: string) => KeyValue {
  switch (key.kind) {
    case "string":
      return name => name;
    case "bool":
      return name => {
        if (name !== "true" && name !== "false") throw invalid('the map key "true" or "false"', name);
        return name === "true";
      };
    case "int32":
    case "sint32":
    case "sfixed32":
      return integerKey(int32Value);
    case "uint32":
    case "fixed32":
      return integerKey(uint32Value);
    case "int64":
    case "sint64":
    case "sfixed64":
      return integerKey(int64Value);
    default:
      return integerKey(uint64Value);
  }
}

function integerKey(convert: (value: JsonValue) => number | Long): (name: string) => KeyValue {
  return name => {
    if (!canonicalInteger.test(name)) throw invalid("an integer as map key", name);
    return convert(name);
  };
}
