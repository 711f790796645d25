import { copyOf } from "../../h2/bytes.js";
import type { FrameWriter } from "../../h2/frame-writer.js";
import { ErrorCode, Flag } from "../../h2/protocol.js";
import { Http2Stream, type StreamHost, StreamState, type Undelivered } from "../../h2/stream.js";
import { Cancellation } from "../../net/cancellation.js";
import type { HeaderList } from "../../net/headers.js";
import { bodyCutShort, MalformedBodyError } from "../inbound-request.js";
import type { HeaderBlock } from "./header-block.js";
import { writeContinue, writeResponseHead, writeTrailers } from "./response-head.js";
import { StreamBody } from "./stream-body.js";

/** Bytes that a peer may send on a stream before any WINDOW_UPDATE. */
export const streamWindow = 64 * 1024;

/** The part of its connection that a server stream needs beside `StreamHost`. */
export interface ServerStreamHost extends StreamHost {
  /** Whether the next header block is the first of the connection; true once. */
  takeFirstBlock(): boolean;
  /** So many more bytes of responses wait to be written, or fewer. */
  unsent(change: number): void;
  /** So many more bytes of requests are kept, or fewer. */
  hold(change: number): void;
  /** The request has its response, or will have none. */
  responded(): void;
  /** The response is written to its end. */
  completed(): void;
}

/** Bytes that are taken ahead of a client. */
const maxBehind = 64 * 1024;

interface PendingHead {
  readonly status: number;
  readonly headers: HeaderList;
  /** For `content-length`; undefined: none is added. */
  readonly length: number | undefined;
}

/** One request and its response: the frames of a stream that a client has opened. */
export class ServerStream extends Http2Stream {
  readonly head: HeaderBlock;
  /** Undefined where the head was the whole request. */
  readonly body: StreamBody | undefined;
  readonly cancellation = new Cancellation();
  readonly #host: ServerStreamHost;
  #continue = false;
  #head: PendingHead | undefined;
  #chunks: Uint8Array[] = [];
  /** Of the first chunk, how much is written. */
  #offset = 0;
  #unsent = 0;
  #ending = false;
  #trailers: HeaderList | undefined;
  /** A response was requested, or will not be. */
  #responded = false;
  /** It has left its connection. */
  #left = false;
  /** `write` has returned false: the writer of the body has to wait. */
  #behind = false;
  /** Since when the client has taken none of the waiting bytes; undefined where it has, or none wait. */
  #stuckSince: number | undefined;
  #drained: (() => void) | undefined;

  /** @param end the request has no body */
  constructor(host: ServerStreamHost, id: number, head: HeaderBlock, sendWindow: number, end: boolean) {
    super(streamWindow);
    this.#host = host;
    this.head = head;
    this.accepted(id, sendWindow, end);
    if (!end)
      this.body = new StreamBody(
        {
          grant: () => this.#grant(),
          started: () => this.#started(),
          held: change => host.hold(change),
        },
        head.contentLength,
      );
  }

  get writable(): boolean {
    if (!this.sending) return false;
    if (this.#head !== undefined || this.#continue) return true;
    return this.#unsent > 0 ? this.sendWindow > 0 : this.#ending;
  }

  get undelivered(): Undelivered | undefined {
    return this.body !== undefined && this.body.waiting > 0 ? this.body : undefined;
  }

  get readRequested(): boolean {
    return this.body?.readRequested === true;
  }

  /**
   * Begins the response, which goes out as soon as `flush` or `finish` is called. Returns false where there is one
   * already, or the peer is gone.
   */
  respond(status: number, headers: HeaderList, length: number | undefined): boolean {
    if (this.#responded) return false;
    this.#finished();
    if (!this.sending) return false;
    this.#head = { status, headers, length };
    return true;
  }

  /** The written bytes are sent in this turn of the event loop. */
  flush(): void {
    this.#host.enlist(this);
  }

  /** Adds to the body. Returns false where the client is behind. */
  push(chunk: Uint8Array): boolean {
    if (this.#ending || !this.sending) return true;
    if (chunk.length > 0) {
      this.#chunks.push(chunk);
      this.#unsent += chunk.length;
      this.#host.unsent(chunk.length);
    }
    if (this.#unsent > maxBehind) this.#behind = true;
    return !this.#behind;
  }

  /** One listener; called when the client has taken the waiting bytes. */
  onDrain(listener: () => void): void {
    this.#drained = listener;
  }

  /** The response is complete. */
  finish(trailers?: HeaderList): void {
    if (this.#ending || !this.sending) return;
    this.#ending = true;
    this.#trailers = trailers;
    this.flush();
  }

  /** Ends the stream, so that the client sees that its response is incomplete. */
  abandon(): void {
    this.#finished();
    if (!this.#left) this.#end(ErrorCode.InternalError, bodyCutShort());
  }

  /** Gives a client up that takes nothing for so many milliseconds. */
  checkProgress(now: number, limit: number): void {
    if (this.#unsent === 0) return;
    this.#stuckSince ??= now;
    if (now - this.#stuckSince >= limit) this.break("the response is left unread", ErrorCode.Cancel);
  }

  write(out: FrameWriter, room: number, maxFrame: number): number {
    if (this.#continue) {
      this.#continue = false;
      writeContinue(out, this.id, this.#host.takeFirstBlock(), maxFrame);
    }
    const head = this.#head;
    if (head === undefined && this.#unsent === 0 && !this.#ending) return 0;
    if (head !== undefined) {
      this.#head = undefined;
      const last = this.#ending && this.#unsent === 0 && this.#trailers === undefined;
      const extent = { length: head.length, first: this.#host.takeFirstBlock() };
      writeResponseHead(out, this.id, head.status, head.headers, extent, last ? Flag.EndStream : 0, maxFrame);
      if (last) {
        this.endedLocally();
        this.flushed = true;
        return 0;
      }
    }
    const written = this.#writeData(out, Math.min(room, this.sendWindow), maxFrame);
    if (this.#unsent > 0) return written;
    if (this.#ending && this.sending) {
      if (this.#trailers !== undefined) {
        writeTrailers(out, this.id, this.#trailers, Flag.EndStream, maxFrame);
      } else {
        out.endStream(this.id);
      }
      this.endedLocally();
    }
    this.flushed = true;
    return written;
  }

  /** Small chunks share a frame. */
  #writeData(out: FrameWriter, room: number, maxFrame: number): number {
    const total = Math.min(this.#unsent, room);
    let written = 0;
    while (written < total) {
      const size = Math.min(total - written, maxFrame);
      written += size;
      const last = this.#ending && this.#trailers === undefined && written === this.#unsent;
      out.beginData(this.id, size, last);
      this.#writeBytes(out, size);
      if (last) this.endedLocally();
    }
    if (written > 0) {
      this.#stuckSince = undefined;
      this.sendWindow -= written;
      this.#unsent -= written;
      this.#host.unsent(-written);
    }
    return written;
  }

  #writeBytes(out: FrameWriter, count: number): void {
    let left = count;
    while (left > 0) {
      const chunk = this.#chunks[0]!;
      const size = Math.min(left, chunk.length - this.#offset);
      if (size === chunk.length) out.append(chunk);
      else out.append(chunk.subarray(this.#offset, this.#offset + size));
      left -= size;
      this.#offset += size;
      if (this.#offset < chunk.length) return;
      this.#offset = 0;
      this.#chunks.shift();
    }
  }

  announceFlushed(): void {
    if (!this.sending) {
      this.#host.completed();
      // RFC 9113 §8.1: the rest of the request is not needed any more.
      this.#leave(this.closed ? undefined : ErrorCode.NoError);
      if (this.body?.over === false) this.body.drop(bodyCutShort());
    } else if (this.#behind) {
      this.#behind = false;
      this.#drained?.();
    }
  }

  /** DATA of the request. */
  onData(bytes: Buffer, from: number, to: number, end: boolean): void {
    const { body } = this;
    if (body === undefined || body.complete) {
      this.break("DATA after the end of the request", ErrorCode.StreamClosed);
      return;
    }
    const announced = this.head.contentLength;
    const size = body.received + to - from;
    if (announced !== undefined && (size > announced || (end && size < announced))) {
      this.break("a body that is not as long as its content-length", ErrorCode.ProtocolError);
      return;
    }
    if (from < to) body.push(copyOf(bytes, from, to));
    if (end) this.#ended(body);
  }

  /** Fields behind the body, which end the request and are dropped. */
  onTrailers(fields: HeaderBlock, end: boolean): void {
    const { body } = this;
    if (body === undefined || body.complete) {
      this.break("HEADERS after the end of the request", ErrorCode.StreamClosed);
      return;
    }
    const fault = end ? fields.trailersFault : "header fields within the body";
    const announced = this.head.contentLength ?? body.received;
    if (fault !== undefined) this.break(fault, ErrorCode.ProtocolError);
    else if (announced !== body.received)
      this.break("a body that is not as long as its content-length", ErrorCode.ProtocolError);
    else this.#ended(body);
  }

  #ended(body: StreamBody): void {
    if (!this.closed) this.endedRemotely();
    body.end();
  }

  /** The client has given the request up. */
  onReset(): void {
    this.#end(undefined, bodyCutShort());
  }

  break(_message: string, code: ErrorCode): void {
    this.#end(code, new MalformedBodyError());
  }

  /** The connection has ended, and forgets the stream by itself. */
  lost(): void {
    this.#left = true;
    this.#end(undefined, bodyCutShort());
  }

  /** Ends the stream before the response has ended. */
  #end(code: ErrorCode | undefined, error: Error): void {
    this.#leave(code);
    this.body?.drop(error);
    this.cancellation.cancel();
  }

  #finished(): void {
    if (this.#responded) return;
    this.#responded = true;
    this.#host.responded();
  }

  #started(): void {
    if (this.head.header("expect")?.toLowerCase() !== "100-continue" || this.#responded || !this.sending)
      return;
    this.#continue = true;
    this.#host.enlist(this);
  }

  #grant(): void {
    if (!this.closed && this.body?.complete === false) this.#host.grant(this);
  }

  /** Leaves the connection; resets the stream where a code is given. */
  #leave(code: ErrorCode | undefined): void {
    this.state = StreamState.Closed;
    this.#host.unsent(-this.#unsent);
    this.#unsent = 0;
    this.#chunks = [];
    if (this.#left) return;
    this.#left = true;
    this.#host.release(this, code);
  }
}
