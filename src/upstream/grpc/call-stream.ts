import type { FrameWriter } from "../../h2/frame-writer.js";
import { noTable } from "../../h2/hpack-encoder.js";
import { ErrorCode } from "../../h2/protocol.js";
import type { PeerSettings } from "../../h2/settings.js";
import { type StreamHost, StreamState } from "../../h2/stream.js";
import { compress } from "../../net/gzip.js";
import { Code } from "../../status/code.js";
import {
  failure,
  type StreamOutcome,
  type TransportCall,
  type TransportListener,
  type TransportStream,
} from "../transport.js";
import { messageHeadSize, writeMessagePart } from "./messages.js";
import { writeMetadata } from "./metadata.js";
import { writeEncoding, writePassed, writePreviousAttempts, writeTimeout } from "./request-head.js";
import { ResponseStream } from "./response-stream.js";

/** One call: an HTTP/2 stream, or one that waits to be opened. Adds the request to the response of ResponseStream. */
export class CallStream extends ResponseStream implements TransportStream {
  readonly #call: TransportCall;
  /** The part of the header block that depends on the path alone. */
  readonly #block: Buffer;
  /** Of the header block, as SETTINGS_MAX_HEADER_LIST_SIZE counts. */
  readonly #headSize: number;

  /** Where it is; undefined while it waits, and after its end. */
  #connection: StreamHost | undefined;
  /** The last connection that it was on. */
  #lastConnection: StreamHost | undefined;
  /** A connection that is used for it only where no other can be opened. */
  avoided: StreamHost | undefined;
  #message: Uint8Array | undefined;
  /** 1 where the message is compressed. */
  #flag: 0 | 1 = 0;
  /** The message is being compressed. */
  #compressing = false;
  #offset = 0;
  #endRequested = false;

  /** `block` and `headSize` are those of RequestHeads. */
  constructor(
    call: TransportCall,
    listener: TransportListener,
    maxMessageSize: number,
    block: Buffer,
    headSize: number,
  ) {
    super(listener, maxMessageSize, call.passed !== undefined);
    this.#call = call;
    this.#block = block;
    this.#headSize = headSize;
    if (call.avoid instanceof CallStream) this.avoided = call.avoid.#lastConnection;
  }

  send(message: Uint8Array): void {
    const { compressFrom, passed } = this.#call;
    if (passed !== undefined) {
      this.#give(message.subarray(messageHeadSize), message[0] === 1 ? 1 : 0);
      return;
    }
    if (compressFrom === undefined || message.length < compressFrom) {
      this.#give(message, 0);
      return;
    }
    const bytes = compress(message);
    if (!(bytes instanceof Promise)) {
      this.#give(bytes, 1);
      return;
    }
    this.#compressing = true;
    const ready = (result: Uint8Array, flag: 0 | 1): void => {
      this.#compressing = false;
      if (!this.closed) this.#give(result, flag);
    };
    bytes.then(
      result => ready(result, 1),
      () => ready(message, 0),
    );
  }

  #give(bytes: Uint8Array, flag: 0 | 1): void {
    this.#message = bytes;
    this.#flag = flag;
    this.#offset = 0;
    this.#connection?.enlist(this);
  }

  end(): void {
    this.#endRequested = true;
    this.#connection?.enlist(this);
  }

  cancel(): void {
    if (this.silence() && !this.closed) this.leave(ErrorCode.Cancel);
  }

  get writable(): boolean {
    if (this.#message !== undefined) return this.sendWindow > 0;
    return this.#endRequested && this.sending && !this.#compressing;
  }

  /** Waits on a connection to be opened. */
  join(connection: StreamHost): void {
    this.#connection = connection;
    this.#lastConnection = connection;
    connection.enlist(this);
  }

  /** Returns false where the block is larger than the limit of the peer; the call fails then. */
  override open(id: number, peer: PeerSettings, out: FrameWriter, first: boolean): boolean {
    if (this.#headSize > peer.maxHeaderList) {
      this.state = StreamState.Closed;
      const text = `the metadata has ${this.#headSize} bytes, the upstream accepts ${peer.maxHeaderList}`;
      queueMicrotask(() => {
        this.leave(undefined);
        this.settle(failure(Code.RESOURCE_EXHAUSTED, "request", text, "declined"));
      });
      return false;
    }
    const { timeout, previousAttempts, compressFrom, passed, metadata } = this.#call;
    this.opened(id, peer.initialWindow);
    const start = out.beginHeaders();
    if (first) out.append(noTable);
    out.append(this.#block);
    if (timeout !== undefined) writeTimeout(out, timeout);
    if (compressFrom !== undefined) writeEncoding(out, "gzip");
    if (passed !== undefined) writePassed(out, passed);
    if (previousAttempts > 0) writePreviousAttempts(out, previousAttempts);
    writeMetadata(out, metadata);
    out.endHeaders(start, id, 0, peer.maxFrameSize);
    return true;
  }

  write(out: FrameWriter, room: number, maxFrame: number): number {
    const message = this.#message;
    let written = 0;
    if (message !== undefined) {
      const total = messageHeadSize + message.length;
      const until = this.#offset + Math.min(total - this.#offset, room, this.sendWindow);
      while (this.#offset < until) {
        const count = Math.min(until - this.#offset, maxFrame);
        const last = this.#endRequested && this.#offset + count === total;
        writeMessagePart(out, this.id, message, this.#flag, this.#offset, count, last);
        this.#offset += count;
        if (last) this.endedLocally();
        written += count;
      }
      this.sendWindow -= written;
      if (this.#offset < total) return written;
      this.#message = undefined;
      this.flushed = true;
    }
    if (this.#endRequested && this.sending && !this.#compressing) {
      this.endedLocally();
      out.endStream(this.id);
    }
    return written;
  }

  announceFlushed(): void {
    if (!this.closed) this.listener.onWritten();
  }

  /** Ends the call for a reason that lies in the connection, which forgets the stream by itself. */
  conclude(outcome: StreamOutcome): void {
    this.state = StreamState.Closed;
    this.#connection = undefined;
    this.settle(outcome);
  }

  protected leave(code: ErrorCode | undefined): void {
    this.state = StreamState.Closed;
    this.#message = undefined;
    this.#connection?.release(this, code);
    this.#connection = undefined;
  }

  protected grantWindow(): void {
    this.#connection?.grant(this);
  }
}
