import type { EnumType, Field } from "../../descriptors/model.js";
import { cost } from "../work.js";
import type { Long } from "./decimal.js";
import { BAIL, type JsonCursor } from "./json-cursor.js";
import { anyInteger, readDecimal, readInteger, readLong } from "./json-number.js";
import { NameTable } from "./name-table.js";
import { bytesValue, doubleValue, enumValue, floatValue } from "./scalar-value.js";
import type { Writer } from "./writer.js";

/**
 * Copies one scalar from JSON text to the wire.
 * @param tag written before the value; 0 for none
 * @param sparse true leaves out the default of the kind
 * @throws BAIL or TranscodeError where the text is no value of the kind
 */
export type CopyScalar = (cursor: JsonCursor, writer: Writer, tag: number, sparse: boolean) => void;

/** The function that copies the values of a field, of its elements or of a map's values that are not messages. */
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
      return integerCopy(isInt32, (writer, value) => writer.int32(value as number));
    case "sint32":
      return integerCopy(isInt32, (writer, value) => writer.sint32(value as number));
    case "sfixed32":
      return integerCopy(isInt32, (writer, value) => writer.fixed32(value as number));
    case "uint32":
      return integerCopy(isUint32, (writer, value) => writer.uint32(value as number));
    case "fixed32":
      return integerCopy(isUint32, (writer, value) => writer.fixed32(value as number));
    case "sint64":
      return integerCopy(isInt64, (writer, value) => writer.sint64(value));
    case "sfixed64":
      return integerCopy(isInt64, (writer, value) => writer.fixed64(value));
    case "fixed64":
      return integerCopy(isNatural, (writer, value) => writer.fixed64(value), false);
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
  cursor.spend(cost.bytes);
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
  if (Number.isNaN(value)) {
    cursor.spend(cost.numberText);
    value = doubleValue(cursor.scalar());
  }
  if (sparse && Object.is(value, 0)) return;
  if (tag !== 0) writer.uint32(tag);
  writer.double(value);
};

const copyFloat: CopyScalar = (cursor, writer, tag, sparse) => {
  let value = readDecimal(cursor);
  if (Number.isNaN(value)) {
    cursor.spend(cost.numberText);
    value = floatValue(cursor.scalar());
  }
  if (sparse && Object.is(value, 0)) return;
  if (tag !== 0) writer.uint32(tag);
  writer.float(value);
};

const copyInt64: CopyScalar = (cursor, writer, tag, sparse) => copyLong(cursor, writer, tag, sparse, true);

const copyUint64: CopyScalar = (cursor, writer, tag, sparse) => copyLong(cursor, writer, tag, sparse, false);

function copyLong(cursor: JsonCursor, writer: Writer, tag: number, sparse: boolean, signed: boolean): void {
  let value: number | Long = readInteger(cursor);
  if (Number.isNaN(value)) {
    if (readLong(cursor, signed)) {
      if (tag !== 0) writer.uint32(tag);
      writer.long(cursor.low, cursor.high);
      return;
    }
    value = anyInteger(cursor, signed);
  } else if (!signed && value < 0) {
    throw BAIL;
  }
  if (sparse && value === 0) return;
  if (tag !== 0) writer.uint32(tag);
  writer.int64(value);
}

/** @param fits whether an integer is in range */
function integerCopy(
  fits: (value: number | Long) => boolean,
  write: (writer: Writer, value: number | Long) => void,
  signed = true,
): CopyScalar {
  return (cursor, writer, tag, sparse) => {
    let value: number | Long = readInteger(cursor);
    if (!fits(value)) {
      value = anyInteger(cursor, signed);
      if (!fits(value)) throw BAIL;
    }
    if (sparse && value === 0) return;
    if (tag !== 0) writer.uint32(tag);
    write(writer, value);
  };
}

function isInt64(value: number | Long): boolean {
  return typeof value !== "number" || Number.isSafeInteger(value);
}

function isNatural(value: number | Long): boolean {
  return typeof value !== "number" || value >= 0;
}

function isInt32(value: number | Long): boolean {
  return ((value as number) | 0) === value;
}

function isUint32(value: number | Long): boolean {
  return (value as number) >>> 0 === value;
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
        cursor.spend(cost.treeNumber);
        value = convert(cursor.scalar());
      }
    }
    if (sparse && value === 0) return;
    if (tag !== 0) writer.uint32(tag);
    writer.int32(value!);
  };
}
