import type { Socket } from "node:net";
import { FrameWriter } from "../../h2/frame-writer.js";

/** Bytes that are collected while the socket is busy, before streams have to wait. */
const highWater = 256 * 1024;
const firstCapacity = 16 * 1024;
/** Milliseconds after which a peer that does not read our last words, or does not go, is left. */
const goodbyeTimeout = 1_000;
/** Milliseconds that what nobody is in a hurry for waits for company. */
const patience = 2;

export interface OutboxHost {
  /** Adds what streams have to write, as long as the outbox is not full. */
  fill(): void;
  /** Everything in the outbox was given to the socket. */
  given(): void;
}

/**
 * Collects frames and gives them to the socket: one write a turn of the event loop, and none while one is under way.
 * Two buffers take turns.
 */
export class Outbox {
  frames = new FrameWriter(firstCapacity);
  #spare = new FrameWriter(firstCapacity);
  readonly #socket: Socket;
  readonly #host: OutboxHost;
  #scheduled = false;
  #writing = false;
  #waiting = false;
  #closed = false;

  constructor(socket: Socket, host: OutboxHost) {
    this.#socket = socket;
    this.#host = host;
  }

  get full(): boolean {
    return this.frames.length >= highWater;
  }

  /** Something was added, or `fill` would add something. */
  schedule(): void {
    if (this.#scheduled || this.#writing || this.#closed) return;
    this.#scheduled = true;
    setImmediate(this.#flush);
  }

  /** Something was added that may go out with what is added next; soon in any case. */
  scheduleLater(): void {
    if (this.#scheduled || this.#writing || this.#waiting || this.#closed) return;
    this.#waiting = true;
    setTimeout(this.#waited, patience).unref();
  }

  /** Gives the last frames to the socket and ends it. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    const socket = this.#socket;
    if (socket.destroyed) return;
    const { bytes, length } = this.frames;
    if (length > 0) socket.write(bytes.subarray(0, length));
    // A socket that is destroyed while the peer writes is reset, and our last words are lost with it.
    socket.end();
    const timer = setTimeout(() => socket.destroy(), goodbyeTimeout).unref();
    socket.once("close", () => clearTimeout(timer));
  }

  readonly #waited = (): void => {
    this.#waiting = false;
    if (this.frames.length > 0) this.schedule();
  };

  readonly #flush = (): void => {
    this.#scheduled = false;
    // What a socket at its end is given goes nowhere; streams that are not opened on it can go elsewhere.
    if (this.#closed || !this.#socket.writable) return;
    this.#host.fill();
    const { frames } = this;
    if (frames.length === 0) return;
    this.#writing = true;
    this.frames = this.#spare;
    this.#spare = frames;
    this.#socket.write(frames.bytes.subarray(0, frames.length), this.#afterWrite);
    // A write that fails at once has taken nothing.
    if (this.#socket.errored === null) this.#host.given();
  };

  readonly #afterWrite = (): void => {
    this.#writing = false;
    if (this.#closed) return;
    const spare = this.#spare;
    if (spare.bytes.length > 2 * highWater) this.#spare = new FrameWriter(firstCapacity);
    else spare.length = 0;
    this.#flush();
  };
}
