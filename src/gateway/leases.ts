/** Counts the requests that hold something, so that it is closed only after the last of them. */
export class Leases {
  #held = 0;
  readonly #waiting: (() => void)[] = [];

  acquire(): void {
    this.#held += 1;
  }

  release(): void {
    this.#held -= 1;
    if (this.#held === 0) for (const tell of this.#waiting.splice(0)) tell();
  }

  /** Resolves once nothing is held. */
  free(): Promise<void> {
    if (this.#held === 0) return Promise.resolve();
    return new Promise(resolve => {
      this.#waiting.push(resolve);
    });
  }
}
