import { Code } from "../../status/code.js";
import { brokenEnding, isGrpcType } from "../grpc-js-status.js";
import type { Ending, TransportCall, TransportListener, TransportStream } from "../transport.js";
import type { AnswerHead } from "./answer-head.js";
import { endingOf, failure, foreignEnding, httpEnding, resetEnding } from "./answer-status.js";
import { readUint32 } from "./byte-writer.js";
import type { Connection } from "./connection.js";
import { type FrameWriter, messageHeadSize } from "./frame-writer.js";
import { inflate } from "./inflate.js";
import { checkMessageHead, MessageQueue } from "./message-queue.js";
import { ErrorCode } from "./protocol.js";
import { writePreviousAttempts, writeTimeout } from "./request-head.js";
import { writeMetadata } from "./request-metadata.js";
import { streamWindow } from "./settings.js";

/** One call: an HTTP/2 stream, or what waits to become one. */
export class CallStream implements TransportStream {
  readonly #call: TransportCall;
  readonly #listener: TransportListener;
  readonly #maxMessageSize: number;
  /** The part of the header block that depends on the path alone. */
  readonly #block: Buffer;
  /** Of the header block, as SETTINGS_MAX_HEADER_LIST_SIZE counts. */
  readonly #headSize: number;

  /** Where it is; undefined while it waits. */
  #connection: Connection | undefined;
  /** 0 until the header block is written. */
  id = 0;
  /** What the peer still lets us send; may be negative (RFC 9113 §6.9.2). */
  sendWindow = 0;
  /** What the peer may still send. */
  receiveWindow = streamWindow;
  /** How large `receiveWindow` is made again. */
  windowTarget = streamWindow;
  /** `performance.now()` of the last WINDOW_UPDATE. */
  windowUpdated = 0;
  /** In the connection's list of streams that have something to write. */
  listed = false;
  /** Nothing more comes from the peer, or is of interest. */
  over = false;

  #message: Uint8Array | undefined;
  #offset = 0;
  #endRequested = false;
  #endWritten = false;

  #answered = false;
  #httpStatus = 0;
  #encoding: string | undefined;
  /** The listener has asked for a message. */
  #wanted = false;
  /** Messages that came before they were asked for, or in pieces. */
  #queue: MessageQueue | undefined;
  /** A message is being handed over: the listener may ask for the next meanwhile. */
  #delivering = false;
  /** A message is being decompressed. */
  #inflating = false;
  /** How the call ended, while messages are still to be delivered. */
  #ending: Ending | undefined;
  /** The listener hears nothing more. */
  #closed = false;

  /** `block` and `headSize` are those of RequestHeads. */
  constructor(
    call: TransportCall,
    listener: TransportListener,
    maxMessageSize: number,
    block: Buffer,
    headSize: number,
  ) {
    this.#call = call;
    this.#listener = listener;
    this.#maxMessageSize = maxMessageSize;
    this.#block = block;
    this.#headSize = headSize;
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

  read(): void {
    this.#wanted = true;
    if (this.#queue === undefined || this.#delivering || this.#inflating) return;
    if (this.#queue.length > 0) queueMicrotask(() => this.#deliver(this.#queue!));
    else this.#grantWindow();
  }

  cancel(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#queue = undefined;
    if (!this.over) this.#leave(ErrorCode.Cancel);
  }

  get undelivered(): MessageQueue | undefined {
    return this.#queue;
  }

  get wanted(): boolean {
    return this.#wanted;
  }

  /** There is something to write, and the stream's own window lets it go. */
  get writable(): boolean {
    return this.#message === undefined ? this.#endRequested && !this.#endWritten : this.sendWindow > 0;
  }

  /** Takes a place on a connection. */
  join(connection: Connection): void {
    this.#connection = connection;
    connection.enlist(this);
  }

  /**
   * Opens the stream: writes its header block.
   * Returns false where the peer has said that the block is larger than it takes; the call fails then.
   */
  open(id: number, connection: Connection, out: FrameWriter): boolean {
    const { maxHeaderList, maxFrameSize, initialWindow } = connection.peer;
    if (this.#headSize > maxHeaderList) {
      const text = `the metadata has ${this.#headSize} bytes, the upstream takes ${maxHeaderList}`;
      this.over = true;
      queueMicrotask(() => this.conclude(failure(Code.RESOURCE_EXHAUSTED, "request", text, false)));
      return false;
    }
    const { timeout, previousAttempts, metadata } = this.#call;
    this.id = id;
    this.sendWindow = initialWindow;
    const start = out.beginHeaders();
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
    if (!this.over) this.#listener.onWritten();
  }

  /** A header block of the answer came; `end`: with END_STREAM. */
  onHead(head: AnswerHead, end: boolean): void {
    if (head.malformed !== undefined) this.#break(head.malformed);
    else if (head.tooLarge) this.#abort(tooMuchMetadata, ErrorCode.Cancel);
    else if (this.#answered) this.#onTrailers(head, end);
    else if (head.httpStatus === 0) this.#break("the answer has no :status");
    else if (head.httpStatus < 200) {
      // 101 does not exist in HTTP/2 (RFC 9113 §8.6).
      if (end || head.httpStatus === 101) this.#break(`informational status ${head.httpStatus}`);
    } else this.#onInitial(head, end);
  }

  #onInitial(head: AnswerHead, end: boolean): void {
    const { httpStatus, contentType, metadata } = head;
    this.#answered = true;
    this.#httpStatus = httpStatus;
    if (end) {
      this.#finish(endingOf(head, httpStatus));
    } else if (!isGrpcType(contentType)) {
      // What follows is a page for people.
      this.#abort(
        httpStatus === 200 ? foreignEnding(contentType ?? "") : httpEnding(httpStatus),
        ErrorCode.Cancel,
      );
    } else {
      this.#encoding = head.grpcEncoding;
      this.#listener.onHeaders(metadata);
    }
  }

  #onTrailers(head: AnswerHead, end: boolean): void {
    if (!end) this.#break("header fields between the messages");
    else if (head.httpStatus !== 0) this.#break("a pseudo-header among the trailers");
    else this.#finish(endingOf(head, this.#httpStatus));
  }

  /** Bytes of the answer's content; `end`: the last of the stream. */
  onData(bytes: Buffer, from: number, to: number, end: boolean): void {
    if (!this.#answered) {
      this.#break("DATA before the header fields");
      return;
    }
    if (from < to) this.#take(bytes, from, to);
    if (end && !this.over) this.#finish(failure(Code.INTERNAL, "protocol", "Call ended without gRPC status"));
  }

  #take(bytes: Buffer, from: number, to: number): void {
    const size = to - from - messageHeadSize;
    // Most answers are one small message in one frame, and waited for.
    if (
      this.#queue === undefined &&
      this.#wanted &&
      size >= 0 &&
      bytes[from] === 0 &&
      readUint32(bytes, from + 1) === size
    ) {
      const wrong = checkMessageHead(bytes, from, this.#maxMessageSize);
      if (wrong !== undefined) {
        this.#abort(wrong, ErrorCode.Cancel);
        return;
      }
      const message = Buffer.allocUnsafe(size);
      bytes.copy(message, 0, from + messageHeadSize, to);
      this.#wanted = false;
      this.#listener.onMessage(message);
      return;
    }
    this.#queue ??= new MessageQueue(this.#maxMessageSize);
    const wrong = this.#queue.push(bytes, from, to);
    if (wrong !== undefined) this.#abort(wrong, ErrorCode.Cancel);
    else this.#deliver(this.#queue);
  }

  /** The peer reset the stream. */
  onReset(code: number): void {
    this.#finish(resetEnding(code, this.#answered));
  }

  /** Ends the call for a reason that lies in the connection, which forgets the stream by itself. */
  conclude(ending: Ending): void {
    this.over = true;
    this.#connection = undefined;
    this.#end(ending);
  }

  /** Ends the call because the peer broke the rules for this stream. */
  break(message: string, code: ErrorCode): void {
    this.#abort(brokenEnding(message), code);
  }

  #break(message: string): void {
    this.break(message, ErrorCode.ProtocolError);
  }

  #abort(ending: Ending, code: ErrorCode): void {
    this.#leave(code);
    this.#end(ending);
  }

  /** The peer has ended the stream. */
  #finish(ending: Ending): void {
    // What we have not sent nobody waits for any more (RFC 9113 §8.1).
    this.#leave(this.#endWritten ? undefined : ErrorCode.NoError);
    const cut = ending.status.code === Code.OK && this.#queue !== undefined && this.#queue.partial > 0;
    this.#end(cut ? brokenEnding("the answer ends within a message") : ending);
  }

  /** Gives up the place on the connection; resets the stream where a code is given. */
  #leave(code: ErrorCode | undefined): void {
    this.over = true;
    this.#message = undefined;
    this.#connection?.release(this, code);
    this.#connection = undefined;
  }

  /** Tells the listener of the end, once it has had all messages. */
  #end(ending: Ending): void {
    if (this.#closed) return;
    if (this.#delivering || this.#inflating || (this.#queue !== undefined && this.#queue.length > 0)) {
      this.#ending ??= ending;
    } else {
      this.#closed = true;
      this.#listener.onEnd(ending);
    }
  }

  /** Hands over messages while they are asked for. */
  #deliver(queue: MessageQueue): void {
    if (this.#delivering) return;
    this.#delivering = true;
    while (this.#wanted && !this.#inflating && !this.#closed) {
      const message = queue.shift();
      if (message === undefined) break;
      if (message.compressed) {
        this.#inflate(message.bytes);
      } else {
        this.#wanted = false;
        this.#listener.onMessage(message.bytes);
      }
    }
    this.#delivering = false;
    if (this.#closed) return;
    if (this.#ending !== undefined) this.#end(this.#ending);
    else if (!this.over) this.#grantWindow();
  }

  #inflate(bytes: Buffer): void {
    this.#inflating = true;
    inflate(bytes, this.#encoding, this.#maxMessageSize, result => {
      this.#inflating = false;
      if (this.#closed) return;
      if (!Buffer.isBuffer(result)) {
        this.#queue = undefined;
        this.#ending = undefined;
        if (this.over) this.#end(result);
        else this.#abort(result, ErrorCode.Cancel);
        return;
      }
      this.#wanted = false;
      this.#listener.onMessage(result);
      if (this.#queue !== undefined) this.#deliver(this.#queue);
    });
  }

  #grantWindow(): void {
    this.#connection?.grant(this);
  }
}

const tooMuchMetadata = failure(
  Code.RESOURCE_EXHAUSTED,
  "size",
  "the answer has more than 64 KiB of metadata",
);
