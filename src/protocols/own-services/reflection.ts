import { Code } from "../../status/code.js";
import { WireReader } from "../../wire/reader.js";
import { LENGTH, VARINT } from "../../wire/wire-type.js";
import { WireWriter } from "../../wire/writer.js";
import {
  type CallReceiver,
  errorStatus,
  type LocalMethod,
  okStatus,
  type Responder,
} from "./local-channel.js";
import type { PublishedFiles } from "./published-files.js";

const versions = ["v1", "v1alpha"] as const;

/** Bytes of a request: it has a name in it. */
const maxRequestBytes = 16 * 1024;

/** `grpc.reflection.v1.ServerReflection` of the gateway, and `v1alpha`, which is the same on the wire. */
export function reflectionMethods(files: PublishedFiles): ReadonlyMap<string, LocalMethod> {
  const method: LocalMethod = { open: responder => new ReflectionCall(files, responder) };
  return new Map(
    versions.map(version => [`/grpc.reflection.${version}.ServerReflection/ServerReflectionInfo`, method]),
  );
}

/** One call. A file that it has sent is not sent again as a dependency of another. */
class ReflectionCall implements CallReceiver {
  readonly #files: PublishedFiles;
  readonly #responder: Responder;
  readonly #sent = new Set<string>();

  constructor(files: PublishedFiles, responder: Responder) {
    this.#files = files;
    this.#responder = responder;
  }

  message(request: Uint8Array): void {
    const parsed = request.length > maxRequestBytes ? undefined : readRequest(request);
    if (parsed === undefined) {
      const expected = "expected a message grpc.reflection.v1.ServerReflectionRequest of at most 16 KiB";
      this.#responder.end(errorStatus(Code.INVALID_ARGUMENT, expected));
      return;
    }
    const writer = new WireWriter();
    if (parsed.host !== "") writer.string(1, parsed.host);
    writer.field(2, request);
    this.#respond(parsed, writer);
    this.#responder.respond(writer.finish());
  }

  end(): void {
    this.#responder.end(okStatus);
  }

  #respond({ member, text, number }: ParsedRequest, writer: WireWriter): void {
    switch (member) {
      case Member.FileByName:
        this.#writeFile(writer, this.#files.has(text) ? text : undefined, `file "${shown(text)}"`);
        break;
      case Member.Symbol:
        this.#writeFile(writer, this.#files.ofSymbol(text), `symbol "${shown(text)}"`);
        break;
      case Member.Extension: {
        const file = this.#files.extensionsOf(text)?.get(number);
        this.#writeFile(writer, file, `extension ${number} of "${shown(text)}"`);
        break;
      }
      case Member.ExtensionNumbers:
        this.#writeExtensionNumbers(writer, text);
        break;
      case Member.Services:
        writer.message(6, list => {
          for (const name of this.#files.services) list.message(1, service => service.string(1, name));
        });
        break;
      case undefined:
        writeError(writer, Code.INVALID_ARGUMENT, "the request has no member of message_request");
    }
  }

  #writeFile(writer: WireWriter, name: string | undefined, what: string): void {
    if (name === undefined) {
      writeError(writer, Code.NOT_FOUND, `${what} is not known`);
      return;
    }
    writer.message(4, list => {
      for (const bytes of this.#files.withDependencies(name, this.#sent)) list.field(1, bytes);
    });
  }

  #writeExtensionNumbers(writer: WireWriter, type: string): void {
    const extensions = this.#files.extensionsOf(type);
    if (extensions === undefined) {
      writeError(writer, Code.NOT_FOUND, `message "${shown(type)}" is not known`);
      return;
    }
    writer.message(5, response => {
      response.string(1, type);
      response.message(2, packed => {
        for (const number of extensions.keys()) packed.varint(BigInt(number));
      });
    });
  }
}

function shown(name: string): string {
  return name.slice(0, 256);
}

function writeError(writer: WireWriter, code: number, message: string): void {
  writer.message(7, error => {
    error.integer(1, code);
    error.string(2, message);
  });
}

/** Numbers of the members of ServerReflectionRequest.message_request. */
const Member = { FileByName: 3, Symbol: 4, Extension: 5, ExtensionNumbers: 6, Services: 7 } as const;

interface ParsedRequest {
  readonly host: string;
  /** Undefined where none is set; of several the last counts. */
  readonly member: (typeof Member)[keyof typeof Member] | undefined;
  readonly text: string;
  readonly number: number;
}

/** Undefined where the bytes are no ServerReflectionRequest. */
function readRequest(bytes: Uint8Array): ParsedRequest | undefined {
  try {
    const reader = new WireReader(bytes);
    let parsed: ParsedRequest = { host: "", member: undefined, text: "", number: 0 };
    while (reader.next()) {
      const field = reader.number;
      if (reader.wireType !== LENGTH) reader.skip();
      else if (field === 1) parsed = { ...parsed, host: reader.string() };
      else if (field === Member.Extension) parsed = { ...parsed, ...readExtension(reader.delimited()) };
      else if (isTextMember(field)) parsed = { ...parsed, member: field, text: reader.string() };
      else reader.skip();
    }
    return parsed;
  } catch {
    return undefined;
  }
}

function isTextMember(field: number): field is 3 | 4 | 6 | 7 {
  return field >= Member.FileByName && field <= Member.Services && field !== Member.Extension;
}

function readExtension(bytes: Uint8Array): Pick<ParsedRequest, "member" | "text" | "number"> {
  const reader = new WireReader(bytes);
  let text = "";
  let number = 0;
  while (reader.next()) {
    if (reader.number === 1 && reader.wireType === LENGTH) text = reader.string();
    else if (reader.number === 2 && reader.wireType === VARINT) number = reader.int32();
    else reader.skip();
  }
  return { member: Member.Extension, text, number };
}
