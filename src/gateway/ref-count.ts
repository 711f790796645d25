/** Counts the users of something, so that it is closed only after the last of them. */
export class RefCount {
  #users = 0;
  readonly #waiting: (() => void)[] = [];

  acquire(): void {
    this.#users += 1;
  }

  release(): void {
    this.#users -= 1;
    if (this.#users === 0) for (const resolve of this.#waiting.splice(0)) resolve();
  }

  /** Resolves once there are no users. */
  unused(): Promise<void> {
    if (this.#users === 0) return Promise.resolve();
    return new Promise(resolve => {
      this.#waiting.push(resolve);
    });
  }
}
