/** Connections flushed in one turn of the event loop: each write takes about 10 to 20 microseconds. */
const maxFlushed = 1000;

/** What writes at the end of a turn of the event loop, all of it by one callback; others get their turn between many. */
export class FlushQueue {
  #waiting: { flush(): void }[] = [];

  add(connection: { flush(): void }): void {
    if (this.#waiting.push(connection) === 1) setImmediate(this.#flush);
  }

  readonly #flush = (): void => {
    const now = this.#waiting;
    this.#waiting = now.splice(maxFlushed);
    if (this.#waiting.length > 0) setImmediate(this.#flush);
    for (const each of now) each.flush();
  };
}
