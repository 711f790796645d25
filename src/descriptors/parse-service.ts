import type { Steps } from "../net/pace.js";
import { type FileProto, type MethodProto, Path, type ServiceProto } from "./descriptor-proto.js";
import { readOption } from "./literal.js";
import type { ParseContext, Start } from "./parse-context.js";
import { qualify } from "./symbol-table.js";
import type { OptionStatement } from "./syntax.js";
import { accept, expect, readIdentifier, readName } from "./token.js";

/** Reads a service after its keyword. */
export function* readService(context: ParseContext, file: FileProto, start: Start): Steps {
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
      statements.push(readOption(scanner));
      context.endStatement();
    } else {
      expect(scanner, "rpc");
      readMethod(context, service, scope, path, methodStart);
    }
  }
  context.close(location);
  context.addOptions(service, "Service", scope, file.package, statements);
}

function readMethod(
  context: ParseContext,
  service: ServiceProto,
  scope: string,
  servicePath: readonly number[],
  start: Start,
): void {
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
    if (context.acceptEmpty()) continue;
    expect(scanner, "option");
    statements.push(readOption(scanner));
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
