import { Reader, Writer } from "protobufjs";
import { Cancellation } from "../../net/cancellation.js";
import { errorMessage } from "../../net/error-text.js";
import type { CallStatus, Channel, StreamHandle } from "../channel.js";

/** Requests sent ahead of their responses. */
const maxPipelined = 64;

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
  async ask(requests: readonly ReflectionRequest[]): Promise<ReflectionResponse[]> {
    const responses: ReflectionResponse[] = [];
    for (let start = 0; start < requests.length; start += maxPipelined) {
      const batch = requests.slice(start, start + maxPipelined);
      responses.push(...(await Promise.all(batch.map(request => this.#ask(request)))));
    }
    return responses;
  }

  close(): void {
    this.#cancel();
  }

  #ask(request: ReflectionRequest): Promise<ReflectionResponse> {
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

/** What is asked in one ServerReflectionRequest (grpc/reflection/v1/reflection.proto; v1alpha is the same on the wire). */
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
  const writer = Writer.create();
  switch (request.kind) {
    case "file":
      writer.uint32(tag(3)).string(request.name);
      break;
    case "symbol":
      writer.uint32(tag(4)).string(request.symbol);
      break;
    case "extension":
      writer.uint32(tag(5)).fork();
      writer.uint32(tag(1)).string(request.type);
      writer.uint32(tag(2, 0)).int32(request.number);
      writer.ldelim();
      break;
    case "extensions":
      writer.uint32(tag(6)).string(request.type);
      break;
    case "services":
      // The value is not used, but the field must be there to choose the member of the oneof.
      writer.uint32(tag(7)).string("*");
      break;
  }
  return writer.finish();
}

/** @throws Error where the bytes are no ServerReflectionResponse with content */
function decodeResponse(bytes: Uint8Array): ReflectionResponse {
  let response: ReflectionResponse | undefined;
  eachField(bytes, (field, reader) => {
    switch (field) {
      case 4:
        response = { kind: "files", files: repeatedBytes(reader.bytes(), 1) };
        return true;
      case 5:
        response = { kind: "extensions", numbers: numbers(reader.bytes(), 2) };
        return true;
      case 6:
        response = { kind: "services", services: serviceNames(reader.bytes()) };
        return true;
      case 7:
        response = errorResponse(reader.bytes());
        return true;
      default:
        return false;
    }
  });
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
  eachField(file, (field, reader) => {
    if (field === 1) name = reader.string();
    else if (field === 3) dependencies.push(reader.string());
    else return false;
    return true;
  });
  if (name === "") throw new Error("a reflected file has no name");
  return { name, dependencies };
}

function serviceNames(bytes: Uint8Array): string[] {
  return repeatedBytes(bytes, 1).map(service => {
    let name = "";
    eachField(service, (field, reader) => {
      if (field === 1) name = reader.string();
      return field === 1;
    });
    return name;
  });
}

function errorResponse(bytes: Uint8Array): ReflectionResponse {
  let code = 0;
  let message = "";
  eachField(bytes, (field, reader) => {
    if (field === 1) code = reader.int32();
    else if (field === 2) message = reader.string();
    else return false;
    return true;
  });
  return { kind: "error", code, message };
}

function repeatedBytes(bytes: Uint8Array, wanted: number): Uint8Array[] {
  const found: Uint8Array[] = [];
  eachField(bytes, (field, reader) => {
    if (field === wanted) found.push(reader.bytes());
    return field === wanted;
  });
  return found;
}

/** A repeated int32, packed or not. */
function numbers(bytes: Uint8Array, wanted: number): number[] {
  const found: number[] = [];
  eachField(bytes, (field, reader, wireType) => {
    if (field !== wanted) return false;
    if (wireType === 2) {
      const end = reader.uint32() + reader.pos;
      while (reader.pos < end) found.push(reader.int32());
    } else {
      found.push(reader.int32());
    }
    return true;
  });
  return found;
}

function tag(field: number, wireType = 2): number {
  return (field << 3) | wireType;
}

/** `read` returns false for a field that it leaves unread. */
function eachField(
  bytes: Uint8Array,
  read: (field: number, reader: Reader, wireType: number) => boolean,
): void {
  const reader = Reader.create(bytes);
  while (reader.pos < reader.len) {
    const found = reader.uint32();
    const wireType = found & 7;
    if (!read(found >>> 3, reader, wireType)) reader.skipType(wireType);
  }
}
