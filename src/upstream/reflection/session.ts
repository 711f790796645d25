import { Cancellation } from "../../net/cancellation.js";
import { errorMessage } from "../../net/error-text.js";
import { WireReader } from "../../wire/reader.js";
import { LENGTH, VARINT } from "../../wire/wire-type.js";
import { WireWriter } from "../../wire/writer.js";
import type { CallStatus, Channel, StreamHandle } from "../channel.js";

/** Requests sent ahead of their responses. */
const maxPipelined = 64;
const utf8 = new TextDecoder();

/** A reflection stream ended before all responses came. */
export class ReflectionEnded extends Error {
  override readonly name = "ReflectionEnded";
  constructor(readonly status: CallStatus) {
    super(status.message === "" ? `the stream ended with code ${status.code}` : status.message);
  }
}

interface Waiting {
  resolve(response: ReflectionResponse): void;
  reject(error: Error): void;
}

/** One ServerReflectionInfo stream. The server responds to requests in their order. */
export class ReflectionSession {
  readonly #stream: StreamHandle;
  readonly #cancellation = new Cancellation();
  readonly #waiting: Waiting[] = [];
  readonly #cancel = () => this.#cancellation.cancel();
  #ended: Error | undefined;

  /** `path` is that of ServerReflectionInfo; `timeout` is for the whole session, in milliseconds; `signal` ends it. */
  constructor(channel: Channel, path: string, timeout: number, signal?: AbortSignal) {
    this.#stream = channel.stream({
      path,
      metadata: [],
      timeout,
      cancellation: this.#cancellation,
      onMessage: message => this.#onMessage(message),
      onEnd: status => {
        signal?.removeEventListener("abort", this.#cancel);
        this.#fail(new ReflectionEnded(status));
      },
    });
    if (signal?.aborted) this.#cancel();
    else signal?.addEventListener("abort", this.#cancel);
  }

  /**
   * Sends all; the responses are in the same order.
   * @throws ReflectionEnded, or Error where a response cannot be understood
   */
  async request(requests: readonly ReflectionRequest[]): Promise<ReflectionResponse[]> {
    const responses: ReflectionResponse[] = [];
    for (let start = 0; start < requests.length; start += maxPipelined) {
      const batch = requests.slice(start, start + maxPipelined);
      responses.push(...(await Promise.all(batch.map(request => this.#request(request)))));
    }
    return responses;
  }

  close(): void {
    this.#cancel();
  }

  #request(request: ReflectionRequest): Promise<ReflectionResponse> {
    return new Promise((resolve, reject) => {
      if (this.#ended !== undefined) {
        reject(this.#ended);
        return;
      }
      this.#waiting.push({ resolve, reject });
      this.#stream.send(encodeRequest(request));
    });
  }

  #onMessage(message: Uint8Array): void {
    try {
      const response = decodeResponse(message);
      this.#waiting.shift()?.resolve(response);
    } catch (error) {
      this.#fail(new Error(`malformed reflection response: ${errorMessage(error)}`));
      this.#cancel();
    }
  }

  #fail(error: Error): void {
    this.#ended ??= error;
    for (const { reject } of this.#waiting.splice(0)) reject(this.#ended);
  }
}

/** Content of one ServerReflectionRequest (grpc/reflection/v1/reflection.proto; v1alpha is the same on the wire). */
export type ReflectionRequest =
  | { readonly kind: "services" }
  | { readonly kind: "symbol"; readonly symbol: string }
  | { readonly kind: "file"; readonly name: string }
  | { readonly kind: "extensions"; readonly type: string }
  | { readonly kind: "extension"; readonly type: string; readonly number: number };

type ReflectionResponse =
  | { readonly kind: "services"; readonly services: readonly string[] }
  /** Serialized FileDescriptorProtos. */
  | { readonly kind: "files"; readonly files: readonly Uint8Array[] }
  | { readonly kind: "extensions"; readonly numbers: readonly number[] }
  | { readonly kind: "error"; readonly code: number; readonly message: string };

function encodeRequest(request: ReflectionRequest): Uint8Array {
  const writer = new WireWriter();
  switch (request.kind) {
    case "file":
      writer.string(3, request.name);
      break;
    case "symbol":
      writer.string(4, request.symbol);
      break;
    case "extension":
      writer.message(5, extension => {
        extension.string(1, request.type);
        extension.integer(2, request.number);
      });
      break;
    case "extensions":
      writer.string(6, request.type);
      break;
    case "services":
      // The value is not used, but the field must be there to choose the member of the oneof.
      writer.string(7, "*");
      break;
  }
  return writer.finish();
}

/** @throws Error where the bytes are no ServerReflectionResponse with content */
function decodeResponse(bytes: Uint8Array): ReflectionResponse {
  let response: ReflectionResponse | undefined;
  const reader = new WireReader(bytes);
  while (reader.next()) {
    if (reader.wireType !== LENGTH) {
      reader.skip();
      continue;
    }
    const content = reader.delimited();
    if (reader.number === 4) response = { kind: "files", files: repeatedBytes(content, 1) };
    else if (reader.number === 5) response = { kind: "extensions", numbers: numbers(content, 2) };
    else if (reader.number === 6) response = { kind: "services", services: serviceNames(content) };
    else if (reader.number === 7) response = errorResponse(content);
  }
  if (response === undefined) throw new Error("a reflection response has no content");
  return response;
}

/** Name and imports of a serialized FileDescriptorProto. */
interface FileHead {
  readonly name: string;
  readonly dependencies: readonly string[];
}

/** @throws Error where the bytes are no FileDescriptorProto */
export function decodeFileHead(file: Uint8Array): FileHead {
  let name = "";
  const dependencies: string[] = [];
  const reader = new WireReader(file);
  while (reader.next()) {
    if (reader.number === 1 && reader.wireType === LENGTH) name = reader.string();
    else if (reader.number === 3 && reader.wireType === LENGTH) dependencies.push(reader.string());
    else reader.skip();
  }
  if (name === "") throw new Error("a reflected file has no name");
  return { name, dependencies };
}

function serviceNames(bytes: Uint8Array): string[] {
  return repeatedBytes(bytes, 1).map(service => utf8.decode(repeatedBytes(service, 1).at(-1)));
}

function errorResponse(bytes: Uint8Array): ReflectionResponse {
  let code = 0;
  let message = "";
  const reader = new WireReader(bytes);
  while (reader.next()) {
    if (reader.number === 1 && reader.wireType === VARINT) code = reader.int32();
    else if (reader.number === 2 && reader.wireType === LENGTH) message = reader.string();
    else reader.skip();
  }
  return { kind: "error", code, message };
}

/** All values of a length-delimited field. */
function repeatedBytes(bytes: Uint8Array, number: number): Uint8Array[] {
  const found: Uint8Array[] = [];
  const reader = new WireReader(bytes);
  while (reader.next()) {
    if (reader.number === number && reader.wireType === LENGTH) found.push(reader.delimited());
    else reader.skip();
  }
  return found;
}

/** A repeated int32, packed or not. */
function numbers(bytes: Uint8Array, number: number): number[] {
  const found: number[] = [];
  const reader = new WireReader(bytes);
  while (reader.next()) {
    if (reader.number === number && reader.wireType === VARINT) {
      found.push(reader.int32());
    } else if (reader.number === number && reader.wireType === LENGTH) {
      const packed = new WireReader(reader.delimited());
      while (!packed.done) found.push(packed.int32());
    } else {
      reader.skip();
    }
  }
  return found;
}
