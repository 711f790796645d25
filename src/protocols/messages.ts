import { asBuffer } from "../net/buffer.js";
import { compress } from "../net/gzip.js";
import { gatewayError } from "../status/failure.js";
import { decompress, type MessageEncoding, worthCompressing } from "./compression.js";
import { EnvelopeReader, envelope } from "./envelope.js";
import type { EmitMessage, MessageReader } from "./protocol.js";

/** What a protocol makes of the bytes of one message, decompressed, before the backend gets them. */
export type Transform = (message: Buffer) => Uint8Array;

/** Flag of an envelope whose message is compressed. */
export const compressedFlag = 1;

/** Reads messages in envelopes. */
export class EnvelopedMessages implements MessageReader {
  readonly #envelopes: EnvelopeReader;
  readonly #encoding: MessageEncoding;
  readonly #limit: number;
  readonly #transform: Transform | undefined;

  /** @param limit bytes of a message, before and after it is decompressed */
  constructor(encoding: MessageEncoding, limit: number, transform?: Transform) {
    this.#envelopes = new EnvelopeReader(limit);
    this.#encoding = encoding;
    this.#limit = limit;
    this.#transform = transform;
  }

  push(chunk: Uint8Array, emit: EmitMessage): void | Promise<void> {
    this.#envelopes.feed(asBuffer(chunk));
    return this.#emitAll(emit);
  }

  end(): void {
    this.#envelopes.end();
  }

  #emitAll(emit: EmitMessage): void | Promise<void> {
    for (;;) {
      const bytes = this.#envelopes.next();
      if (bytes === undefined) return undefined;
      const message = this.#read(this.#envelopes.flags, bytes);
      const waiting =
        message instanceof Promise ? message.then(each => this.#emit(each, emit)) : this.#emit(message, emit);
      if (waiting !== undefined) return waiting.then(() => this.#emitAll(emit));
    }
  }

  #emit(message: Buffer, emit: EmitMessage): Promise<void> | undefined {
    return emit(this.#transform === undefined ? message : this.#transform(message));
  }

  #read(flags: number, bytes: Buffer): Buffer | Promise<Buffer> {
    requireMessageFlags(flags);
    if (flags === 0) return bytes;
    if (this.#encoding === "identity") throw unexpectedCompression();
    return decompress(bytes, this.#limit);
  }
}

/** @throws GatewayError MALFORMED_ENVELOPE for flags that no message of a request has */
export function requireMessageFlags(flags: number): void {
  if (flags > compressedFlag)
    throw gatewayError("MALFORMED_ENVELOPE", `a message has the flags ${flags}; expected 0 or 1`);
}

/** gRPC asks for the code INTERNAL there (compression.md), and Connect does as gRPC. */
function unexpectedCompression(): Error {
  return gatewayError(
    "UNEXPECTED_COMPRESSION",
    "a message is marked as compressed, but the headers name no encoding",
  );
}

/** A message of a response in its envelope. @param mayCompress whether the head of the response says that it may */
export function messageEnvelope(message: Uint8Array, mayCompress: boolean): Buffer | Promise<Buffer> {
  if (!mayCompress || !worthCompressing(message)) return envelope(0, message);
  const bytes = compress(message);
  return bytes instanceof Promise
    ? bytes.then(each => envelope(compressedFlag, each))
    : envelope(compressedFlag, bytes);
}
