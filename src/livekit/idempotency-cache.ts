/** Does what belongs to an id once, as long as the id is remembered: the last ids, and those under way. */
export class IdempotencyCache {
  readonly #limit: number;
  readonly #known = new Map<string, Promise<void>>();

  /** @param limit how many ids are remembered */
  constructor(limit: number) {
    this.#limit = limit;
  }

  /**
   * Runs `work` unless it ran for the id before; a caller that comes while it runs shares its outcome. After a failure the
   * id is forgotten, so that it can be tried again.
   * @param id empty: not one
   * @returns false where nothing was left to do
   */
  async run(id: string, work: () => Promise<void>): Promise<boolean> {
    if (id === "") {
      await work();
      return true;
    }
    const known = this.#known.get(id);
    if (known !== undefined) {
      await known;
      return false;
    }
    const running = work();
    this.#known.set(id, running);
    if (this.#known.size > this.#limit) this.#forgetOldest();
    try {
      await running;
      return true;
    } catch (error) {
      if (this.#known.get(id) === running) this.#known.delete(id);
      throw error;
    }
  }

  #forgetOldest(): void {
    for (const id of this.#known.keys()) {
      this.#known.delete(id);
      return;
    }
  }
}
