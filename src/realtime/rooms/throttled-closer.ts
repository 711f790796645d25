import type { Socket } from "./socket.js";

/**
 * Members are told of each who leaves. What uWebSockets.js sends in one turn of the event loop, up to 32 messages, is
 * one write to each of them: so many notices go with the message at which the sockets were found.
 */
const notices = 24;
/** Milliseconds between two turns in which sockets are ended, at least, and at most where nothing is said meanwhile. */
const least = 20;
const most = 250;

/** Ends sockets a few at a time: many at once would hold up everybody who is told that they left. */
export class ThrottledCloser {
  readonly #due = new Set<Socket>();
  #last = 0;
  /** Who is told that one leaves may be found to be too slow by that. */
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

  /** It is to be ended no more, or is already. */
  delete(socket: Socket): void {
    this.#due.delete(socket);
  }

  /** Something has been sent to many: a good time. */
  closeSome(): void {
    if (this.#due.size === 0) return;
    if (!this.#busy && performance.now() - this.#last >= least) this.#endSome();
    if (this.#due.size > 0) this.#late ??= setTimeout(() => this.#retry(), most).unref();
  }

  #retry(): void {
    this.#late = undefined;
    this.closeSome();
  }

  #endSome(): void {
    this.#busy = true;
    let told = 0;
    for (const socket of this.#due) {
      if (told >= notices) break;
      told += socket.rooms.size;
      this.#due.delete(socket);
      this.close(socket);
    }
    this.#busy = false;
    this.#last = performance.now();
  }
}
