import type { Socket } from "./socket.js";

/** Members are told of each who leaves: so many of these notices at once are one write to each member. */
const notices = 32;
/** Milliseconds. */
const pause = 20;

/** Ends sockets a few at a time: many at once would hold up everybody who is told that they left. */
export class PacedEndings {
  readonly #due = new Set<Socket>();
  #resting: NodeJS.Timeout | undefined;

  constructor(readonly end: (socket: Socket) => void) {}

  has(socket: Socket): boolean {
    return this.#due.has(socket);
  }

  add(socket: Socket): void {
    this.#due.add(socket);
    if (this.#resting === undefined) this.#some();
  }

  #some(): void {
    this.#resting = setTimeout(() => {
      this.#resting = undefined;
      if (this.#due.size > 0) this.#some();
    }, pause);
    this.#resting.unref();
    let told = 0;
    for (const socket of this.#due) {
      if (told >= notices) return;
      told += socket.rooms.size;
      this.#due.delete(socket);
      this.end(socket);
    }
  }
}
