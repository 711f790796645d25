import { Server, ServerCredentials, type ServerDuplexStream } from "@grpc/grpc-js";
import { Reader, Writer } from "protobufjs";
import { decodeFile } from "../src/descriptors/descriptor-codec.js";
import type { FileProto, MessageProto } from "../src/descriptors/descriptor-proto.js";
import { rawMethod } from "./raw-method.js";

/** Descriptors as a server holds them: serialized files by name, and the file that defines a symbol or an extension. */
interface Reflected {
  readonly files: Map<string, Uint8Array>;
  readonly symbols: Map<string, string>;
  /** `extendee#number` to the file that declares it. */
  readonly extensions: Map<string, string>;
  readonly services: string[];
}

const tag = { file: 26, symbol: 34, extension: 42, extensionNumbers: 50, services: 58 } as const;

export interface ReflectionServer {
  readonly port: number;
  /** Every request in order, as `symbol shop.v1.Shop`. */
  readonly asked: string[];
  close(): void;
}

/**
 * A gRPC server on loopback that reflects these files byte for byte (v1), one file an answer, as grpc-java does.
 * @param files serialized FileDescriptorProtos
 * @param version of the reflection service
 * @param silent requests that get no response, as they are in `asked`
 * @param serve adds further services
 * @param names what the server knows its files by, where that is not their own name
 */
export async function startReflectionServer(
  files: readonly Uint8Array[],
  {
    version = "v1",
    names = new Map<string, string>(),
    port = 0,
    silent = new Set<string>(),
    serve = (_server: Server): void => undefined,
  } = {},
): Promise<ReflectionServer> {
  const reflected = indexOf(files, names);
  const asked: string[] = [];
  const server = new Server();
  server.addService(
    {
      info: rawMethod(`/grpc.reflection.${version}.ServerReflection/ServerReflectionInfo`, true, true),
    },
    {
      info: (call: ServerDuplexStream<Buffer, Buffer>) => {
        call.on("data", (request: Buffer) => {
          const response = Buffer.from(respond(request, reflected, asked));
          if (!silent.has(asked.at(-1) ?? "")) call.write(response);
        });
        call.on("end", () => call.end());
        call.on("error", () => undefined);
      },
    },
  );
  serve(server);
  const bound = await new Promise<number>((resolve, reject) => {
    server.bindAsync(`127.0.0.1:${port}`, ServerCredentials.createInsecure(), (error, at) =>
      error === null ? resolve(at) : reject(error),
    );
  });
  return { port: bound, asked, close: () => server.forceShutdown() };
}

function indexOf(files: readonly Uint8Array[], names: ReadonlyMap<string, string>): Reflected {
  const index: Reflected = { files: new Map(), symbols: new Map(), extensions: new Map(), services: [] };
  for (const bytes of files) {
    const file = decodeFile(bytes);
    index.files.set(names.get(file.name) ?? file.name, bytes);
    enter(index, file, names.get(file.name) ?? file.name);
  }
  return index;
}

function enter(index: Reflected, file: FileProto, name: string): void {
  const qualified = (scope: string, last: string) => (scope === "" ? last : `${scope}.${last}`);
  const container = (scope: string, { extension, enumType }: FileProto | MessageProto) => {
    for (const each of enumType) index.symbols.set(qualified(scope, each.name), name);
    for (const each of extension) {
      index.symbols.set(qualified(scope, each.name), name);
      index.extensions.set(`${each.extendee?.slice(1)}#${each.number}`, name);
    }
  };
  const message = (scope: string, type: MessageProto) => {
    const own = qualified(scope, type.name);
    index.symbols.set(own, name);
    container(own, type);
    for (const nested of type.nestedType) message(own, nested);
  };
  container(file.package, file);
  for (const type of file.messageType) message(file.package, type);
  for (const service of file.service) {
    const own = qualified(file.package, service.name);
    index.services.push(own);
    index.symbols.set(own, name);
    for (const method of service.method) index.symbols.set(`${own}.${method.name}`, name);
  }
}

function respond(request: Buffer, index: Reflected, asked: string[]): Uint8Array {
  const reader = Reader.create(request);
  while (reader.pos < reader.len) {
    const field = reader.uint32();
    switch (field) {
      case tag.file:
        return fileResponse(index, note(asked, "file", reader.string()));
      case tag.symbol:
        return fileResponse(index, index.symbols.get(note(asked, "symbol", reader.string())));
      case tag.extension: {
        const key = note(asked, "extension", extensionKey(reader.bytes()));
        return fileResponse(index, index.extensions.get(key));
      }
      case tag.extensionNumbers:
        return numbersResponse(index, note(asked, "extensions", reader.string()));
      case tag.services:
        note(asked, "services", reader.string());
        return servicesResponse(index);
      default:
        reader.skipType(field & 7);
    }
  }
  return notFound();
}

function note(asked: string[], kind: string, what: string): string {
  asked.push(`${kind} ${what}`);
  return what;
}

function extensionKey(bytes: Uint8Array): string {
  const reader = Reader.create(bytes);
  let type = "";
  let number = 0;
  while (reader.pos < reader.len) {
    const field = reader.uint32();
    if (field === 10) type = reader.string();
    else if (field === 16) number = reader.int32();
    else reader.skipType(field & 7);
  }
  return `${type}#${number}`;
}

function fileResponse({ files }: Reflected, name: string | undefined): Uint8Array {
  const file = name === undefined ? undefined : files.get(name);
  if (file === undefined) return notFound();
  return Writer.create().uint32(34).fork().uint32(10).bytes(file).ldelim().finish();
}

function numbersResponse({ extensions }: Reflected, type: string): Uint8Array {
  const writer = Writer.create().uint32(42).fork().uint32(10).string(type).uint32(18).fork();
  for (const key of extensions.keys()) {
    const [extendee, number] = key.split("#");
    if (extendee === type) writer.int32(Number(number));
  }
  return writer.ldelim().ldelim().finish();
}

function servicesResponse({ services }: Reflected): Uint8Array {
  const writer = Writer.create().uint32(50).fork();
  for (const name of services) writer.uint32(10).fork().uint32(10).string(name).ldelim();
  return writer.ldelim().finish();
}

function notFound(): Uint8Array {
  return Writer.create()
    .uint32(58)
    .fork()
    .uint32(8)
    .int32(5)
    .uint32(18)
    .string("not found")
    .ldelim()
    .finish();
}
