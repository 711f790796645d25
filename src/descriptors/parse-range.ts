import type { EnumProto, MessageProto, RangeProto } from "./descriptor-proto.js";
import { readInlineOptions } from "./literal.js";
import type { Container, ParseContext } from "./parse-context.js";
import { accept, readIdentifier, readInteger, readString } from "./token.js";

/** The highest field number. */
export const MAX_FIELD = 536_870_911;

/** Reads `extensions` after the keyword. */
export function readExtensionRanges(context: ParseContext, message: MessageProto, inner: Container): void {
  const { scanner } = context;
  const ranges: RangeProto[] = [];
  do {
    ranges.push(readRange(context, MAX_FIELD, false));
  } while (accept(scanner, ","));
  const statements = readInlineOptions(scanner);
  for (const range of ranges) {
    message.extensionRange.push(range);
    context.addOptions(range, "ExtensionRange", inner.scope, inner.scope, statements);
  }
  context.endStatement();
}

/** Reads `reserved` after the keyword: names, or numbers up to `most`. */
export function readReserved(
  context: ParseContext,
  into: MessageProto | EnumProto,
  most: number,
  inclusive: boolean,
): void {
  const { scanner } = context;
  do {
    if (scanner.kind === "string") into.reservedName.push(readString(scanner, "a reserved name").toString());
    else if (scanner.kind === "identifier")
      into.reservedName.push(readIdentifier(scanner, "a reserved name"));
    else into.reservedRange.push(readRange(context, most, inclusive));
  } while (accept(scanner, ","));
  context.endStatement();
}

function readRange(context: ParseContext, most: number, inclusive: boolean): RangeProto {
  const { scanner } = context;
  const start = readInteger(scanner, "a number", inclusive);
  let end = start;
  if (accept(scanner, "to"))
    end = accept(scanner, "max") ? most : readInteger(scanner, 'a number or "max"', inclusive);
  return { start, end: inclusive ? end : end + 1 };
}
