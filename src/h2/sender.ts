import type { Socket } from "node:net";
import { maxBufferedBytes, TickWriter } from "../net/tick-writer.js";
import type { FloodGuard } from "./flood-guard.js";
import { FrameWriter } from "./frame-writer.js";
import { initialWindow } from "./protocol.js";
import type { PeerSettings } from "./settings.js";
import { type Http2Stream, StreamState } from "./stream.js";
import type { StreamTable } from "./stream-table.js";

/** Bytes that a stream writes before the next one has its turn. */
const bytesPerTurn = 64 * 1024;
/** Max delay of frames that are not urgent, so that they share a write with others. */
const coalesceDelayMs = 2;

/**
 * The sending half of a connection: its window, whose turn it is, and the socket.
 *
 * It calls streams, the table and the flood guard, and nothing calls back: a connection only adds frames and streams.
 */
export class Sender<S extends Http2Stream> extends TickWriter<FrameWriter> {
  readonly #peer: PeerSettings;
  readonly #flood: FloodGuard;
  readonly #table: StreamTable<S>;
  /** Bytes that the peer lets the connection send (RFC 9113 §6.9). */
  window = initialWindow;
  /** Streams that have something to write which their own window does not hold back. */
  readonly #listed: S[] = [];
  /** Streams whose bytes are all in the buffer; two lists that take turns. */
  #flushed: S[] = [];
  #announced: S[] = [];
  readonly #firstId: number;
  #nextId: number;
  #unsentId: number;
  #delayed = false;

  /** Streams that it opens are added to `table`, the first with `firstId`, the others by two more each. */
  constructor(socket: Socket, peer: PeerSettings, flood: FloodGuard, table: StreamTable<S>, firstId: number) {
    super(socket, capacity => new FrameWriter(capacity));
    this.#peer = peer;
    this.#flood = flood;
    this.#table = table;
    this.#firstId = firstId;
    this.#nextId = firstId;
    this.#unsentId = firstId;
  }

  /** Frames added here are sent at the end of the turn of the event loop. */
  get frames(): FrameWriter {
    this.schedule();
    return this.out;
  }

  /** Frames added here are sent with others, or after `coalesceDelayMs`. */
  get delayedFrames(): FrameWriter {
    if (!this.pending && !this.#delayed) {
      this.#delayed = true;
      setTimeout(this.#onDelay, coalesceDelayMs).unref();
    }
    return this.out;
  }

  /** The id of the stream that is opened next. */
  get nextId(): number {
    return this.#nextId;
  }

  /** Of the streams from this id on nothing was given to the socket. */
  get unsentId(): number {
    return this.#unsentId;
  }

  /** Streams that wait to be opened. */
  get unopened(): S[] {
    return this.#listed.filter(({ state }) => state === StreamState.Idle);
  }

  /** The stream may have something to write. */
  enlist(stream: S): void {
    if (stream.listed || (stream.id !== 0 && !stream.writable)) return;
    stream.listed = true;
    this.#listed.push(stream);
    this.schedule();
  }

  /** Adds to the connection's window. Returns false where it would become larger than HTTP/2 allows. */
  widen(increment: number, max: number): boolean {
    this.window += increment;
    if (this.window > max) return false;
    if (this.#listed.length > 0) this.schedule();
    return true;
  }

  readonly #onDelay = (): void => {
    this.#delayed = false;
    if (this.out.length > 0) this.schedule();
  };

  protected onGiven(): void {
    this.#unsentId = this.#nextId;
    this.#flood.written();
  }

  protected fill(): void {
    let progress = true;
    while (progress && this.#listed.length > 0 && this.out.length < maxBufferedBytes) {
      progress = this.#round();
      this.#announce();
    }
  }

  /** Streams may be given the next bytes at once, and these go out with the others. */
  #announce(): void {
    const flushed = this.#flushed;
    this.#flushed = this.#announced;
    this.#announced = flushed;
    for (const stream of flushed) {
      stream.flushed = false;
      stream.announceFlushed();
    }
    flushed.length = 0;
  }

  /** Gives each stream a turn. Returns whether any could use it. */
  #round(): boolean {
    const listed = this.#listed;
    const frames = this.out;
    const { maxFrameSize } = this.#peer;
    const before = frames.length;
    let kept = 0;
    for (let index = 0; index < listed.length; index++) {
      const stream = listed[index]!;
      if (frames.length >= maxBufferedBytes || this.#serve(stream, maxFrameSize)) listed[kept++] = stream;
      else stream.listed = false;
    }
    listed.length = kept;
    return frames.length > before;
  }

  /** Returns whether the stream has more to write. */
  #serve(stream: S, maxFrame: number): boolean {
    if (stream.closed || (stream.id === 0 && !this.#open(stream))) return false;
    const written = stream.write(this.out, Math.min(bytesPerTurn, this.window), maxFrame);
    if (written > 0) this.#flood.useful();
    if (stream.flushed) this.#flushed.push(stream);
    this.window -= written;
    return stream.writable;
  }

  #open(stream: S): boolean {
    const id = this.#nextId;
    if (!stream.open(id, this.#peer, this.out, id === this.#firstId)) return false;
    this.#nextId += 2;
    this.#table.add(stream);
    return true;
  }
}
