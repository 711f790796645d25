import { copyOf, readUint32 } from "../../h2/bytes.js";
import { ErrorCode } from "../../h2/protocol.js";
import { Http2Stream } from "../../h2/stream.js";
import { Code } from "../../status/code.js";
import { failure, protocolFailure, type StreamOutcome, type TransportListener } from "../transport.js";
import { checkMessageHead, envelopeOf, inflate, MessageQueue, messageHeadSize } from "./messages.js";
import type { ResponseHead } from "./response-head.js";
import { contentTypeFailure, httpFailure, isGrpcType, outcomeOf, resetFailure } from "./stream-outcome.js";

/** Bytes that a peer may send on a stream before any WINDOW_UPDATE. */
export const streamWindow = 256 * 1024;

/**
 * The response of one call, from its header block to its end: the receiving half of an HTTP/2 stream. Messages reach the
 * listener as it requests them; the end reaches it after them.
 */
export abstract class ResponseStream extends Http2Stream {
  protected readonly listener: TransportListener;
  readonly #maxMessageSize: number;
  /** See `PassedEncodings`. */
  readonly #passed: boolean;
  #headersReceived = false;
  #httpStatus = 0;
  #encoding: string | undefined;
  /** The listener has requested a message. */
  #readRequested = false;
  /** Messages that came before they were requested, or in pieces. */
  #queue: MessageQueue | undefined;
  /** A message is being delivered: the listener may request the next meanwhile. */
  #delivering = false;
  /** A message is being decompressed. */
  #inflating = false;
  /** How the call ended, while messages are still to be delivered. */
  #outcome: StreamOutcome | undefined;
  /** No event follows. */
  #silent = false;

  protected constructor(listener: TransportListener, maxMessageSize: number, passed: boolean) {
    super(streamWindow);
    this.#passed = passed;
    this.listener = listener;
    this.#maxMessageSize = maxMessageSize;
  }

  /** Closes the stream and leaves the connection; resets the stream where a code is given. */
  protected abstract leave(code: ErrorCode | undefined): void;
  /** The peer may send more, where its window was kept small. */
  protected abstract grantWindow(): void;

  read(): void {
    this.#readRequested = true;
    const queue = this.#queue;
    if (queue === undefined || this.#delivering || this.#inflating) return;
    if (queue.length > 0) queueMicrotask(() => this.#deliver(queue));
    else this.grantWindow();
  }

  /** No event follows. Returns false where that was so before. */
  protected silence(): boolean {
    if (this.#silent) return false;
    this.#silent = true;
    this.#queue = undefined;
    return true;
  }

  /** Response headers have come: the backend has begun to process the call. */
  get headersReceived(): boolean {
    return this.#headersReceived;
  }

  get undelivered(): MessageQueue | undefined {
    return this.#queue;
  }

  get readRequested(): boolean {
    return this.#readRequested;
  }

  /** A header block of the response came; `end`: with END_STREAM. */
  onHead(head: ResponseHead, end: boolean): void {
    if (head.malformed !== undefined) this.#break(head.malformed);
    else if (head.tooLarge) this.#abort(tooMuchMetadata, ErrorCode.Cancel);
    else if (this.#headersReceived) this.#onTrailers(head, end);
    else if (head.httpStatus === 0) this.#break("the response has no :status");
    else if (head.httpStatus < 200) {
      // 101 does not exist in HTTP/2 (RFC 9113 §8.6).
      if (end || head.httpStatus === 101) this.#break(`informational status ${head.httpStatus}`);
    } else this.#onInitial(head, end);
  }

  #onInitial(head: ResponseHead, end: boolean): void {
    const { httpStatus, contentType } = head;
    if (this.#passed) head.keepEncodings();
    this.#headersReceived = true;
    this.#httpStatus = httpStatus;
    if (end) {
      this.#finish(outcomeOf(head, httpStatus));
    } else if (!isGrpcType(contentType)) {
      // The body is an error page for people.
      this.#abort(
        httpStatus === 200 ? contentTypeFailure(contentType ?? "") : httpFailure(httpStatus),
        ErrorCode.Cancel,
      );
    } else {
      this.#encoding = head.grpcEncoding;
      this.listener.onHeaders(head.metadata);
    }
  }

  #onTrailers(head: ResponseHead, end: boolean): void {
    if (!end) this.#break("header fields between the messages");
    else if (head.httpStatus !== 0) this.#break("a pseudo-header among the trailers");
    else this.#finish(outcomeOf(head, this.#httpStatus));
  }

  /** Bytes of the response's content; `end`: the last of the stream. */
  onData(bytes: Buffer, from: number, to: number, end: boolean): void {
    if (!this.#headersReceived) {
      this.#break("DATA before the header fields");
      return;
    }
    if (from < to) this.#receive(bytes, from, to);
    if (end && !this.closed)
      this.#finish(
        this.#httpStatus === 200
          ? failure(Code.INTERNAL, "protocol", "Call ended without gRPC status")
          : httpFailure(this.#httpStatus),
      );
  }

  #receive(bytes: Buffer, from: number, to: number): void {
    const size = to - from - messageHeadSize;
    // Most responses are one small message in one frame, and waited for.
    if (
      this.#queue === undefined &&
      this.#readRequested &&
      size >= 0 &&
      bytes[from] === 0 &&
      readUint32(bytes, from + 1) === size
    ) {
      const wrong = checkMessageHead(bytes, from, this.#maxMessageSize);
      if (wrong !== undefined) {
        this.#refuseContent(wrong);
        return;
      }
      const message = copyOf(bytes, this.#passed ? from : from + messageHeadSize, to);
      this.#readRequested = false;
      this.listener.onMessage(message);
      return;
    }
    this.#queue ??= new MessageQueue(this.#maxMessageSize);
    const wrong = this.#queue.push(bytes, from, to);
    if (wrong !== undefined) this.#refuseContent(wrong);
    else this.#deliver(this.#queue);
  }

  /** Of a failed HTTP response the status explains more than that its content is no message. */
  #refuseContent(wrong: StreamOutcome): void {
    this.#abort(this.#httpStatus === 200 ? wrong : httpFailure(this.#httpStatus), ErrorCode.Cancel);
  }

  /** The peer reset the stream. `leaving`: of a connection that takes no new ones. */
  onReset(code: number, leaving: boolean): void {
    const refused = leaving ? "goaway" : "refused";
    this.#finish(resetFailure(code, this.#headersReceived ? "sent" : refused));
  }

  /** Ends the call because the peer broke the rules for this stream. */
  break(message: string, code: ErrorCode): void {
    this.#abort(protocolFailure(message), code);
  }

  #break(message: string): void {
    this.break(message, ErrorCode.ProtocolError);
  }

  #abort(outcome: StreamOutcome, code: ErrorCode): void {
    this.leave(code);
    this.settle(outcome);
  }

  /** The peer has ended the stream. */
  #finish(outcome: StreamOutcome): void {
    // The rest of the request is not needed any more (RFC 9113 §8.1).
    this.leave(this.sending ? ErrorCode.NoError : undefined);
    const cut = outcome.status.code === Code.OK && this.#queue !== undefined && this.#queue.partial > 0;
    this.settle(cut ? protocolFailure("the response ends within a message") : outcome);
  }

  /** Gives the listener the outcome, after all messages. */
  protected settle(outcome: StreamOutcome): void {
    if (this.#silent) return;
    if (this.#delivering || this.#inflating || (this.#queue !== undefined && this.#queue.length > 0)) {
      this.#outcome ??= outcome;
    } else {
      this.#silent = true;
      this.listener.onEnd(outcome);
    }
  }

  /** Delivers messages while they are requested. */
  #deliver(queue: MessageQueue): void {
    if (this.#delivering) return;
    this.#delivering = true;
    while (this.#readRequested && !this.#inflating && !this.#silent) {
      const message = queue.shift();
      if (message === undefined) break;
      if (this.#passed) {
        this.#readRequested = false;
        this.listener.onMessage(envelopeOf(message));
      } else if (message.compressed) {
        this.#inflate(message.bytes);
      } else {
        this.#readRequested = false;
        this.listener.onMessage(message.bytes);
      }
    }
    this.#delivering = false;
    if (this.#silent) return;
    if (this.#outcome !== undefined) this.settle(this.#outcome);
    else if (!this.closed) this.grantWindow();
  }

  #inflate(bytes: Buffer): void {
    this.#inflating = true;
    inflate(bytes, this.#encoding, this.#maxMessageSize, result => {
      this.#inflating = false;
      if (this.#silent) return;
      if (!Buffer.isBuffer(result)) {
        this.#queue = undefined;
        this.#outcome = undefined;
        if (this.closed) this.settle(result);
        else this.#abort(result, ErrorCode.Cancel);
        return;
      }
      this.#readRequested = false;
      this.listener.onMessage(result);
      if (this.#queue !== undefined) this.#deliver(this.#queue);
    });
  }
}

const tooMuchMetadata = failure(
  Code.RESOURCE_EXHAUSTED,
  "size",
  "the response has more than 64 KiB of metadata",
);
