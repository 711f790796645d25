import type { Socket } from "node:net";

/** Bytes that grow at their end. */
interface Buffered {
  readonly bytes: Buffer;
  length: number;
}

/** Bytes that are collected while the socket is busy, before further writers have to wait. */
export const maxBufferedBytes = 256 * 1024;
const initialBufferBytes = 16 * 1024;
/** Milliseconds after which a peer that does not read our last bytes, or does not close, is left. */
const closeGraceMs = 1_000;

/**
 * Collects bytes for a socket and gives them to it in one write a turn of the event loop, and none while one is under
 * way; two buffers take turns.
 */
export abstract class TickWriter<B extends Buffered> {
  protected readonly socket: Socket;
  readonly #create: (capacity: number) => B;
  #out: B;
  #spare: B;
  /** Writes that the socket has taken; `writing`: one is under way. */
  written = 0;
  #scheduled = false;
  #writing = false;
  #closed = false;

  protected constructor(socket: Socket, create: (capacity: number) => B) {
    this.socket = socket;
    this.#create = create;
    this.#out = create(initialBufferBytes);
    this.#spare = create(initialBufferBytes);
  }

  /** Adds the pending bytes to `out`, as long as the buffer is not full. */
  protected abstract fill(): void;
  /** The bytes in `out` were given to the socket. */
  protected abstract onGiven(): void;

  /** Bytes added here are sent with the next write; `schedule` ensures that there is one. */
  protected get out(): B {
    return this.#out;
  }

  get writing(): boolean {
    return this.#writing;
  }

  protected get closed(): boolean {
    return this.#closed;
  }

  /** Whether a write will come by itself. */
  protected get pending(): boolean {
    return this.#scheduled || this.#writing || this.#closed;
  }

  /** Writes in the next turn of the event loop, or after the write under way. */
  protected schedule(): void {
    if (this.#scheduled || this.#writing || this.#closed) return;
    this.#scheduled = true;
    setImmediate(this.#flush);
  }

  /** Gives the last bytes to the socket and ends it. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    const { socket } = this;
    if (socket.destroyed) return;
    const { bytes, length } = this.#out;
    if (length > 0) socket.write(bytes.subarray(0, length));
    // A socket that is destroyed while the peer writes is reset, and our last bytes are lost with it.
    socket.end();
    const timer = setTimeout(() => socket.destroy(), closeGraceMs).unref();
    socket.once("close", () => clearTimeout(timer));
  }

  readonly #flush = (): void => {
    this.#scheduled = false;
    // It was scheduled while `fill` ran. The spare buffer is still being written, and the end of that flushes.
    if (this.#writing) return;
    // Bytes for a socket at its end are lost; calls that were not begun on it can use another connection.
    if (this.#closed || !this.socket.writable) return;
    this.fill();
    const out = this.#out;
    // `fill` may have ended the connection.
    if (out.length === 0 || this.#closed) return;
    this.#writing = true;
    this.#out = this.#spare;
    this.#spare = out;
    this.socket.write(out.bytes.subarray(0, out.length), this.#onWritten);
    // A write that fails at once has taken nothing.
    if (this.socket.errored === null) this.onGiven();
  };

  readonly #onWritten = (): void => {
    this.#writing = false;
    this.written++;
    if (this.#closed) return;
    const spare = this.#spare;
    if (spare.bytes.length > 2 * maxBufferedBytes) this.#spare = this.#create(initialBufferBytes);
    else spare.length = 0;
    this.#flush();
  };
}
