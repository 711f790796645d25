import type { Steps } from "../../net/pace.js";
import {
  type EnumProto,
  type EnumValueProto,
  type FieldProto,
  type MessageProto,
  maxFieldNumber,
  maxMessageSetExtension,
  type OneofProto,
  Path,
  type RangeProto,
} from "../descriptor-proto.js";
import { qualify } from "../names.js";
import type { Container, ParseContext, Start } from "./context.js";
import { newMessage, readField } from "./field.js";
import type { OptionStatement } from "./option.js";
import { readInlineOptions, readOption } from "./option.js";
import { accept, expect, readIdentifier, readInteger, readName, readString, unexpected } from "./token.js";

const maxMessageDepth = 64;

/** Declarations that files and messages share; false where the token starts none. */
export function* readCommon(context: ParseContext, into: Container, start: Start): Steps<boolean> {
  const { scanner } = context;
  let visibility = 0;
  if (context.syntax === "editions" && (scanner.is("export") || scanner.is("local"))) {
    visibility = scanner.is("local") ? 1 : 2;
    scanner.next();
    if (scanner.is("message") === scanner.is("enum")) throw unexpected(scanner, '"message" or "enum"');
  }
  switch (scanner.text) {
    case "message": {
      scanner.next();
      const path = [...into.path, into.numbers.message, into.messages.length];
      const message = newMessage(readIdentifier(scanner, "the name of the message"));
      if (visibility !== 0) message.visibility = visibility;
      into.messages.push(message);
      yield* readMessageBody(context, message, into, path, start);
      return true;
    }
    case "enum":
      scanner.next();
      yield* readEnum(context, into, start, visibility);
      return true;
    case "extend":
      scanner.next();
      yield* readExtend(context, into);
      return true;
    default:
      return false;
  }
}

function* readMessageBody(
  context: ParseContext,
  message: MessageProto,
  into: Container,
  path: readonly number[],
  start: Start,
): Steps {
  if (into.depth >= maxMessageDepth)
    throw context.scanner.fault(`messages are nested more than ${maxMessageDepth} deep`);
  const { scanner } = context;
  const location = context.open(path, start);
  const scope = qualify(into.scope, message.name);
  const inner: Container = {
    scope,
    path,
    depth: into.depth + 1,
    messages: message.nestedType,
    enums: message.enumType,
    extensions: message.extension,
    numbers: { message: Path.MESSAGE_NESTED, enum: Path.MESSAGE_ENUM, extension: Path.MESSAGE_EXTENSION },
  };
  const statements: OptionStatement[] = [];
  while (!scanner.is("}")) {
    yield context.work();
    yield* readMember(context, message, inner, statements);
  }
  context.close(location);
  context.addOptions(message, "Message", scope, into.scope, statements);
  let messageSet = false;
  for (const statement of statements) {
    yield 0.1;
    messageSet ||= isMessageSet(statement);
  }
  closeRanges(message, messageSet);
  yield* addSyntheticOneofs(message);
}

function isMessageSet({ path, value }: OptionStatement): boolean {
  const [first] = path;
  if (path.length !== 1 || first?.extension || first?.name !== "message_set_wire_format") return false;
  return value.kind === "identifier" && value.text === "true";
}

function* readMember(
  context: ParseContext,
  message: MessageProto,
  inner: Container,
  statements: OptionStatement[],
): Steps {
  const { scanner } = context;
  const start = context.start();
  if (context.acceptEmpty()) return;
  switch (scanner.text) {
    case "option":
      scanner.next();
      statements.push(yield* readOption(context));
      context.endStatement();
      break;
    case "oneof":
      scanner.next();
      yield* readOneof(context, message, inner, start);
      break;
    case "extensions":
      scanner.next();
      yield* readExtensionRanges(context, message, inner);
      break;
    case "reserved":
      scanner.next();
      yield* readReserved(context, message);
      break;
    default:
      if (!(yield* readCommon(context, inner, start)))
        yield* readMemberField(context, message.field, inner, Path.MESSAGE_FIELD, start, {});
  }
}

function* readMemberField(
  context: ParseContext,
  fields: FieldProto[],
  inner: Container,
  pathNumber: number,
  start: Start,
  extra: Partial<FieldProto>,
): Steps {
  const group = yield* readField(context, fields, inner, pathNumber, start, extra);
  if (group === undefined) return;
  const path = [...inner.path, inner.numbers.message, inner.messages.length];
  inner.messages.push(group);
  yield* readMessageBody(context, group, inner, path, start);
}

function* readOneof(context: ParseContext, message: MessageProto, inner: Container, start: Start): Steps {
  const { scanner } = context;
  const oneof: OneofProto = { name: readIdentifier(scanner, "the name of the oneof") };
  const oneofIndex = message.oneofDecl.length;
  message.oneofDecl.push(oneof);
  const location = context.open([...inner.path, Path.MESSAGE_ONEOF, oneofIndex], start);
  const statements: OptionStatement[] = [];
  while (!scanner.is("}")) {
    yield context.work();
    const fieldStart = context.start();
    if (context.acceptEmpty()) continue;
    if (accept(scanner, "option")) {
      statements.push(yield* readOption(context));
      context.endStatement();
    } else {
      yield* readMemberField(context, message.field, inner, Path.MESSAGE_FIELD, fieldStart, { oneofIndex });
    }
  }
  context.close(location);
  context.addOptions(oneof, "Oneof", qualify(inner.scope, oneof.name), inner.scope, statements);
}

function* readExtend(context: ParseContext, into: Container): Steps {
  const { scanner } = context;
  const extendee = readName(scanner, "the name of the message to extend");
  expect(scanner, "{");
  context.leading = context.comments().leading;
  while (!scanner.is("}")) {
    yield context.work();
    const start = context.start();
    if (!context.acceptEmpty())
      yield* readMemberField(context, into.extensions, into, into.numbers.extension, start, { extendee });
  }
  context.endStatement("}");
}

function* addSyntheticOneofs(message: MessageProto): Steps {
  const optional: FieldProto[] = [];
  for (const field of message.field) {
    yield 0.1;
    if (field.proto3Optional === true) optional.push(field);
  }
  if (optional.length === 0) return;
  const taken = new Set<string>();
  for (const { name } of [...message.field, ...message.oneofDecl]) {
    yield 0.1;
    taken.add(name);
  }
  for (const field of optional) {
    yield 1;
    let name = field.name.startsWith("_") ? field.name : `_${field.name}`;
    while (taken.has(name)) name = `X${name}`;
    taken.add(name);
    field.oneofIndex = message.oneofDecl.length;
    message.oneofDecl.push({ name });
  }
}

/** The end of a message's range up to `max` until the options that decide on it are read. */
const OPEN_END = -1;

/** Reads `extensions` after the keyword. */
function* readExtensionRanges(context: ParseContext, message: MessageProto, inner: Container): Steps {
  const { scanner } = context;
  const ranges: RangeProto[] = [];
  do {
    yield context.work();
    ranges.push(readRange(context));
  } while (accept(scanner, ","));
  const statements = yield* readInlineOptions(context);
  for (const range of ranges) {
    message.extensionRange.push(range);
    context.addOptions(range, "ExtensionRange", inner.scope, inner.scope, statements);
  }
  context.endStatement();
}

/**
 * Reads `reserved` after the keyword: names or numbers.
 * @param most the value of `max` in an enum, where ends are inclusive; left out in a message
 */
function* readReserved(context: ParseContext, into: MessageProto | EnumProto, most?: number): Steps {
  const { scanner } = context;
  do {
    yield context.work();
    if (scanner.kind === "string") into.reservedName.push(readString(scanner, "a reserved name").toString());
    else if (scanner.kind === "identifier")
      into.reservedName.push(readIdentifier(scanner, "a reserved name"));
    else into.reservedRange.push(readRange(context, most));
  } while (accept(scanner, ","));
  context.endStatement();
}

/** Gives the ranges up to `max` their end, once it is known whether the message is a message set. */
function closeRanges({ extensionRange, reservedRange }: MessageProto, messageSet: boolean): void {
  const most = messageSet ? maxMessageSetExtension : maxFieldNumber;
  for (const range of [...extensionRange, ...reservedRange]) if (range.end === OPEN_END) range.end = most + 1;
}

function readRange({ scanner }: ParseContext, most?: number): RangeProto {
  const inclusive = most !== undefined;
  const start = readInteger(scanner, "a number", inclusive);
  let end = start;
  if (accept(scanner, "to")) {
    if (accept(scanner, "max")) return { start, end: most ?? OPEN_END };
    end = readInteger(scanner, 'a number or "max"', inclusive);
  }
  return { start, end: inclusive ? end : end + 1 };
}

const maxInt32 = 2_147_483_647;

/** Reads an enum after its keyword. */
function* readEnum(context: ParseContext, into: Container, start: Start, visibility: number): Steps {
  const { scanner } = context;
  const type: EnumProto = {
    name: readIdentifier(scanner, "the name of the enum"),
    value: [],
    reservedRange: [],
    reservedName: [],
  };
  if (visibility !== 0) type.visibility = visibility;
  const path = [...into.path, into.numbers.enum, into.enums.length];
  into.enums.push(type);
  const location = context.open(path, start);
  const scope = qualify(into.scope, type.name);
  const statements: OptionStatement[] = [];
  while (!scanner.is("}")) {
    yield context.work();
    const valueStart = context.start();
    if (context.acceptEmpty()) continue;
    const name = readIdentifier(scanner, "the name of an enum value");
    if (name === "option" && scanner.text !== "=") {
      statements.push(yield* readOption(context));
      context.endStatement();
    } else if (name === "reserved" && scanner.text !== "=") {
      yield* readReserved(context, type, maxInt32);
    } else {
      expect(scanner, "=");
      const value: EnumValueProto = {
        name,
        number: readInteger(scanner, "the number of the enum value", true),
      };
      context.addOptions(
        value,
        "EnumValue",
        qualify(into.scope, name),
        into.scope,
        yield* readInlineOptions(context),
      );
      context.endDeclaration([...path, Path.ENUM_VALUE, type.value.length], valueStart);
      type.value.push(value);
    }
  }
  context.close(location);
  context.addOptions(type, "Enum", scope, into.scope, statements);
}
