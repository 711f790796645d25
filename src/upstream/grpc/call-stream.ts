import { type FrameWriter, messageHeadSize } from "../../h2/frame-writer.js";
import { ErrorCode } from "../../h2/protocol.js";
import { Code } from "../../status/code.js";
import {
  failure,
  type StreamOutcome,
  type TransportCall,
  type TransportListener,
  type TransportStream,
} from "../transport.js";
import type { Http2Connection } from "./connection.js";
import { writeMetadata } from "./metadata.js";
import { noTable, writePreviousAttempts, writeTimeout } from "./request-head.js";
import { ResponseStream } from "./response-stream.js";

/** One call: an HTTP/2 stream, or what waits to become one. */
export class CallStream extends ResponseStream implements TransportStream {
  readonly #call: TransportCall;
  /** The part of the header block that depends on the path alone. */
  readonly #block: Buffer;
  /** Of the header block, as SETTINGS_MAX_HEADER_LIST_SIZE counts. */
  readonly #headSize: number;

  /** Where it is; undefined while it waits, and after its end. */
  #connection: Http2Connection | undefined;
  /** The last connection that it had a place on. */
  place: Http2Connection | undefined;
  /** A connection that is used for it only where no other can be opened. */
  avoided: Http2Connection | undefined;
  /** 0 until the header block is written. */
  id = 0;
  /** What the peer still lets us send; may be negative (RFC 9113 §6.9.2). */
  sendWindow = 0;
  /** In the connection's list of streams that have something to write. */
  listed = false;
  #message: Uint8Array | undefined;
  #offset = 0;
  #endRequested = false;
  #endWritten = false;

  /** `block` and `headSize` are those of RequestHeads. */
  constructor(
    call: TransportCall,
    listener: TransportListener,
    maxMessageSize: number,
    block: Buffer,
    headSize: number,
  ) {
    super(listener, maxMessageSize);
    this.#call = call;
    this.#block = block;
    this.#headSize = headSize;
    if (call.avoid instanceof CallStream) this.avoided = call.avoid.place;
  }

  send(message: Uint8Array): void {
    this.#message = message;
    this.#offset = 0;
    this.#connection?.enlist(this);
  }

  end(): void {
    this.#endRequested = true;
    this.#connection?.enlist(this);
  }

  cancel(): void {
    if (this.silence() && !this.over) this.leave(ErrorCode.Cancel);
  }

  /** There is something to write, and the stream's own window lets it go. */
  get writable(): boolean {
    return this.#message === undefined ? this.#endRequested && !this.#endWritten : this.sendWindow > 0;
  }

  /** Takes a place on a connection. */
  join(connection: Http2Connection): void {
    this.#connection = connection;
    this.place = connection;
    connection.enlist(this);
  }

  /**
   * Opens the stream: writes its header block.
   * Returns false where the peer has said that the block is larger than it takes; the call fails then.
   */
  open(id: number, connection: Http2Connection, out: FrameWriter): boolean {
    const { maxHeaderList, maxFrameSize, initialWindow } = connection.peer;
    if (this.#headSize > maxHeaderList) {
      const text = `the metadata has ${this.#headSize} bytes, the upstream takes ${maxHeaderList}`;
      this.over = true;
      queueMicrotask(() => this.conclude(failure(Code.RESOURCE_EXHAUSTED, "request", text, "declined")));
      return false;
    }
    const { timeout, previousAttempts, metadata } = this.#call;
    this.id = id;
    this.sendWindow = initialWindow;
    const start = out.beginHeaders();
    if (connection.untouched) out.append(noTable);
    out.append(this.#block);
    if (timeout !== undefined) writeTimeout(out, timeout);
    if (previousAttempts > 0) writePreviousAttempts(out, previousAttempts);
    writeMetadata(out, metadata);
    out.endHeaders(start, id, 0, maxFrameSize);
    return true;
  }

  /**
   * Writes at most `room` bytes of what there is to send, in frames of at most `maxFrame`. Returns how many bytes were
   * written of the message, which is what flow control counts.
   */
  write(out: FrameWriter, room: number, maxFrame: number): number {
    const message = this.#message;
    let written = 0;
    if (message !== undefined) {
      const total = messageHeadSize + message.length;
      const until = this.#offset + Math.min(total - this.#offset, room, this.sendWindow);
      while (this.#offset < until) {
        const count = Math.min(until - this.#offset, maxFrame);
        const last = this.#endRequested && this.#offset + count === total;
        out.data(this.id, message, this.#offset, count, last);
        this.#offset += count;
        this.#endWritten = last;
        written += count;
      }
      this.sendWindow -= written;
      if (this.#offset < total) return written;
      this.#message = undefined;
      this.#connection?.wrote(this);
    }
    if (this.#endRequested && !this.#endWritten) {
      this.#endWritten = true;
      out.end(this.id);
    }
    return written;
  }

  /** The message that was written is on its way. */
  announceWritten(): void {
    if (!this.over) this.listener.onWritten();
  }

  /** Ends the call for a reason that lies in the connection, which forgets the stream by itself. */
  conclude(ending: StreamOutcome): void {
    this.over = true;
    this.#connection = undefined;
    this.settle(ending);
  }

  protected get requestEnded(): boolean {
    return this.#endWritten;
  }

  protected leave(code: ErrorCode | undefined): void {
    this.over = true;
    this.#message = undefined;
    this.#connection?.release(this, code);
    this.#connection = undefined;
  }

  protected grantWindow(): void {
    this.#connection?.grant(this);
  }
}
