import type { Cancellation } from "../../net/cancellation.js";
import { Linked, Ring } from "../../net/ring.js";

/** Both from 0. */
export interface SemaphoreLimits {
  readonly concurrency: number;
  readonly queue: number;
}

/** One that waits in line. */
class Waiting extends Linked {
  /** @param end takes it out of the line, with a place or without */
  constructor(readonly end: (admitted: boolean) => void) {
    super();
  }
}

/**
 * Bounds how many calls are under way at once. The rest wait in line, oldest first, and of those there is a bound too:
 * a backend that hangs costs a fixed amount of memory and no other upstream.
 */
export class Semaphore {
  readonly #waiting = new Ring<Waiting>();
  #limits: SemaphoreLimits;
  #running = 0;

  constructor(limits: SemaphoreLimits) {
    this.#limits = limits;
  }

  get running(): number {
    return this.#running;
  }

  get waiting(): number {
    return this.#waiting.size;
  }

  /** Bounds what comes from now on; whoever has a place, or waits for one, keeps it. */
  resize(limits: SemaphoreLimits): void {
    this.#limits = limits;
    this.#admit();
  }

  /**
   * Asks for a place, which `leave` gives back.
   * @param patience milliseconds to wait for one
   * @param cancellation ends the waiting; nobody else may listen to it meanwhile
   * @returns true with a place, false where the line is full, or the promise of either once it is known; that one is
   * also false where the patience is over
   */
  acquire(patience: number, cancellation?: Cancellation): boolean | Promise<boolean> {
    if (this.#running < this.#limits.concurrency) {
      this.#running++;
      return true;
    }
    if (this.#waiting.size >= this.#limits.queue) return false;
    return new Promise(resolve => {
      const waiting = new Waiting(admitted => {
        this.#waiting.remove(waiting);
        clearTimeout(timer);
        cancellation?.listen(undefined);
        resolve(admitted);
      });
      const timer = setTimeout(() => waiting.end(false), patience);
      this.#waiting.add(waiting);
      cancellation?.listen(() => waiting.end(false));
    });
  }

  /** Gives a place back, to the one that has waited longest. */
  release(): void {
    this.#running--;
    this.#admit();
  }

  #admit(): void {
    while (this.#running < this.#limits.concurrency) {
      const next = this.#waiting.first;
      if (next === undefined) return;
      this.#running++;
      next.end(true);
    }
  }
}
