import { atOnce, type Steps } from "../net/pace.js";
import { EDITIONS, encodeLocations, type FileProto, Path } from "./descriptor-proto.js";
import { readOption } from "./literal.js";
import { type Container, ParseContext } from "./parse-context.js";
import { readCommon } from "./parse-message.js";
import { readService } from "./parse-service.js";
import type { OptionStatement, ParsedFile } from "./syntax.js";
import { expect, readName, readString, unexpected } from "./token.js";

/**
 * Parses one `.proto` file (https://protobuf.dev/reference/protobuf/edition-2023-spec/, also proto2, proto3), a
 * declaration a step.
 * @throws SyntaxFault
 */
export function* parseInSteps(source: string): Steps<ParsedFile> {
  const proto: FileProto = {
    name: "",
    package: "",
    dependency: [],
    publicDependency: [],
    weakDependency: [],
    optionDependency: [],
    messageType: [],
    enumType: [],
    service: [],
    extension: [],
  };
  const context = new ParseContext(source);
  const statements: OptionStatement[] = [];
  const { scanner } = context;
  readSyntax(context, proto);
  let container = fileContainer(proto);
  while (scanner.kind !== "end") {
    yield context.work();
    const start = context.start();
    if (context.acceptEmpty()) continue;
    switch (scanner.text) {
      case "package":
        scanner.next();
        proto.package = readName(scanner, "the name of the package");
        context.endStatement();
        container = fileContainer(proto);
        break;
      case "import":
        scanner.next();
        readImport(context, proto);
        break;
      case "option":
        scanner.next();
        statements.push(readOption(scanner));
        context.endStatement();
        break;
      case "service":
        scanner.next();
        yield* readService(context, proto, start);
        break;
      default:
        if (!(yield* readCommon(context, container, start))) throw unexpected(scanner, "a declaration");
    }
  }
  context.addOptions(proto, "File", proto.package, proto.package, statements);
  if (context.locations.length > 0) proto.sourceCodeInfo = yield* encodeLocations(context.locations);
  return { proto, imports: context.imports, options: context.options };
}

/** Parses one `.proto` file at once. @throws SyntaxFault */
export function parseProto(source: string): ParsedFile {
  return atOnce(parseInSteps(source));
}

function fileContainer(proto: FileProto): Container {
  return {
    scope: proto.package,
    path: [],
    depth: 0,
    messages: proto.messageType,
    enums: proto.enumType,
    extensions: proto.extension,
    numbers: { message: Path.FILE_MESSAGE, enum: Path.FILE_ENUM, extension: Path.FILE_EXTENSION },
  };
}

function readSyntax(context: ParseContext, proto: FileProto): void {
  const { scanner } = context;
  if (scanner.text !== "syntax" && scanner.text !== "edition") return;
  const word = scanner.text;
  scanner.next();
  expect(scanner, "=");
  const fault = scanner.fault("");
  const value = readString(scanner, `the ${word} as a string`).toString();
  const edition = EDITIONS.get(value);
  if (word === "edition" && edition !== undefined) {
    context.syntax = "editions";
    proto.syntax = "editions";
    proto.edition = edition;
  } else if (word === "syntax" && value === "proto3") {
    context.syntax = "proto3";
    proto.syntax = "proto3";
  } else if (word === "edition" || value !== "proto2") {
    const known = word === "edition" ? [...EDITIONS.keys()].join(", ") : "proto2, proto3";
    fault.message = `unknown ${word} ${JSON.stringify(value)}, expected one of ${known}`;
    throw fault;
  }
  context.endStatement();
}

function readImport(context: ParseContext, proto: FileProto): void {
  const { scanner } = context;
  const { text } = scanner;
  const modifier = scanner.kind === "identifier" && ["public", "weak", "option"].includes(text) ? text : "";
  if (modifier !== "") scanner.next();
  const { line, column } = scanner;
  const name = readString(scanner, "the imported file as a string").toString();
  if (modifier === "public") proto.publicDependency.push(proto.dependency.length);
  if (modifier === "weak") proto.weakDependency.push(proto.dependency.length);
  (modifier === "option" ? proto.optionDependency : proto.dependency).push(name);
  context.imports.push({ name, line, column });
  context.endStatement();
}
