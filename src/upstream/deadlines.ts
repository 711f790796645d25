/** Something that ends when its time is over. */
export interface Expiring {
  /** On the clock of `performance.now()`. */
  readonly deadline: number;
  /** Called once the deadline has passed, unless it was removed before. */
  expire(): void;
}

/** Milliseconds between two looks at the deadlines, and so how late one can be noticed. */
const period = 50;

/**
 * Deadlines that are far away, nearly all of which are removed long before they pass: one timer looks at all of them,
 * since a timer of its own costs a call more than all the rest of its bookkeeping.
 */
export class Deadlines {
  readonly #all = new Set<Expiring>();
  #timer: NodeJS.Timeout | undefined;

  add(expiring: Expiring): void {
    this.#all.add(expiring);
    this.#timer ??= setInterval(() => this.#look(), period);
  }

  remove(expiring: Expiring): void {
    this.#all.delete(expiring);
  }

  #look(): void {
    const now = performance.now();
    for (const expiring of this.#all) {
      if (expiring.deadline > now) continue;
      this.#all.delete(expiring);
      expiring.expire();
    }
    // Only now, so that calls that come one by one do not start and stop it each time.
    if (this.#all.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }
}
