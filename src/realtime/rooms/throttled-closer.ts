import type { Socket } from "./socket.js";

/**
 * Members are notified of each leave. The frames that uWebSockets.js sends in one turn of the event loop, up to 32, are
 * one write to each of them: so many notices go with the message at which the sockets were found.
 */
const maxNotices = 24;
/** Milliseconds between two turns in which sockets are closed: at least, and at most where nothing is sent meanwhile. */
const minIntervalMs = 20;
const maxIntervalMs = 250;

/** Closes sockets a few at a time: many at once would delay all members that are notified of their leaving. */
export class ThrottledCloser {
  readonly #due = new Set<Socket>();
  #last = 0;
  /** Notifying members of a leave may find more of them too slow. */
  #busy = false;
  #late: NodeJS.Timeout | undefined;

  constructor(readonly close: (socket: Socket) => void) {}

  get size(): number {
    return this.#due.size;
  }

  [Symbol.iterator](): IterableIterator<Socket> {
    return this.#due.values();
  }

  has(socket: Socket): boolean {
    return this.#due.has(socket);
  }

  add(socket: Socket): void {
    this.#due.add(socket);
  }

  /** It is closed already, or need not be closed any more. */
  delete(socket: Socket): void {
    this.#due.delete(socket);
  }

  /** Called after a broadcast: closes some of the sockets that are due. */
  closeSome(): void {
    if (this.#due.size === 0) return;
    if (!this.#busy && performance.now() - this.#last >= minIntervalMs) this.#closeNow();
    if (this.#due.size > 0) this.#late ??= setTimeout(() => this.#retry(), maxIntervalMs).unref();
  }

  #retry(): void {
    this.#late = undefined;
    this.closeSome();
  }

  #closeNow(): void {
    this.#busy = true;
    let notices = 0;
    for (const socket of this.#due) {
      if (notices >= maxNotices) break;
      notices += socket.rooms.size;
      this.#due.delete(socket);
      this.close(socket);
    }
    this.#busy = false;
    this.#last = performance.now();
  }
}
