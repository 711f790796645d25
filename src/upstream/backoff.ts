/** Growing pauses between attempts: each is up to twice the one before, jittered so that clients do not march in step. */
export class Backoff {
  readonly #initial: number;
  readonly #max: number;
  #ceiling: number;

  /** Both in milliseconds. */
  constructor(initial: number, max: number) {
    this.#initial = Math.min(initial, max);
    this.#max = max;
    this.#ceiling = this.#initial;
  }

  /** The next pause in milliseconds: between half of the current ceiling and all of it. */
  next(): number {
    const ceiling = this.#ceiling;
    this.#ceiling = Math.min(ceiling * 2, this.#max);
    return ceiling * (0.5 + Math.random() / 2);
  }

  reset(): void {
    this.#ceiling = this.#initial;
  }
}
