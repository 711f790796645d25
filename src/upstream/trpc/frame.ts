import { copyOf, readUint32, writeUint32 } from "../../h2/bytes.js";

/**
 * The frame of tRPC (https://github.com/trpc-group/trpc, docs/en/trpc_protocol_design.md): 16 bytes, then a header, a
 * body and an attachment. All numbers are big-endian.
 *
 *      0      2      3       4        8       10   14        15       16
 *     ┌──────┬──────┬───────┬────────┬────────┬────┬─────────┬────────┬────────┬──────┬────────────┐
 *     │magic │type  │stream │total   │header  │id  │version  │reserved│ header │ body │ attachment │
 *     │0x0930│      │type   │length  │length  │    │         │        │        │      │            │
 *     └──────┴──────┴───────┴────────┴────────┴────┴─────────┴────────┴────────┴──────┴────────────┘
 */
export const frameHeadSize = 16;
export const maxHeaderSize = 0xffff;

const magic = 0x0930;
const unaryFrame = 0;
const streamFrame = 1;

/** Bytes reserved for a body before any have come: a length that a peer only announces costs no memory. */
const firstRoom = 64 * 1024;

/** Writes the head of a unary frame at `at`. `total`: bytes of the whole frame; `header`: bytes of its header. */
export function writeFrameHead(
  bytes: Buffer,
  at: number,
  total: number,
  header: number,
  id: number,
  version: number,
): void {
  bytes[at] = magic >> 8;
  bytes[at + 1] = magic & 0xff;
  bytes[at + 2] = unaryFrame;
  bytes[at + 3] = 0;
  writeUint32(bytes, at + 4, total);
  bytes[at + 8] = header >> 8;
  bytes[at + 9] = header;
  writeUint32(bytes, at + 10, id);
  bytes[at + 14] = version;
  bytes[at + 15] = 0;
}

/** The peer does not send frames of tRPC: the connection cannot be read any further. */
export class TrpcError extends Error {}

/** Receives the frames of a connection. */
export interface TrpcSink {
  /**
   * The header of a unary frame is in bytes `from` to `to`, to be read at once; `size` bytes follow it.
   * @returns how many of them are kept, the first ones; -1: none
   * @throws TrpcError
   */
  onHeader(id: number, bytes: Buffer, from: number, to: number, size: number, version: number): number;
  /** The bytes that were kept, in a buffer of their own. */
  onBody(body: Buffer): void;
  /** A frame that is passed over: it has no header, or one that is longer than it, or belongs to a stream. */
  onUnreadable(id: number, why: string): void;
  /** A frame that is larger than is read, before the TrpcError of it is thrown. */
  onOversized(id: number, total: number): void;
}

/** Splits a byte stream into frames, with chunks of any size. Holds at most one header and the start of one body. */
export class TrpcReader {
  readonly #sink: TrpcSink;
  readonly #maxTotal: number;
  /** The head and the header of a frame that comes in pieces. */
  #prefix = Buffer.allocUnsafe(512);
  #prefixSize = 0;
  /** The body that is being received. */
  #body: Buffer | undefined;
  #bodySize = 0;
  #received = 0;
  /** Bytes to be passed over: of the frame behind its body, or without one. */
  #skip = 0;

  /** `maxTotal`: bytes of a frame; a larger one ends the connection. */
  constructor(sink: TrpcSink, maxTotal: number) {
    this.#sink = sink;
    this.#maxTotal = maxTotal;
  }

  /** Reads bytes `from` to `to`, which are not kept. @throws TrpcError */
  read(bytes: Buffer, from: number, to: number): void {
    let at = from;
    while (at < to) {
      if (this.#body !== undefined) at = this.#receive(this.#body, bytes, at, to);
      else if (this.#skip > 0) {
        const count = Math.min(this.#skip, to - at);
        this.#skip -= count;
        at += count;
      } else at = this.#readPrefix(bytes, at, to);
    }
  }

  #readPrefix(bytes: Buffer, from: number, to: number): number {
    if (this.#prefixSize === 0 && to - from >= frameHeadSize) {
      const size = this.#sizeOfPrefix(bytes, from);
      if (size <= to - from) {
        this.#begin(bytes, from, size);
        return from + size;
      }
    }
    const prefixed = this.#prefixSize;
    const at = this.#collect(bytes, from, to, frameHeadSize);
    if (this.#prefixSize < frameHeadSize) return at;
    // Checked as soon as it is whole, not at every piece.
    const size = prefixed < frameHeadSize ? this.#sizeOfPrefix(this.#prefix, 0) : prefixSize(this.#prefix, 0);
    const next = this.#collect(bytes, at, to, size);
    if (this.#prefixSize < size) return next;
    this.#prefixSize = 0;
    this.#begin(this.#prefix, 0, size);
    return next;
  }

  /** Adds to the prefix until it has `size` bytes. */
  #collect(bytes: Buffer, from: number, to: number, size: number): number {
    const count = Math.min(size - this.#prefixSize, to - from);
    if (count <= 0) return from;
    const needed = this.#prefixSize + count;
    if (needed > this.#prefix.length) {
      const prefix = Buffer.allocUnsafe(Math.max(needed, Math.min(2 * this.#prefix.length, size)));
      this.#prefix.copy(prefix, 0, 0, this.#prefixSize);
      this.#prefix = prefix;
    }
    bytes.copy(this.#prefix, this.#prefixSize, from, from + count);
    this.#prefixSize = needed;
    return from + count;
  }

  /** Checks the head of a frame. Returns its bytes together with those of the header that is read. @throws TrpcError */
  #sizeOfPrefix(bytes: Buffer, at: number): number {
    const found = (bytes[at]! << 8) | bytes[at + 1]!;
    if (found !== magic) throw new TrpcError(`a frame begins with 0x${found.toString(16).padStart(4, "0")}`);
    const type = bytes[at + 2]!;
    if (type > streamFrame) throw new TrpcError(`frame type ${type}`);
    const total = readUint32(bytes, at + 4);
    if (total < frameHeadSize) throw new TrpcError(`a frame of ${total} bytes`);
    if (total > this.#maxTotal) {
      this.#sink.onOversized(readUint32(bytes, at + 10), total);
      throw new TrpcError(`a frame of ${total} bytes, at most ${this.#maxTotal} are read`);
    }
    return prefixSize(bytes, at);
  }

  /** Head and header are in `bytes` from `at`. */
  #begin(bytes: Buffer, at: number, size: number): void {
    const total = readUint32(bytes, at + 4);
    const id = readUint32(bytes, at + 10);
    const rest = total - size;
    const why = unreadable(bytes, at);
    if (why !== undefined) {
      this.#skip = rest;
      this.#sink.onUnreadable(id, why);
      return;
    }
    const kept = this.#sink.onHeader(id, bytes, at + frameHeadSize, at + size, rest, bytes[at + 14]!);
    this.#skip = rest - Math.max(kept, 0);
    if (kept === 0) this.#sink.onBody(Buffer.alloc(0));
    if (kept <= 0) return;
    this.#bodySize = kept;
    this.#received = 0;
    this.#body = noBytes;
  }

  #receive(body: Buffer, bytes: Buffer, from: number, to: number): number {
    const count = Math.min(this.#bodySize - this.#received, to - from);
    if (count === this.#bodySize) {
      this.#body = undefined;
      this.#sink.onBody(copyOf(bytes, from, from + count));
      return from + count;
    }
    const size = this.#received + count;
    let target = body;
    if (size > target.length) {
      const room = Math.max(size, 2 * target.length, firstRoom);
      target = Buffer.allocUnsafe(Math.min(this.#bodySize, room));
      body.copy(target, 0, 0, this.#received);
      this.#body = target;
    }
    bytes.copy(target, this.#received, from, from + count);
    this.#received = size;
    if (size === this.#bodySize) {
      this.#body = undefined;
      this.#sink.onBody(target);
    }
    return from + count;
  }
}

const noBytes = Buffer.alloc(0);

/** Bytes of the head and of the header, as far as it is read. */
function prefixSize(bytes: Buffer, at: number): number {
  return unreadable(bytes, at) === undefined ? frameHeadSize + headerSize(bytes, at) : frameHeadSize;
}

function headerSize(bytes: Buffer, at: number): number {
  return (bytes[at + 8]! << 8) | bytes[at + 9]!;
}

/** Why the header of a frame is not read, though its end is known. */
function unreadable(bytes: Buffer, at: number): string | undefined {
  if (bytes[at + 2] === streamFrame) return "a frame of a stream";
  const size = headerSize(bytes, at);
  if (size === 0) return "a frame without header";
  if (frameHeadSize + size > readUint32(bytes, at + 4)) return "a header that is longer than its frame";
  return undefined;
}
