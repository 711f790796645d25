import { readUint32, writeUint32 } from "../h2/bytes.js";
import { gatewayError } from "../status/failure.js";

/** Bytes before each message: flags and the length, big-endian (gRPC over HTTP/2, Length-Prefixed-Message). */
const headSize = 5;

/** Bytes reserved before any have come: a length that a client only announces costs no memory. */
const firstRoom = 64 * 1024;

/** A message behind its head. */
export function envelope(flags: number, message: Uint8Array): Buffer {
  const bytes = Buffer.allocUnsafe(headSize + message.length);
  bytes[0] = flags;
  writeUint32(bytes, 1, message.length);
  bytes.set(message, headSize);
  return bytes;
}

/** Joins envelopes from the pieces in which they come; never holds more than one that is not complete, and one piece. */
export class EnvelopeReader {
  readonly #limit: number;
  #chunk: Buffer = Buffer.alloc(0);
  /** Bytes of the piece that were read. */
  #at = 0;
  readonly #head = Buffer.alloc(headSize);
  #headSize = 0;
  /** The received part of the envelope whose head is complete; undefined before. */
  #partial: Buffer | undefined;
  #size = 0;
  #received = 0;
  /** Of the envelope that `next` gave. */
  flags = 0;

  /** @param limit bytes of an envelope, without its head */
  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Takes the next piece, once `next` has nothing of the one before. */
  feed(chunk: Buffer): void {
    this.#chunk = chunk;
    this.#at = 0;
  }

  /**
   * The next envelope without its head, perhaps a part of the piece; undefined where more of it has to come.
   * @throws GatewayError BODY_TOO_LARGE as soon as the head of an envelope exceeds the limit
   */
  next(): Buffer | undefined {
    const chunk = this.#chunk;
    const start = this.#at;
    if (this.#headSize === 0 && chunk.length - start >= headSize) {
      const from = start + headSize;
      const end = from + this.#sizeAt(chunk, start + 1);
      if (end <= chunk.length) {
        this.flags = chunk[start] as number;
        this.#at = end;
        return chunk.subarray(from, end);
      }
    }
    return this.#join(chunk);
  }

  #join(chunk: Buffer): Buffer | undefined {
    if (this.#partial === undefined) {
      const count = Math.min(headSize - this.#headSize, chunk.length - this.#at);
      chunk.copy(this.#head, this.#headSize, this.#at, this.#at + count);
      this.#headSize += count;
      this.#at += count;
      if (this.#headSize < headSize) return undefined;
      this.#size = this.#sizeAt(this.#head, 1);
      this.#partial = Buffer.allocUnsafe(Math.min(this.#size, firstRoom));
    }
    const count = Math.min(this.#size - this.#received, chunk.length - this.#at);
    this.#append(this.#partial, chunk, this.#at, this.#at + count);
    this.#at += count;
    if (this.#received < this.#size) return undefined;
    const bytes = this.#partial.subarray(0, this.#size);
    this.flags = this.#head[0] as number;
    this.#partial = undefined;
    this.#headSize = this.#size = this.#received = 0;
    return bytes;
  }

  /** @throws GatewayError MALFORMED_ENVELOPE where the body ends within an envelope */
  end(): void {
    if (this.#headSize === 0) return;
    const missing =
      this.#partial === undefined
        ? `${this.#headSize} of the ${headSize} bytes before a message`
        : `${this.#received} of the ${this.#size} bytes of a message`;
    throw gatewayError("MALFORMED_ENVELOPE", `the body ends after ${missing}`);
  }

  #sizeAt(bytes: Buffer, at: number): number {
    const size = readUint32(bytes, at);
    if (size > this.#limit)
      throw gatewayError(
        "BODY_TOO_LARGE",
        `a message of ${size} bytes is larger than the limit, ${this.#limit}`,
      );
    return size;
  }

  #append(partial: Buffer, chunk: Buffer, from: number, to: number): void {
    const size = this.#received + to - from;
    let target = partial;
    if (size > target.length) {
      target = Buffer.allocUnsafe(Math.min(this.#size, Math.max(size, 2 * target.length)));
      partial.copy(target, 0, 0, this.#received);
      this.#partial = target;
    }
    chunk.copy(target, this.#received, from, to);
    this.#received = size;
  }
}
