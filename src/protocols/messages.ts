import { asBuffer } from "../net/buffer.js";
import { compress } from "../net/gzip.js";
import { whenReady } from "../net/when-ready.js";
import { gatewayError } from "../status/failure.js";
import { decompress, type MessageEncoding, worthCompressing } from "./compression.js";
import { EnvelopeReader, envelope } from "./envelope.js";
import type { EmitMessage, MessageReader } from "./protocol.js";

/** Converts the decompressed bytes of one message before they go to the backend. */
export type Transform = (message: Buffer) => Uint8Array | Promise<Uint8Array>;

/** Flag of an envelope whose message is compressed. */
const compressedFlag = 1;

/** Converts an envelope to the message for the backend. @throws GatewayError, or rejects with it */
type ReadEnvelope = (flags: number, bytes: Buffer) => Uint8Array | Promise<Uint8Array>;

/** Reads messages in envelopes, one after the other. */
export class EnvelopedMessages implements MessageReader {
  readonly #envelopes: EnvelopeReader;
  readonly #read: ReadEnvelope;

  /** @param limit bytes of a message as it comes, compressed or not */
  constructor(limit: number, read: ReadEnvelope) {
    this.#envelopes = new EnvelopeReader(limit);
    this.#read = read;
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
      const waiting = whenReady(message, emit);
      if (waiting !== undefined) return waiting.then(() => this.#emitAll(emit));
    }
  }
}

/** Reads messages that the gateway looks into. @param limit bytes of a message, before and after it is decompressed */
export function plainMessages(
  encoding: MessageEncoding,
  limit: number,
  transform: Transform = message => message,
): EnvelopedMessages {
  return new EnvelopedMessages(limit, (flags, bytes) => {
    requireMessageFlags(flags);
    if (flags === 0) return transform(bytes);
    if (encoding === "identity") throw unexpectedCompression();
    const message = decompress(bytes, limit);
    return whenReady(message, transform);
  });
}

/** Reads messages that pass as they are, in their envelopes. @param limit bytes of a message, compressed or not */
export function passedMessages(limit: number): EnvelopedMessages {
  return new EnvelopedMessages(limit, (flags, bytes) => {
    requireMessageFlags(flags);
    return envelope(flags, bytes);
  });
}

/** @throws GatewayError MALFORMED_ENVELOPE for flags that no message of a request has */
function requireMessageFlags(flags: number): void {
  if (flags > compressedFlag)
    throw gatewayError("MALFORMED_ENVELOPE", `a message has the flags ${flags}; expected 0 or 1`);
}

/** gRPC requires the code INTERNAL there (compression.md), and Connect does as gRPC. */
function unexpectedCompression(): Error {
  return gatewayError(
    "UNEXPECTED_COMPRESSION",
    "a message is marked as compressed, but the headers name no encoding",
  );
}

/** A message of a response in its envelope. @param mayCompress whether the head of the response allows compression */
export function messageEnvelope(message: Uint8Array, mayCompress: boolean): Buffer | Promise<Buffer> {
  if (!mayCompress || !worthCompressing(message)) return envelope(0, message);
  const bytes = compress(message);
  return bytes instanceof Promise
    ? bytes.then(each => envelope(compressedFlag, each))
    : envelope(compressedFlag, bytes);
}
