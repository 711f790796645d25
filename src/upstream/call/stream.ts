import type { CallStatus, Metadata, StreamCall, StreamHandle } from "../channel.js";
import type { StreamOutcome, TransportStream } from "../transport.js";
import { type CallHost, maxReplay, OpenCall, tooLarge } from "./open-call.js";

/** Bytes waiting to be written from which on a sender has to wait. */
const highWater = 64 * 1024;
/** Bytes of an envelope before its message. */
const messageHeadSize = 5;
/** Bytes counted for each of them beside its own, so that empty messages are bounded, too. */
const messageOverhead = 5;

/** Opens a stream. Nothing is called before the handle is returned. */
export function openStream(host: CallHost, call: StreamCall): StreamHandle {
  const stream = new OpenStream(host, call);
  queueMicrotask(() => stream.run());
  return stream;
}

class OpenStream extends OpenCall implements StreamHandle {
  readonly #call: StreamCall;
  /** Messages not yet given to the transport. */
  readonly #queue: Uint8Array[] = [];
  /** Bytes of the queue and of the message being written. */
  #buffered = 0;
  /** The message being written. */
  #writing: Uint8Array | undefined;
  /** Messages given to the transport, to begin again; undefined once too large, or after response headers. */
  #replay: Uint8Array[] | undefined = [];
  #replayBytes = 0;
  #endRequested = false;
  #drainPending = false;
  #paused = false;
  /** A message was requested and has not come. */
  #reading = false;
  /** A message that came while paused. */
  #held: Uint8Array | undefined;
  /** How the stream ended, while a held message is still to be delivered. */
  #outcome: StreamOutcome | undefined;

  constructor(host: CallHost, call: StreamCall) {
    super(host, call);
    this.#call = call;
  }

  run(): void {
    if (!this.over) this.begin();
  }

  send(message: Uint8Array): boolean {
    if (this.over || this.#endRequested) return false;
    const { maxMessageSize } = this.host;
    const size = this.#call.passed === undefined ? message.length : message.length - messageHeadSize;
    if (size > maxMessageSize) {
      this.abort(tooLarge(size, maxMessageSize));
      return false;
    }
    this.#queue.push(message);
    this.#buffered += message.length;
    this.#write();
    if (this.#buffered <= highWater) return true;
    this.#drainPending = true;
    return false;
  }

  end(): void {
    if (this.over || this.#endRequested) return;
    this.#endRequested = true;
    if (this.#queue.length === 0) this.stream?.end();
  }

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    const held = this.#held;
    if (held !== undefined) {
      this.#held = undefined;
      this.#call.onMessage(held);
    }
    if (this.over) return;
    if (this.#outcome !== undefined) this.finish(this.#outcome.status, this.#outcome.trailers);
    else this.#read();
  }

  onHeaders(headers: Metadata): void {
    this.#replay = undefined;
    this.#call.onHeaders?.(headers);
  }

  onMessage(message: Uint8Array): void {
    this.#reading = false;
    if (this.#paused) {
      this.#held = message;
    } else {
      this.#call.onMessage(message);
      this.#read();
    }
  }

  onWritten(): void {
    if (this.#writing === undefined) return;
    this.#buffered -= this.#writing.length;
    this.#writing = undefined;
    this.#write();
    if (!this.#drainPending || this.#buffered > highWater) return;
    this.#drainPending = false;
    this.#call.onDrain?.();
  }

  protected startAttempt(stream: TransportStream): void {
    // Even while paused: a transport may buffer without limit what nobody reads.
    this.#reading = true;
    stream.read();
    this.#rewind();
    if (this.#queue.length > 0) this.#write();
    else if (this.#endRequested) stream.end();
  }

  protected restartable(): boolean {
    return this.#replay !== undefined;
  }

  protected attemptEnded(outcome: StreamOutcome): void {
    if (this.#held !== undefined) this.#outcome = outcome;
    else this.finish(outcome.status, outcome.trailers);
  }

  protected deliver(status: CallStatus, trailers: Metadata): void {
    this.#queue.length = 0;
    this.#held = undefined;
    this.#call.onEnd(status, trailers);
  }

  /** Puts the messages sent in the attempt before back to the front of the queue. */
  #rewind(): void {
    if (this.#replay === undefined || this.#replay.length === 0) return;
    this.#queue.unshift(...this.#replay);
    this.#writing = undefined;
    this.#replay = [];
    this.#replayBytes = 0;
    this.#buffered = this.#queue.reduce((sum, { length }) => sum + length, 0);
  }

  #read(): void {
    if (this.#paused || this.#reading || this.stream === undefined) return;
    this.#reading = true;
    this.stream.read();
  }

  /** The first message is kept whatever its size, as that of a unary call. */
  #keep(message: Uint8Array): void {
    this.#replayBytes += message.length + messageOverhead;
    if (this.#replayBytes > maxReplay && this.#replay?.length !== 0) this.#replay = undefined;
    else this.#replay?.push(message);
  }

  #write(): void {
    if (this.stream === undefined || this.#writing !== undefined) return;
    const message = this.#queue.shift();
    if (message === undefined) return;
    this.#keep(message);
    this.#writing = message;
    this.stream.send(message);
    if (this.#endRequested && this.#queue.length === 0) this.stream.end();
  }
}
