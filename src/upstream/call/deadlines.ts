import { type Linked, Ring } from "../../net/ring.js";

/** Something that ends when its time is over. In the ring of `Deadlines` while its deadline is watched. */
export interface Expiring extends Linked {
  /** On the clock of `performance.now()`. */
  readonly deadline: number;
  /** Called once the deadline has passed, unless it was removed before. */
  expire(): void;
}

/** Milliseconds between two looks at the deadlines, and so how late one can be noticed. */
const periodMs = 50;

/**
 * Deadlines that are far away, nearly all of which are removed long before they pass: one timer looks at all of them,
 * since a timer for each costs more than the rest of its bookkeeping.
 */
export class Deadlines {
  readonly #ring = new Ring<Expiring>();
  #timer: NodeJS.Timeout | undefined;

  add(expiring: Expiring): void {
    this.#ring.add(expiring);
    this.#timer ??= setInterval(() => this.#look(), periodMs);
  }

  /** Does nothing where it is not watched. */
  remove(expiring: Expiring): void {
    this.#ring.remove(expiring);
  }

  #look(): void {
    const now = performance.now();
    for (const each of this.#ring.all()) {
      // One that expires may have ended another.
      if (each.deadline > now || each.later === undefined) continue;
      this.#ring.remove(each);
      each.expire();
    }
    // Only now, so that calls that come one by one do not start and stop it each time.
    if (this.#ring.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }
}
