/** Something that ends when its time is over. */
export interface Expiring {
  /** On the clock of `performance.now()`. */
  readonly deadline: number;
  /** Its neighbours while its deadline is watched; undefined otherwise. For `Deadlines` alone. */
  earlier: Expiring | undefined;
  later: Expiring | undefined;
  /** Called once the deadline has passed, unless it was removed before. */
  expire(): void;
}

/** Milliseconds between two looks at the deadlines, and so how late one can be noticed. */
const period = 50;

/**
 * Deadlines that are far away, nearly all of which are removed long before they pass: one timer looks at all of them,
 * since a timer for each costs more than the rest of its bookkeeping. They are linked to a ring, as what is removed
 * must not be held by tables that were outgrown: those would keep the collector of the young generation busy.
 */
export class Deadlines {
  readonly #ring: Expiring = {
    deadline: Number.POSITIVE_INFINITY,
    earlier: undefined,
    later: undefined,
    expire: () => undefined,
  };
  #timer: NodeJS.Timeout | undefined;

  constructor() {
    this.#ring.earlier = this.#ring;
    this.#ring.later = this.#ring;
  }

  add(expiring: Expiring): void {
    const ring = this.#ring;
    const last = ring.earlier as Expiring;
    expiring.earlier = last;
    expiring.later = ring;
    last.later = expiring;
    ring.earlier = expiring;
    this.#timer ??= setInterval(() => this.#look(), period);
  }

  /** Does nothing where it is not watched. */
  remove(expiring: Expiring): void {
    const { earlier, later } = expiring;
    if (earlier === undefined || later === undefined) return;
    earlier.later = later;
    later.earlier = earlier;
    expiring.earlier = undefined;
    expiring.later = undefined;
  }

  #look(): void {
    const now = performance.now();
    const ring = this.#ring;
    const passed: Expiring[] = [];
    for (let each = ring.later as Expiring; each !== ring; each = each.later as Expiring)
      if (each.deadline <= now) passed.push(each);
    for (const each of passed) {
      // One that expires may have ended another.
      if (each.later === undefined) continue;
      this.remove(each);
      each.expire();
    }
    // Only now, so that calls that come one by one do not start and stop it each time.
    if (ring.later !== ring) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }
}
