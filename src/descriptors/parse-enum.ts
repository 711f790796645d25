import type { Steps } from "../net/pace.js";
import { type EnumProto, type EnumValueProto, Path } from "./descriptor-proto.js";
import { readInlineOptions, readOption } from "./literal.js";
import type { Container, ParseContext, Start } from "./parse-context.js";
import { readReserved } from "./parse-range.js";
import { qualify } from "./symbol-table.js";
import type { OptionStatement } from "./syntax.js";
import { expect, readIdentifier, readInteger } from "./token.js";

const MAX_INT32 = 2_147_483_647;

/** Reads an enum after its keyword. */
export function* readEnum(context: ParseContext, into: Container, start: Start, visibility: number): Steps {
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
      statements.push(readOption(scanner));
      context.endStatement();
    } else if (name === "reserved" && scanner.text !== "=") {
      yield* readReserved(context, type, MAX_INT32);
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
        readInlineOptions(scanner),
      );
      context.endDeclaration([...path, Path.ENUM_VALUE, type.value.length], valueStart);
      type.value.push(value);
    }
  }
  context.close(location);
  context.addOptions(type, "Enum", scope, into.scope, statements);
}
