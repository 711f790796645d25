import { atOnce, type Steps } from "../../net/pace.js";
import { encodeLocations } from "../descriptor-codec.js";
import { editions, type FileProto, type MethodProto, Path, type ServiceProto } from "../descriptor-proto.js";
import { qualify } from "../names.js";
import type { ParsedFile } from "../source-file.js";
import { type Container, ParseContext, type Start } from "./context.js";
import { readCommon } from "./message.js";
import type { OptionStatement } from "./option.js";
import { readOption } from "./option.js";
import { accept, expect, readIdentifier, readName, readString, unexpected } from "./token.js";

/**
 * Parses one `.proto` file (https://protobuf.dev/reference/protobuf/edition-2023-spec/, also proto2, proto3), a
 * declaration a step.
 * @param withLocations whether the file gets source info
 * @throws SyntaxFault
 */
export function* parseInSteps(source: string, withLocations = true): Steps<ParsedFile> {
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
  const context = new ParseContext(source, withLocations);
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
        statements.push(yield* readOption(context));
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
  const edition = editions.get(value);
  if (word === "edition" && edition !== undefined) {
    context.syntax = "editions";
    proto.syntax = "editions";
    proto.edition = edition;
  } else if (word === "syntax" && value === "proto3") {
    context.syntax = "proto3";
    proto.syntax = "proto3";
  } else if (word === "edition" || value !== "proto2") {
    const known = word === "edition" ? [...editions.keys()].join(", ") : "proto2, proto3";
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

/** Reads a service after its keyword. */
function* readService(context: ParseContext, file: FileProto, start: Start): Steps {
  const { scanner } = context;
  const service: ServiceProto = { name: readIdentifier(scanner, "the name of the service"), method: [] };
  const path = [Path.FILE_SERVICE, file.service.length];
  file.service.push(service);
  const location = context.open(path, start);
  const scope = qualify(file.package, service.name);
  const statements: OptionStatement[] = [];
  while (!scanner.is("}")) {
    yield context.work();
    const methodStart = context.start();
    if (context.acceptEmpty()) continue;
    if (accept(scanner, "option")) {
      statements.push(yield* readOption(context));
      context.endStatement();
    } else {
      expect(scanner, "rpc");
      yield* readMethod(context, service, scope, path, methodStart);
    }
  }
  context.close(location);
  context.addOptions(service, "Service", scope, file.package, statements);
}

function* readMethod(
  context: ParseContext,
  service: ServiceProto,
  scope: string,
  servicePath: readonly number[],
  start: Start,
): Steps {
  const { scanner } = context;
  const name = readIdentifier(scanner, "the name of the method");
  const input = readMethodType(context);
  expect(scanner, "returns");
  const output = readMethodType(context);
  const method: MethodProto = {
    name,
    inputType: input.name,
    outputType: output.name,
    ...(input.stream ? { clientStreaming: true } : {}),
    ...(output.stream ? { serverStreaming: true } : {}),
  };
  const path = [...servicePath, Path.SERVICE_METHOD, service.method.length];
  service.method.push(method);
  if (scanner.text !== "{") {
    context.endDeclaration(path, start);
    return;
  }
  const location = context.open(path, start);
  const statements: OptionStatement[] = [];
  while (!scanner.is("}")) {
    yield context.work();
    if (context.acceptEmpty()) continue;
    expect(scanner, "option");
    statements.push(yield* readOption(context));
    context.endStatement();
  }
  context.close(location);
  context.addOptions(method, "Method", qualify(scope, name), scope, statements);
}

function readMethodType(context: ParseContext): { name: string; stream: boolean } {
  const { scanner } = context;
  expect(scanner, "(");
  let name = readName(scanner, "the name of a message");
  const stream = name === "stream" && scanner.text !== ")";
  if (stream) name = readName(scanner, "the name of a message");
  expect(scanner, ")");
  return { name, stream };
}
