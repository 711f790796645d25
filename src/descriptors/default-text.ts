import { FieldType } from "./descriptor-proto.js";
import { SyntaxFault } from "./scanner.js";
import type { Literal, OptionStatement } from "./syntax.js";

const FLOAT = 2;
const DOUBLE = 1;

/**
 * A proto2 default as `FieldDescriptorProto.default_value` spells it.
 * @param type number of the field's type, 0 for a type that is named (an enum)
 * @throws SyntaxFault where the value cannot be of that type
 */
export function defaultText(type: number, { value, line, column }: OptionStatement): Uint8Array {
  const text = spell(type, value);
  if (text === undefined)
    throw new SyntaxFault("the default does not fit the type of the field", line, column);
  return typeof text === "string" ? Buffer.from(text) : text;
}

function spell(type: number, value: Literal): string | Uint8Array | undefined {
  switch (value.kind) {
    case "string":
      if (type === FieldType.STRING) return value.value;
      return type === FieldType.BYTES ? escapeBytes(value.value) : undefined;
    case "identifier":
      if (value.text === "inf" || value.text === "nan")
        return value.negative && value.text === "inf" ? "-inf" : value.text;
      return value.negative ? undefined : value.text;
    case "integer":
      return type === FLOAT || type === DOUBLE ? spellFloat(Number(value.value), type) : String(value.value);
    case "float":
      return Object.is(value.value, -0) && type !== FLOAT && type !== DOUBLE
        ? "0"
        : spellFloat(value.value, type);
    default:
      return undefined;
  }
}

/** The shorter of two precisions that reads back as the same value, in C's `%g` form: what protoc writes. */
function spellFloat(exact: number, type: number): string {
  const value = type === FLOAT ? Math.fround(exact) : exact;
  if (!Number.isFinite(value)) return value > 0 ? "inf" : "-inf";
  if (Object.is(value, -0)) return "-0";
  const [short, long] = type === FLOAT ? [6, 9] : [15, 17];
  const read = Number(value.toPrecision(short));
  return generalFormat(value, (type === FLOAT ? Math.fround(read) : read) === value ? short : long);
}

function generalFormat(value: number, precision: number): string {
  const [mantissa = "", exponentText = "0"] = value.toExponential(precision - 1).split("e");
  const exponent = Number(exponentText);
  if (exponent >= -4 && exponent < precision)
    return strip(value.toFixed(Math.max(0, precision - 1 - exponent)));
  return `${strip(mantissa)}e${exponent < 0 ? "-" : "+"}${String(Math.abs(exponent)).padStart(2, "0")}`;
}

function strip(text: string): string {
  return text.includes(".") ? text.replace(/\.?0+$/, "") : text;
}

const ESCAPED: ReadonlyMap<number, string> = new Map([
  [10, "\\n"],
  [13, "\\r"],
  [9, "\\t"],
  [34, '\\"'],
  [39, "\\'"],
  [92, "\\\\"],
]);

/** C escapes, as protoc's CEscape. */
function escapeBytes(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) {
    const printable =
      byte >= 32 && byte < 127 ? String.fromCharCode(byte) : `\\${byte.toString(8).padStart(3, "0")}`;
    text += ESCAPED.get(byte) ?? printable;
  }
  return text;
}
