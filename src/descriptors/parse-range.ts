import type { Steps } from "../net/pace.js";
import type { EnumProto, MessageProto, RangeProto } from "./descriptor-proto.js";
import { readInlineOptions } from "./literal.js";
import type { Container, ParseContext } from "./parse-context.js";
import { accept, readIdentifier, readInteger, readString } from "./token.js";

/** The highest field number. */
export const MAX_FIELD = 536_870_911;

/** Extensions of a message with `message_set_wire_format` are not limited by what fits a tag. */
export const MAX_MESSAGE_SET_EXTENSION = 2_147_483_646;

/** The end of a message's range up to `max` until the options that decide on it are read. */
const OPEN_END = -1;

/** Reads `extensions` after the keyword. */
export function* readExtensionRanges(context: ParseContext, message: MessageProto, inner: Container): Steps {
  const { scanner } = context;
  const ranges: RangeProto[] = [];
  do {
    yield context.work();
    ranges.push(readRange(context));
  } while (accept(scanner, ","));
  const statements = readInlineOptions(scanner);
  for (const range of ranges) {
    message.extensionRange.push(range);
    context.addOptions(range, "ExtensionRange", inner.scope, inner.scope, statements);
  }
  context.endStatement();
}

/**
 * Reads `reserved` after the keyword: names or numbers.
 * @param most what `max` means in an enum, where ends are inclusive; left out in a message
 */
export function* readReserved(context: ParseContext, into: MessageProto | EnumProto, most?: number): Steps {
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
export function closeRanges({ extensionRange, reservedRange }: MessageProto, messageSet: boolean): void {
  const most = messageSet ? MAX_MESSAGE_SET_EXTENSION : MAX_FIELD;
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
