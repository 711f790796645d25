import type { Cancellation } from "../../upstream/channel.js";

/** Takes whoever waits out of the line, with a place or without. */
type Waiting = (admitted: boolean) => void;

/**
 * Bounds how many calls are under way at once. The rest wait in line, oldest first, and of those there is a bound too:
 * a backend that hangs costs a fixed amount of memory and no other upstream.
 */
export class Gate {
  readonly #concurrency: number;
  readonly #queue: number;
  readonly #waiting = new Set<Waiting>();
  #running = 0;

  /** Both from 1. */
  constructor(limits: { readonly concurrency: number; readonly queue: number }) {
    this.#concurrency = limits.concurrency;
    this.#queue = limits.queue;
  }

  get running(): number {
    return this.#running;
  }

  get waiting(): number {
    return this.#waiting.size;
  }

  /**
   * Asks for a place, which `leave` gives back.
   * @param patience milliseconds to wait for one
   * @param cancellation ends the waiting; nobody else may listen to it meanwhile
   * @returns true with a place, false where the line is full, or the promise of either once it is known; that one is
   * also false where the patience is over
   */
  enter(patience: number, cancellation?: Cancellation): boolean | Promise<boolean> {
    if (this.#running < this.#concurrency) {
      this.#running++;
      return true;
    }
    if (this.#waiting.size >= this.#queue) return false;
    return new Promise(resolve => {
      const answer: Waiting = admitted => {
        this.#waiting.delete(answer);
        clearTimeout(timer);
        cancellation?.listen(undefined);
        resolve(admitted);
      };
      const timer = setTimeout(() => answer(false), patience);
      this.#waiting.add(answer);
      cancellation?.listen(() => answer(false));
    });
  }

  /** Gives a place back, to the one that has waited longest. */
  leave(): void {
    const [next] = this.#waiting;
    if (next === undefined) this.#running--;
    else next(true);
  }
}
