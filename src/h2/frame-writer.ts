import { ByteWriter, writeUint32 } from "./bytes.js";
import { type ErrorCode, Flag, FrameType, frameHeadSize } from "./protocol.js";

const preface = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "latin1");

/** Collects frames, one behind the other (RFC 9113 §4.1). */
export class FrameWriter extends ByteWriter {
  /** §3.4; comes before all frames. */
  preface(): void {
    this.append(preface);
  }

  settings(entries: readonly (readonly [id: number, value: number])[]): void {
    this.#head(entries.length * 6, FrameType.Settings, 0, 0);
    for (const [id, value] of entries) {
      this.bytes[this.length] = id >> 8;
      this.bytes[this.length + 1] = id;
      writeUint32(this.bytes, this.length + 2, value);
      this.length += 6;
    }
  }

  settingsAck(): void {
    this.#head(0, FrameType.Settings, Flag.Ack, 0);
  }

  /** `payload`: eight bytes from `at`. */
  ping(ack: boolean, payload: Uint8Array, at: number): void {
    this.#head(8, FrameType.Ping, ack ? Flag.Ack : 0, 0);
    for (let index = 0; index < 8; index++) this.bytes[this.length++] = payload[at + index]!;
  }

  /** `stream` 0: the connection's window. */
  windowUpdate(stream: number, increment: number): void {
    this.#head(4, FrameType.WindowUpdate, 0, stream);
    this.#uint32(increment);
  }

  reset(stream: number, code: ErrorCode): void {
    this.#head(4, FrameType.RstStream, 0, stream);
    this.#uint32(code);
  }

  /** `lastStream`: the last stream of the peer that is processed, 0 for none. `reason` is for people at the other end. */
  goAway(lastStream: number, code: ErrorCode, reason: string): void {
    const text = Buffer.from(reason);
    this.#head(8 + text.length, FrameType.GoAway, 0, 0);
    this.#uint32(lastStream);
    this.#uint32(code);
    this.append(text);
  }

  /** Opens a header block; all bytes until `endHeaders` are its content. Returns the position of its start. */
  beginHeaders(): number {
    this.reserve(frameHeadSize);
    this.length += frameHeadSize;
    return this.length;
  }

  /** Frames the block that begins at `start`: HEADERS, and CONTINUATION where it is larger than one frame (§6.10). */
  endHeaders(start: number, stream: number, flags: number, maxFrame: number): void {
    const size = this.length - start;
    const first = Math.min(size, maxFrame);
    const whole = first === size;
    this.#writeHead(
      start - frameHeadSize,
      first,
      FrameType.Headers,
      flags | (whole ? Flag.EndHeaders : 0),
      stream,
    );
    if (!whole) this.#continueHeaders(start + first, stream, maxFrame);
  }

  #continueHeaders(start: number, stream: number, maxFrame: number): void {
    const rest = Buffer.from(this.bytes.subarray(start, this.length));
    this.length = start;
    for (let at = 0; at < rest.length; at += maxFrame) {
      const part = rest.subarray(at, at + maxFrame);
      this.#head(
        part.length,
        FrameType.Continuation,
        at + maxFrame >= rest.length ? Flag.EndHeaders : 0,
        stream,
      );
      this.append(part);
    }
  }

  /** The head of a DATA frame; the caller writes its `size` bytes next, for which room is reserved. */
  beginData(stream: number, size: number, end: boolean): void {
    this.#head(size, FrameType.Data, end ? Flag.EndStream : 0, stream);
  }

  /** END_STREAM, in a frame without content. */
  endStream(stream: number): void {
    this.#head(0, FrameType.Data, Flag.EndStream, stream);
  }

  /** Reserves room for the payload, too. */
  #head(size: number, type: number, flags: number, stream: number): void {
    this.reserve(frameHeadSize + size);
    this.#writeHead(this.length, size, type, flags, stream);
    this.length += frameHeadSize;
  }

  #writeHead(at: number, size: number, type: number, flags: number, stream: number): void {
    const { bytes } = this;
    bytes[at] = size >> 16;
    bytes[at + 1] = size >> 8;
    bytes[at + 2] = size;
    bytes[at + 3] = type;
    bytes[at + 4] = flags;
    writeUint32(bytes, at + 5, stream);
  }

  #uint32(value: number): void {
    writeUint32(this.bytes, this.length, value);
    this.length += 4;
  }
}
