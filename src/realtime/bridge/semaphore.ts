import type { Cancellation } from "../../net/cancellation.js";
import { Linked, Ring } from "../../net/ring.js";

/** Both from 0. */
export interface SemaphoreLimits {
  readonly concurrency: number;
  readonly queue: number;
}

/** Waits in the queue. */
class Waiting extends Linked {
  /** @param end takes it out of the queue, with a permit or without */
  constructor(readonly end: (admitted: boolean) => void) {
    super();
  }
}

/**
 * Bounds how many calls are under way at once. The rest wait in a bounded queue, oldest first: a backend that
 * hangs costs a fixed amount of memory, and no other upstream.
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

  /** Sets the limits of later acquires; permits and positions in the queue are kept. */
  resize(limits: SemaphoreLimits): void {
    this.#limits = limits;
    this.#admit();
  }

  /**
   * Acquires a permit, which `release` returns.
   * @param timeoutMs to wait for one
   * @param cancellation ends the waiting; it must have no other listener meanwhile
   * @returns true with a permit, false where the queue is full, or a promise of either; that one is
   * also false after the timeout
   */
  acquire(timeoutMs: number, cancellation?: Cancellation): boolean | Promise<boolean> {
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
      const timer = setTimeout(() => waiting.end(false), timeoutMs);
      this.#waiting.add(waiting);
      cancellation?.listen(() => waiting.end(false));
    });
  }

  /** Returns a permit, to the one that has waited longest. */
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
