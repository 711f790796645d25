import type { EnumType, Field } from "../../descriptors/model.js";
import type { JsonValue } from "../json.js";
import { BAIL, type JsonCursor } from "./json-cursor.js";
import { readDecimal, readInteger, readLong } from "./json-number.js";
import { NameTable } from "./name-table.js";
import {
  bytesValue,
  doubleValue,
  enumValue,
  floatValue,
  int32Value,
  int64Value,
  uint32Value,
  uint64Value,
} from "./scalar-value.js";
import type { Writer } from "./writer.js";

/**
 * Copies one scalar from JSON text to the wire.
 * @param tag written before the value; 0 for none
 * @param sparse true leaves out the default of the kind
 * @throws BAIL or TranscodeError where the text is no value of the kind
 */
export type CopyScalar = (cursor: JsonCursor, writer: Writer, tag: number, sparse: boolean) => void;

/** What copies the values of a field, of its elements or of a map's values that are not messages. */
export function scalarCopy(field: Field): CopyScalar {
  switch (field.kind) {
    case "string":
      return copyString;
    case "bytes":
      return copyBytes;
    case "bool":
      return copyBool;
    case "double":
      return copyDouble;
    case "float":
      return copyFloat;
    case "int64":
      return copyInt64;
    case "uint64":
      return copyUint64;
    case "enum":
      return enumCopy(field.enum!);
    case "int32":
      return integerCopy(isInt32, int32Value, (writer, value) => writer.int32(value as number));
    case "sint32":
      return integerCopy(isInt32, int32Value, (writer, value) => writer.sint32(value as number));
    case "sfixed32":
      return integerCopy(isInt32, int32Value, (writer, value) => writer.fixed32(value as number));
    case "uint32":
      return integerCopy(isUint32, uint32Value, (writer, value) => writer.uint32(value as number));
    case "fixed32":
      return integerCopy(isUint32, uint32Value, (writer, value) => writer.fixed32(value as number));
    case "sint64":
      return integerCopy(Number.isSafeInteger, int64Value, (writer, value) => writer.sint64(value));
    case "sfixed64":
      return integerCopy(Number.isSafeInteger, int64Value, (writer, value) => writer.fixed64(value));
    case "fixed64":
      return integerCopy(isNatural, uint64Value, (writer, value) => writer.fixed64(value));
    default:
      throw new Error(`${field.fullName} is no scalar`);
  }
}

const copyString: CopyScalar = (cursor, writer, tag, sparse) => {
  if (sparse && cursor.emptyString()) return;
  if (tag !== 0) writer.uint32(tag);
  cursor.string(writer);
};

const copyBytes: CopyScalar = (cursor, writer, tag, sparse) => {
  const value = bytesValue(cursor.text());
  if (sparse && value.length === 0) return;
  if (tag !== 0) writer.uint32(tag);
  writer.bytes(value);
};

const copyBool: CopyScalar = (cursor, writer, tag, sparse) => {
  const value = cursor.bool();
  if (sparse && !value) return;
  if (tag !== 0) writer.uint32(tag);
  writer.bool(value);
};

const copyDouble: CopyScalar = (cursor, writer, tag, sparse) => {
  let value = readDecimal(cursor);
  if (Number.isNaN(value)) value = doubleValue(cursor.scalar());
  if (sparse && Object.is(value, 0)) return;
  if (tag !== 0) writer.uint32(tag);
  writer.double(value);
};

const copyFloat: CopyScalar = (cursor, writer, tag, sparse) => {
  let value = readDecimal(cursor);
  if (Number.isNaN(value)) value = floatValue(cursor.scalar());
  if (sparse && Object.is(value, 0)) return;
  if (tag !== 0) writer.uint32(tag);
  writer.float(value);
};

const copyInt64: CopyScalar = (cursor, writer, tag, sparse) => copyLong(cursor, writer, tag, sparse, true);

const copyUint64: CopyScalar = (cursor, writer, tag, sparse) => copyLong(cursor, writer, tag, sparse, false);

function copyLong(cursor: JsonCursor, writer: Writer, tag: number, sparse: boolean, signed: boolean): void {
  let value: number | bigint = readInteger(cursor);
  if (Number.isNaN(value)) {
    if (readLong(cursor, signed)) {
      if (tag !== 0) writer.uint32(tag);
      writer.long(cursor.low, cursor.high);
      return;
    }
    value = (signed ? int64Value : uint64Value)(cursor.scalar());
  } else if (!signed && value < 0) {
    throw BAIL;
  }
  if (sparse && value === 0) return;
  if (tag !== 0) writer.uint32(tag);
  writer.int64(value);
}

/**
 * @param fits whether an integer is in range
 * @param convert reads every other form of a number
 */
function integerCopy(
  fits: (value: number) => boolean,
  convert: (value: JsonValue) => number | bigint,
  write: (writer: Writer, value: number | bigint) => void,
): CopyScalar {
  return (cursor, writer, tag, sparse) => {
    let value: number | bigint = readInteger(cursor);
    if (!fits(value)) {
      if (!Number.isNaN(value)) throw BAIL;
      value = convert(cursor.scalar());
    }
    if (sparse && value === 0) return;
    if (tag !== 0) writer.uint32(tag);
    write(writer, value);
  };
}

function isInt32(value: number): boolean {
  return (value | 0) === value;
}

function isUint32(value: number): boolean {
  return value >>> 0 === value;
}

function isNatural(value: number): boolean {
  return value >= 0;
}

function enumCopy(type: EnumType): CopyScalar {
  const { values, closed } = type;
  const convert = enumValue(type, false);
  const table = new NameTable([], new Map(values.map(({ name }, index) => [name, index])));
  const numbers = values.map(({ number }) => number);
  return (cursor, writer, tag, sparse) => {
    let value: number | undefined;
    if (cursor.atString()) {
      value = numbers[cursor.name(table)];
    } else {
      value = readInteger(cursor);
      if (closed || !isInt32(value)) {
        if (!Number.isNaN(value)) throw BAIL;
        value = convert(cursor.scalar());
      }
    }
    if (sparse && value === 0) return;
    if (tag !== 0) writer.uint32(tag);
    writer.int32(value!);
  };
}
