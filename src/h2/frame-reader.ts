import { readUint31, readUint32 } from "./bytes.js";
import {
  ConnectionError,
  checkFrame,
  ErrorCode,
  Flag,
  FrameType,
  frameHeadSize,
  frameSizeError,
  protocolError,
} from "./protocol.js";

/** Receives frames. Bytes are to be used or copied before a method returns; `from` and `to` are offsets into them. */
export interface FrameSink {
  /**
   * Some bytes of a DATA frame. `consumed` is what they take of the flow-control windows, padding included. `end` comes
   * with the last bytes of the stream.
   */
  onData(stream: number, bytes: Buffer, from: number, to: number, consumed: number, end: boolean): void;
  /** A whole header block. */
  onHeaders(stream: number, block: Buffer, from: number, to: number, end: boolean): void;
  onReset(stream: number, code: number): void;
  /** Entries of six bytes each. */
  onSettings(bytes: Buffer, from: number, to: number): void;
  onSettingsAck(): void;
  /** Eight bytes from `from`. */
  onPing(ack: boolean, bytes: Buffer, from: number): void;
  onGoAway(lastStream: number, code: number, debug: string): void;
  /** `increment` may be 0, which is an error of the stream or of the connection (RFC 9113 §6.9). */
  onWindowUpdate(stream: number, increment: number): void;
  /** A frame without meaning: PRIORITY, an unknown type, an empty part of a header block. */
  onIgnored(bytes: number): void;
}

/** The next part of the input. */
const Expect = { Head: 0, PadLength: 1, Data: 2, Padding: 3, Payload: 4, Skip: 5 } as const;
type Expect = (typeof Expect)[keyof typeof Expect];

/**
 * Cuts the bytes of a connection into frames (RFC 9113 §4 and §6), however they are chunked. DATA is passed on as it
 * comes; of other frames, those that are split between chunks are put together first.
 */
export class FrameReader {
  readonly #sink: FrameSink;
  readonly #maxFrameSize: number;
  readonly #maxBlockSize: number;
  #expect: Expect = Expect.Head;
  /** Bytes of the chunk under way. */
  #length = 0;
  readonly #head = Buffer.alloc(frameHeadSize);
  #headSize = 0;
  #first = true;
  // The frame under way.
  #type = 0;
  #flags = 0;
  #stream = 0;
  /** Bytes that are still to come: of the payload, or of the data of a DATA frame. */
  #remaining = 0;
  #padding = 0;
  /** Payload of a frame that is split between chunks. */
  #payload: Buffer | undefined;
  #payloadSize = 0;
  /** The stream whose header block goes on in CONTINUATION; 0: none. */
  #blockStream = 0;
  #blockEnd = false;
  #block: Buffer | undefined;
  #blockSize = 0;

  /**
   * @param maxFrameSize bytes of the payload of a frame
   * @param maxBlockSize bytes of a header block. The preface of a client (§3.4) is read before, by the code that
   * detects HTTP/2.
   */
  constructor(sink: FrameSink, maxFrameSize: number, maxBlockSize: number) {
    this.#sink = sink;
    this.#maxFrameSize = maxFrameSize;
    this.#maxBlockSize = maxBlockSize;
  }

  /** A header block, or a frame that is not DATA, has begun and not ended. */
  get inBlock(): boolean {
    return this.#blockStream !== 0 || this.#expect === Expect.Payload;
  }

  /**
   * Takes the first `length` bytes of `chunk`.
   * @throws ConnectionError where the peer breaks RFC 9113; errors of the sink
   */
  read(chunk: Buffer, length: number): void {
    this.#length = length;
    let at = 0;
    while (at < length) {
      switch (this.#expect) {
        case Expect.Head:
          at = this.#readHead(chunk, at);
          break;
        case Expect.PadLength:
          at = this.#readPadLength(chunk, at);
          break;
        case Expect.Data:
          at = this.#readData(chunk, at);
          break;
        case Expect.Padding:
          at = this.#readPadding(chunk, at);
          break;
        case Expect.Payload:
          at = this.#readPayload(chunk, at);
          break;
        case Expect.Skip: {
          const count = Math.min(this.#remaining, length - at);
          this.#remaining -= count;
          at += count;
          if (this.#remaining === 0) this.#expect = Expect.Head;
        }
      }
    }
  }

  #readHead(chunk: Buffer, at: number): number {
    if (this.#headSize === 0 && this.#length - at >= frameHeadSize) {
      this.#beginFrame(chunk, at);
      return at + frameHeadSize;
    }
    const count = Math.min(frameHeadSize - this.#headSize, this.#length - at);
    chunk.copy(this.#head, this.#headSize, at, at + count);
    this.#headSize += count;
    if (this.#headSize === frameHeadSize) {
      this.#headSize = 0;
      this.#beginFrame(this.#head, 0);
    }
    return at + count;
  }

  #beginFrame(head: Buffer, at: number): void {
    const size = (head[at]! << 16) | (head[at + 1]! << 8) | head[at + 2]!;
    const type = head[at + 3]!;
    const flags = head[at + 4]!;
    const stream = readUint31(head, at + 5);
    if (this.#blockStream !== 0 && (type !== FrameType.Continuation || stream !== this.#blockStream))
      throw protocolError("a header block that is interrupted");
    if (this.#first) this.#checkFirst(type, flags);
    checkFrame(type, flags, stream, size, this.#maxFrameSize);
    this.#type = type;
    this.#flags = flags;
    this.#stream = stream;
    this.#remaining = size;
    if (type === FrameType.Data) this.#beginData(size);
    else if (type > FrameType.Continuation) this.#ignore();
    else if (size > 0) this.#expect = Expect.Payload;
    else this.#dispatch(head, 0, 0);
  }

  /** §3.4 */
  #checkFirst(type: number, flags: number): void {
    this.#first = false;
    if (type !== FrameType.Settings || (flags & Flag.Ack) !== 0)
      throw protocolError("the peer does not speak HTTP/2: it does not begin with SETTINGS");
  }

  #ignore(): void {
    if (this.#remaining > 0) this.#expect = Expect.Skip;
    this.#sink.onIgnored(this.#remaining);
  }

  #beginData(size: number): void {
    this.#padding = 0;
    if ((this.#flags & Flag.Padded) !== 0) {
      this.#expect = Expect.PadLength;
    } else if (size > 0) {
      this.#expect = Expect.Data;
    } else {
      const end = (this.#flags & Flag.EndStream) !== 0;
      this.#sink.onData(this.#stream, this.#head, 0, 0, 0, end);
    }
  }

  #readPadLength(chunk: Buffer, at: number): number {
    this.#padding = chunk[at]!;
    this.#remaining -= 1 + this.#padding;
    if (this.#remaining < 0) throw protocolError("padding longer than its frame");
    this.#expect = this.#remaining > 0 ? Expect.Data : this.#padding > 0 ? Expect.Padding : Expect.Head;
    this.#emitData(chunk, at, at, 1);
    return at + 1;
  }

  #readData(chunk: Buffer, at: number): number {
    const count = Math.min(this.#remaining, this.#length - at);
    this.#remaining -= count;
    if (this.#remaining === 0) this.#expect = this.#padding > 0 ? Expect.Padding : Expect.Head;
    this.#emitData(chunk, at, at + count, count);
    return at + count;
  }

  #readPadding(chunk: Buffer, at: number): number {
    const count = Math.min(this.#padding, this.#length - at);
    this.#padding -= count;
    if (this.#padding === 0) this.#expect = Expect.Head;
    this.#emitData(chunk, at, at, count);
    return at + count;
  }

  #emitData(chunk: Buffer, from: number, to: number, consumed: number): void {
    const end = this.#expect === Expect.Head && (this.#flags & Flag.EndStream) !== 0;
    this.#sink.onData(this.#stream, chunk, from, to, consumed, end);
  }

  #readPayload(chunk: Buffer, at: number): number {
    const available = this.#length - at;
    if (this.#payloadSize === 0 && available >= this.#remaining) {
      this.#expect = Expect.Head;
      this.#dispatch(chunk, at, at + this.#remaining);
      return at + this.#remaining;
    }
    this.#payload ??= Buffer.allocUnsafeSlow(this.#maxFrameSize);
    const count = Math.min(this.#remaining, available);
    chunk.copy(this.#payload, this.#payloadSize, at, at + count);
    this.#payloadSize += count;
    this.#remaining -= count;
    if (this.#remaining === 0) {
      const size = this.#payloadSize;
      this.#payloadSize = 0;
      this.#expect = Expect.Head;
      this.#dispatch(this.#payload, 0, size);
    }
    return at + count;
  }

  #dispatch(bytes: Buffer, from: number, to: number): void {
    const sink = this.#sink;
    const flags = this.#flags;
    const stream = this.#stream;
    switch (this.#type) {
      case FrameType.Headers:
        this.#beginBlock(bytes, from, to);
        break;
      case FrameType.Priority:
        this.#checkPriority(bytes, from);
        sink.onIgnored(to - from);
        break;
      case FrameType.Continuation:
        this.#continueBlock(bytes, from, to);
        break;
      case FrameType.RstStream:
        sink.onReset(stream, readUint32(bytes, from));
        break;
      case FrameType.Settings:
        if ((flags & Flag.Ack) !== 0) sink.onSettingsAck();
        else sink.onSettings(bytes, from, to);
        break;
      case FrameType.Ping:
        sink.onPing((flags & Flag.Ack) !== 0, bytes, from);
        break;
      case FrameType.GoAway: {
        const debug = bytes.toString("latin1", from + 8, Math.min(to, from + 8 + 256));
        sink.onGoAway(readUint31(bytes, from), readUint32(bytes, from + 4), debug);
        break;
      }
      case FrameType.WindowUpdate:
        sink.onWindowUpdate(stream, readUint31(bytes, from));
    }
  }

  #beginBlock(bytes: Buffer, from: number, to: number): void {
    const flags = this.#flags;
    let start = from;
    let end = to;
    if ((flags & Flag.Padded) !== 0) {
      if (start === end) throw frameSizeError("HEADERS without the length of its padding");
      end -= bytes[start++]!;
    }
    const prioritized = (flags & Flag.Priority) !== 0;
    const priority = start;
    if (prioritized) start += 5;
    if (start > end) throw protocolError("HEADERS with more padding or priority than it has bytes");
    if (prioritized) this.#checkPriority(bytes, priority);
    this.#blockEnd = (flags & Flag.EndStream) !== 0;
    if ((flags & Flag.EndHeaders) !== 0) {
      this.#sink.onHeaders(this.#stream, bytes, start, end, this.#blockEnd);
    } else {
      this.#blockStream = this.#stream;
      this.#blockSize = 0;
      this.#appendBlock(bytes, start, end);
    }
  }

  /** Priorities are ignored (§5.3.2), except those that RFC 7540 §5.3.1 forbids. */
  #checkPriority(bytes: Buffer, at: number): void {
    if (readUint31(bytes, at) === this.#stream) throw protocolError("a stream that depends on itself");
  }

  #continueBlock(bytes: Buffer, from: number, to: number): void {
    if (this.#blockStream === 0) throw protocolError("CONTINUATION without HEADERS before");
    this.#appendBlock(bytes, from, to);
    if ((this.#flags & Flag.EndHeaders) === 0) return;
    const block = this.#block!;
    this.#block = undefined;
    this.#blockStream = 0;
    this.#sink.onHeaders(this.#stream, block, 0, this.#blockSize, this.#blockEnd);
  }

  #appendBlock(bytes: Buffer, from: number, to: number): void {
    const size = this.#blockSize + to - from;
    const max = this.#maxBlockSize;
    // The block cannot be left undecoded: all that follow depend on it.
    if (size > max)
      throw new ConnectionError(ErrorCode.EnhanceYourCalm, `a header block of more than ${max} bytes`);
    if (from === to) this.#sink.onIgnored(0);
    if (this.#block === undefined || size > this.#block.length) {
      const block = Buffer.allocUnsafeSlow(Math.min(max, Math.max(2 * size, 1024)));
      this.#block?.copy(block, 0, 0, this.#blockSize);
      this.#block = block;
    }
    bytes.copy(this.#block, this.#blockSize, from, to);
    this.#blockSize = size;
  }
}
