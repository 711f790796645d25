import { defaultText } from "./default-text.js";
import { type FieldProto, FieldType, Label, type MessageProto, SCALAR_TYPES } from "./descriptor-proto.js";
import { jsonName, pascalName } from "./json-name.js";
import { readInlineOptions } from "./literal.js";
import type { Container, ParseContext, Start } from "./parse-context.js";
import { MAX_FIELD, MAX_MESSAGE_SET_EXTENSION } from "./parse-range.js";
import { qualify } from "./symbol-table.js";
import type { OptionStatement } from "./syntax.js";
import { accept, expect, readIdentifier, readInteger, readName, unexpected } from "./token.js";

const MAP_ENTRY = Uint8Array.of(0x38, 1);

/**
 * Reads a field into `fields`.
 * @param extra what is known of it: the extendee, or the oneof it belongs to
 * @returns the message of a group, whose body comes next
 */
export function readField(
  context: ParseContext,
  fields: FieldProto[],
  inner: Container,
  pathNumber: number,
  start: Start,
  extra: Partial<FieldProto>,
): MessageProto | undefined {
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
  const most = extra.extendee === undefined ? MAX_FIELD : MAX_MESSAGE_SET_EXTENSION;
  if (field.number === 0 || field.number > most)
    throw scanner.fault(`field number ${field.number} is not between 1 and ${most}`);
  if (entry !== undefined) {
    entry.name = `${pascalName(field.name)}Entry`;
    field.typeName = entry.name;
    inner.messages.push(entry);
  }
  const path = [...inner.path, pathNumber, fields.length];
  fields.push(field);
  const options = fieldOptions(field, readInlineOptions(scanner));
  field.jsonName ??= jsonName(field.name);
  context.addOptions(field, "Field", qualify(inner.scope, field.name), inner.scope, options);
  // What a map with strings says of them is said of both its key and its value.
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
  const scalar = SCALAR_TYPES.get(scanner.text);
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
  entry.options = MAP_ENTRY;
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
