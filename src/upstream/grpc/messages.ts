import { readUint32, writeUint32 } from "../../h2/bytes.js";
import type { FrameWriter } from "../../h2/frame-writer.js";
import type { Undelivered } from "../../h2/stream.js";
import { Code } from "../../status/code.js";
import { expandMessage } from "../expand-message.js";
import { failure, protocolFailure, type StreamOutcome } from "../transport.js";

/** Bytes before each gRPC message: a flag for compression and the length (gRPC over HTTP/2, Length-Prefixed-Message). */
export const messageHeadSize = 5;

/**
 * Writes a DATA frame with `count` bytes of a message and its head from `offset`; the head is at offset 0.
 * @param flag 1 where the message is compressed, else 0
 * @param end with END_STREAM
 */
export function writeMessagePart(
  out: FrameWriter,
  stream: number,
  message: Uint8Array,
  flag: 0 | 1,
  offset: number,
  count: number,
  end: boolean,
): void {
  out.beginData(stream, count, end);
  const { bytes } = out;
  const to = offset + count;
  let at = offset;
  if (at === 0 && count >= messageHeadSize) {
    bytes[out.length] = flag;
    writeUint32(bytes, out.length + 1, message.length);
    out.length += messageHeadSize;
    at = messageHeadSize;
  }
  for (; at < to && at < messageHeadSize; at++)
    bytes[out.length++] = at === 0 ? flag : message.length >>> (8 * (messageHeadSize - 1 - at));
  if (at === to) return;
  const whole = to - at === message.length;
  bytes.set(whole ? message : message.subarray(at - messageHeadSize, to - messageHeadSize), out.length);
  out.length += to - at;
}

/** Bytes reserved for a message before any have come: a length that a peer only announces costs no memory. */
const firstRoom = 64 * 1024;

/** A message as it came. */
interface QueuedMessage {
  readonly compressed: boolean;
  readonly bytes: Buffer;
}

/** A message in its envelope again. */
export function envelopeOf({ compressed, bytes }: QueuedMessage): Buffer {
  const envelope = Buffer.allocUnsafe(messageHeadSize + bytes.length);
  envelope[0] = compressed ? 1 : 0;
  writeUint32(envelope, 1, bytes.length);
  envelope.set(bytes, messageHeadSize);
  return envelope;
}

/** Joins length-prefixed messages from the DATA of a stream, and keeps them until they are read. */
export class MessageQueue implements Undelivered {
  readonly #maxSize: number;
  readonly #messages: QueuedMessage[] = [];
  /** Bytes of the messages that wait, heads included. */
  #waiting = 0;
  readonly #head = Buffer.alloc(messageHeadSize);
  #headSize = 0;
  /** The received part of the message whose head is complete; undefined before. */
  #message: Buffer | undefined;
  #size = 0;
  #received = 0;

  /** `maxSize`: bytes of a message, without its head. */
  constructor(maxSize: number) {
    this.#maxSize = maxSize;
  }

  /** Whole messages that wait. */
  get length(): number {
    return this.#messages.length;
  }

  /** Bytes of whole messages that wait. */
  get waiting(): number {
    return this.#waiting;
  }

  /** Bytes that have come of a message that is not whole. */
  get partial(): number {
    return this.#headSize + this.#received;
  }

  /** Bytes that are known to be missing of it. */
  get missing(): number {
    return this.#message === undefined ? 0 : this.#size - this.#received;
  }

  shift(): QueuedMessage | undefined {
    const message = this.#messages.shift();
    if (message !== undefined) this.#waiting -= messageHeadSize + message.bytes.length;
    return message;
  }

  /** Takes bytes of the stream. Returns how the call fails where they are no messages, or one is too large. */
  push(bytes: Buffer, from: number, to: number): StreamOutcome | undefined {
    let at = from;
    while (at < to) {
      if (this.#message === undefined) {
        const count = Math.min(messageHeadSize - this.#headSize, to - at);
        bytes.copy(this.#head, this.#headSize, at, at + count);
        this.#headSize += count;
        at += count;
        if (this.#headSize < messageHeadSize) return undefined;
        const wrong = checkMessageHead(this.#head, 0, this.#maxSize);
        if (wrong !== undefined) return wrong;
        this.#size = readUint32(this.#head, 1);
        this.#message = Buffer.allocUnsafe(Math.min(this.#size, firstRoom));
      }
      const count = Math.min(this.#size - this.#received, to - at);
      this.#append(this.#message, bytes, at, at + count);
      at += count;
      if (this.#received === this.#size) this.#complete();
    }
    return undefined;
  }

  #append(message: Buffer, bytes: Buffer, from: number, to: number): void {
    const size = this.#received + to - from;
    let target = message;
    if (size > target.length) {
      target = Buffer.allocUnsafe(Math.min(this.#size, Math.max(size, 2 * target.length)));
      message.copy(target, 0, 0, this.#received);
      this.#message = target;
    }
    bytes.copy(target, this.#received, from, to);
    this.#received = size;
  }

  #complete(): void {
    this.#messages.push({ compressed: this.#head[0] === 1, bytes: this.#message! });
    this.#waiting += messageHeadSize + this.#size;
    this.#message = undefined;
    this.#headSize = this.#size = this.#received = 0;
  }
}

/** How the call fails where the message head at `at` is invalid, or announces a message that is too large. */
export function checkMessageHead(bytes: Buffer, at: number, maxSize: number): StreamOutcome | undefined {
  if (bytes[at]! > 1) return protocolFailure("the response is not made of gRPC messages");
  const size = readUint32(bytes, at + 1);
  if (size <= maxSize) return undefined;
  return failure(Code.RESOURCE_EXHAUSTED, "size", `Received message larger than max (${size} vs ${maxSize})`);
}

/**
 * Decompresses a message that is marked as compressed. Never gives more than `maxSize` bytes, nor makes them.
 * `encoding` is the response's `grpc-encoding`. `done` is called
 * later, with the message or with how the call fails.
 */
export function inflate(
  bytes: Buffer,
  encoding: string | undefined,
  maxSize: number,
  done: (result: Buffer | StreamOutcome) => void,
): void {
  if (encoding !== "gzip") {
    const name = encoding === undefined ? "no grpc-encoding" : `grpc-encoding "${encoding.slice(0, 64)}"`;
    queueMicrotask(() => done(protocolFailure(`a message is compressed with ${name}, expected gzip`)));
    return;
  }
  expandMessage(bytes, maxSize, done);
}
