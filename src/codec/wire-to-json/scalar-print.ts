import { isUtf8 } from "node:buffer";
import type { EnumType, Field } from "../../descriptors/model.js";
import { BAIL } from "../json-to-wire/json-cursor.js";
import { cost } from "../work.js";
import { JsonPiece, type JsonWriter } from "./json-writer.js";
import type { Reader } from "./reader.js";
import { floatJson, type ReadText } from "./scalar-text.js";

/**
 * Prints one scalar from the wire as JSON, with a comma after it.
 * @param name the member's name with quotes and colon, printed before the value; undefined for elements
 * @param sparse true prints nothing for the default of the kind
 * @throws BAIL or TranscodeError where this is not for one pass to decide
 */
export type PrintScalar = (
  reader: Reader,
  out: JsonWriter,
  name: JsonPiece | undefined,
  sparse: boolean,
) => void;

const COMMA = 0x2c;
const QUOTE = 0x22;
const trueText = new JsonPiece("true");
const falseText = new JsonPiece("false");

/**
 * @param read gives the same value as text; used for the kinds that have no faster way
 * @param zero text of the kind's default
 * @param enums how the values of enums are printed
 */
export function scalarPrint(
  field: Field,
  read: ReadText,
  zero: string,
  enums: "name" | "number",
): PrintScalar {
  switch (field.kind) {
    case "string":
      return printString;
    case "bool":
      return printBool;
    case "int32":
      return printInt32;
    case "uint32":
      return printUint32;
    case "sint32":
      return printSint32;
    case "fixed32":
      return printFixed32;
    case "sfixed32":
      return printSfixed32;
    case "enum":
      return field.enum!.fullName === "google.protobuf.NullValue"
        ? printText(read, zero)
        : printEnum(field.enum!, enums);
    case "double":
      return printDouble;
    case "float":
      return printFloat;
    case "int64":
    case "uint64":
    case "sint64":
    case "fixed64":
    case "sfixed64":
      // Else the policy requires numbers.
      return zero === '"0"' ? longPrinters[field.kind] : printText(read, zero);
    case "bytes":
      return printText(read, zero, cost.bytes);
    default:
      return printText(read, zero);
  }
}

export const printString: PrintScalar = (reader, out, name, sparse) => {
  const end = reader.span();
  const start = reader.pos;
  reader.pos = end;
  if (sparse && start === end) return;
  if (name !== undefined) out.piece(name);
  if (!out.quoted(reader.bytes, start, end)) {
    const { bytes } = reader;
    reader.spend(cost.escapes + ((end - start) >> 3));
    if (!isUtf8(bytes.subarray(start, end))) throw BAIL;
    out.text(JSON.stringify(bytes.toString("utf8", start, end)));
  }
  out.byte(COMMA);
};

export const printBool: PrintScalar = (reader, out, name, sparse) => {
  reader.varint64();
  const value = reader.low !== 0 || reader.high !== 0;
  if (sparse && !value) return;
  if (name !== undefined) out.piece(name);
  out.piece(value ? trueText : falseText);
  out.byte(COMMA);
};

const printInt32: PrintScalar = (reader, out, name, sparse) => {
  const value = reader.uint32() | 0;
  if (sparse && value === 0) return;
  if (name !== undefined) out.piece(name);
  out.integer(value);
  out.byte(COMMA);
};

const printUint32: PrintScalar = (reader, out, name, sparse) => {
  const value = reader.uint32();
  if (sparse && value === 0) return;
  if (name !== undefined) out.piece(name);
  out.integer(value);
  out.byte(COMMA);
};

const printSint32: PrintScalar = (reader, out, name, sparse) => {
  const bits = reader.uint32();
  if (sparse && bits === 0) return;
  if (name !== undefined) out.piece(name);
  out.integer((bits >>> 1) ^ -(bits & 1));
  out.byte(COMMA);
};

const printFixed32: PrintScalar = (reader, out, name, sparse) => {
  const value = reader.fixed32();
  if (sparse && value === 0) return;
  if (name !== undefined) out.piece(name);
  out.integer(value);
  out.byte(COMMA);
};

const printSfixed32: PrintScalar = (reader, out, name, sparse) => {
  const value = reader.fixed32() | 0;
  if (sparse && value === 0) return;
  if (name !== undefined) out.piece(name);
  out.integer(value);
  out.byte(COMMA);
};

const longPrinters: Readonly<Record<"int64" | "uint64" | "sint64" | "fixed64" | "sfixed64", PrintScalar>> = {
  int64: (reader, out, name, sparse) => {
    reader.varint64();
    printLong(reader, out, name, sparse, true);
  },
  uint64: (reader, out, name, sparse) => {
    reader.varint64();
    printLong(reader, out, name, sparse, false);
  },
  sint64: (reader, out, name, sparse) => {
    reader.zigzag64();
    printLong(reader, out, name, sparse, true);
  },
  fixed64: (reader, out, name, sparse) => {
    reader.fixed64();
    printLong(reader, out, name, sparse, false);
  },
  sfixed64: (reader, out, name, sparse) => {
    reader.fixed64();
    printLong(reader, out, name, sparse, true);
  },
};

/** Prints the halves that the reader has read. */
function printLong(
  reader: Reader,
  out: JsonWriter,
  name: JsonPiece | undefined,
  sparse: boolean,
  signed: boolean,
): void {
  if (sparse && reader.low === 0 && reader.high === 0) return;
  if (name !== undefined) out.piece(name);
  if (reader.high >= 0x20_0000) reader.spend(cost.longInteger);
  out.byte(QUOTE);
  out.long(reader.low, reader.high, signed);
  out.byte(QUOTE);
  out.byte(COMMA);
}

export const printDouble: PrintScalar = (reader, out, name, sparse) => {
  const value = reader.double();
  if (sparse && Object.is(value, 0)) return;
  if (name !== undefined) out.piece(name);
  if (!Number.isFinite(value)) out.text(`"${value}"`);
  else if (!out.decimal(value, isDouble)) {
    reader.spend(cost.numberText);
    out.text(Object.is(value, -0) ? "-0" : String(value));
  }
  out.byte(COMMA);
};

const printFloat: PrintScalar = (reader, out, name, sparse) => {
  const value = reader.float();
  if (sparse && Object.is(value, 0)) return;
  if (name !== undefined) out.piece(name);
  if (!Number.isFinite(value)) out.text(`"${value}"`);
  else if (Math.abs(value) >= TWO_24 || !out.decimal(value, isFloat)) {
    reader.spend(cost.floatText);
    out.text(floatJson(value));
  }
  out.byte(COMMA);
};

/** From here on a float may be identified by fewer digits than its integer value has. */
const TWO_24 = 0x100_0000;

function isDouble(decimal: number, value: number): boolean {
  return decimal === value;
}

function isFloat(decimal: number, value: number): boolean {
  return Math.fround(decimal) === value;
}

function printEnum(type: EnumType, policy: "name" | "number"): PrintScalar {
  const texts = new Map<number, JsonPiece>();
  for (const [number, { name }] of type.valuesByNumber) {
    texts.set(number, new JsonPiece(policy === "name" ? JSON.stringify(name) : String(number)));
  }
  const first = type.closed ? type.values[0]?.number : 0;
  const { closed } = type;
  return (reader, out, name, sparse) => {
    const value = reader.uint32() | 0;
    if (sparse && value === first) return;
    const text = texts.get(value);
    if (text === undefined && closed) throw BAIL;
    if (name !== undefined) out.piece(name);
    if (text === undefined) out.integer(value);
    else out.piece(text);
    out.byte(COMMA);
  };
}

function printText(read: ReadText, zero: string, units: number = cost.textValue): PrintScalar {
  return (reader, out, name, sparse) => {
    reader.spend(units);
    const text = read(reader);
    if (sparse && text === zero) return;
    if (name !== undefined) out.piece(name);
    out.text(text);
    out.byte(COMMA);
  };
}
