import type { Steps } from "../../net/pace.js";
import {
  type FieldProto,
  FieldType,
  Label,
  type MessageProto,
  maxFieldNumber,
  maxMessageSetExtension,
  scalarTypes,
} from "../descriptor-proto.js";
import { jsonName, pascalName, qualify } from "../names.js";
import type { Container, ParseContext, Start } from "./context.js";
import type { Literal, OptionStatement } from "./option.js";
import { readInlineOptions } from "./option.js";
import { SyntaxFault } from "./scanner.js";
import { accept, expect, readIdentifier, readInteger, readName, unexpected } from "./token.js";

const mapEntryOptions = Uint8Array.of(0x38, 1);

/**
 * Reads a field into `fields`.
 * @param extra known properties of it: the extendee, or the oneof it belongs to
 * @returns the message of a group, whose body comes next
 */
export function* readField(
  context: ParseContext,
  fields: FieldProto[],
  inner: Container,
  pathNumber: number,
  start: Start,
  extra: Partial<FieldProto>,
): Steps<MessageProto | undefined> {
  const { scanner } = context;
  const field: FieldProto = { name: "", number: 0, label: Label.OPTIONAL, type: 0, ...extra };
  const inOneof = extra.oneofIndex !== undefined;
  const labelled = !inOneof && readLabel(context, field);
  let entry: MessageProto | undefined;
  if (!labelled && !inOneof && scanner.is("map")) {
    entry = readMapType(context, field);
  } else if (!labelled && !inOneof && context.syntax === "proto2") {
    throw unexpected(scanner, '"required", "optional" or "repeated"');
  } else {
    readFieldType(context, field);
  }

  const name = readIdentifier(scanner, "the name of the field");
  field.name = field.type === FieldType.GROUP ? name.toLowerCase() : name;
  expect(scanner, "=");
  field.number = readInteger(scanner, "the number of the field", false);
  // Whether an extension extends a message set is known only once its extendee is.
  const most = extra.extendee === undefined ? maxFieldNumber : maxMessageSetExtension;
  if (field.number === 0 || field.number > most)
    throw scanner.fault(`field number ${field.number} is not between 1 and ${most}`);
  if (entry !== undefined) {
    entry.name = `${pascalName(field.name)}Entry`;
    field.typeName = entry.name;
    inner.messages.push(entry);
  }
  const path = [...inner.path, pathNumber, fields.length];
  fields.push(field);
  const options = fieldOptions(field, yield* readInlineOptions(context));
  field.jsonName ??= jsonName(field.name);
  context.addOptions(field, "Field", qualify(inner.scope, field.name), inner.scope, options);
  // An option of a map with strings holds for both its key and its value.
  const utf8 = entry?.field.some(({ type }) => type === FieldType.STRING)
    ? options.filter(isUtf8Feature)
    : [];
  for (const part of entry?.field ?? []) {
    const element = qualify(qualify(inner.scope, entry?.name ?? ""), part.name);
    context.addOptions(part, "Field", element, inner.scope, utf8);
  }
  if (field.type === FieldType.GROUP) {
    field.typeName = name;
    // The comment is the group's message's, as in protoc.
    context.locate(path, { ...start, leading: "" }, scanner.line, scanner.column, "");
    return newMessage(name);
  }
  context.endDeclaration(path, start);
  return undefined;
}

function readLabel({ scanner, syntax }: ParseContext, field: FieldProto): boolean {
  const { text } = scanner;
  if (text !== "optional" && text !== "required" && text !== "repeated") return false;
  if (text !== "repeated" && syntax === "editions") {
    throw scanner.fault(`label "${text}" is not allowed in editions; use features.field_presence`);
  }
  if (text === "required" && syntax === "proto3") {
    throw scanner.fault('label "required" is not allowed in proto3');
  }
  scanner.next();
  if (text === "required") field.label = Label.REQUIRED;
  if (text === "repeated") field.label = Label.REPEATED;
  if (text === "optional" && syntax === "proto3") field.proto3Optional = true;
  return true;
}

function readFieldType(context: ParseContext, field: FieldProto): void {
  const { scanner } = context;
  if (scanner.text === "group") {
    scanner.next();
    field.type = FieldType.GROUP;
    return;
  }
  const scalar = scalarTypes.get(scanner.text);
  const name = readName(scanner, "the type of a field");
  if (scalar !== undefined && !name.includes(".")) field.type = scalar;
  else field.typeName = name;
}

function readMapType(context: ParseContext, field: FieldProto): MessageProto | undefined {
  const { scanner } = context;
  const word = readName(scanner, "the type of a field");
  if (word !== "map" || !accept(scanner, "<")) {
    field.typeName = word;
    return undefined;
  }
  const entry = newMessage("");
  const key: FieldProto = { name: "key", number: 1, label: Label.OPTIONAL, type: 0, jsonName: "key" };
  const value: FieldProto = { name: "value", number: 2, label: Label.OPTIONAL, type: 0, jsonName: "value" };
  const fault = scanner.fault("");
  readFieldType(context, key);
  if (key.type === 0 || key.type <= 2 || key.type === FieldType.BYTES) {
    fault.message = "the key of a map must be an integer, bool or string type";
    throw fault;
  }
  expect(scanner, ",");
  readFieldType(context, value);
  expect(scanner, ">");
  entry.field.push(key, value);
  entry.options = mapEntryOptions;
  field.label = Label.REPEATED;
  field.type = FieldType.MESSAGE;
  return entry;
}

function isUtf8Feature({ path }: OptionStatement): boolean {
  return path.map(({ name }) => name).join(".") === "features.utf8_validation";
}

/** `default` and `json_name` look like options but are fields of the descriptor. */
function fieldOptions(field: FieldProto, statements: readonly OptionStatement[]): OptionStatement[] {
  return statements.filter(statement => {
    const [first] = statement.path;
    if (statement.path.length !== 1 || first === undefined || first.extension) return true;
    if (first.name === "default") {
      field.defaultValue = defaultText(field.type, statement);
      return false;
    }
    if (first.name === "json_name" && statement.value.kind === "string") {
      field.jsonName = Buffer.from(statement.value.value).toString();
      return false;
    }
    return true;
  });
}

/** A message without members. */
export function newMessage(name: string): MessageProto {
  return {
    name,
    field: [],
    extension: [],
    nestedType: [],
    enumType: [],
    extensionRange: [],
    oneofDecl: [],
    reservedRange: [],
    reservedName: [],
  };
}

const FLOAT = 2;
const DOUBLE = 1;

/**
 * A proto2 default as `FieldDescriptorProto.default_value` spells it.
 * @param type number of the field's type, 0 for a type that is named (an enum)
 * @throws SyntaxFault where the value cannot be of that type
 */
function defaultText(type: number, { value, line, column }: OptionStatement): Uint8Array {
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

/** The shorter of two precisions that reads back as the same value, in C's `%g` form, as protoc writes it. */
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

const escapedBytes: ReadonlyMap<number, string> = new Map([
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
    text += escapedBytes.get(byte) ?? printable;
  }
  return text;
}
