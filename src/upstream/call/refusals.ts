import { Backoff } from "../backoff.js";

/** The limits of retries after one kind of refusal: the first is at once, the others after growing pauses. */
interface RefusalLimits {
  readonly count: number;
  /** From the first refusal on. */
  readonly milliseconds: number;
  readonly pauseMs: number;
  readonly maxPauseMs: number;
}

const limits = {
  /** The server takes the connection but not the call: it has too much to do. */
  refused: { count: 8, milliseconds: Number.POSITIVE_INFINITY, pauseMs: 50, maxPauseMs: 1000 },
  /** The connection goes away, which does not concern the next one. Pauses and time bound the cost of a call. */
  goaway: { count: Number.POSITIVE_INFINITY, milliseconds: 30_000, pauseMs: 5, maxPauseMs: 500 },
} satisfies Record<string, RefusalLimits>;

/** How a peer signals that it did not process a call; see `AttemptProgress`. */
export type RefusalKind = keyof typeof limits;

/** The refusals of one kind that a call has met. */
export class Refusals {
  readonly #limits: RefusalLimits;
  readonly #now: () => number;
  readonly #since: number;
  readonly #backoff: Backoff;
  #count = 0;

  /** `now`: a clock in milliseconds. */
  constructor(kind: RefusalKind, now: () => number = () => performance.now()) {
    this.#limits = limits[kind];
    this.#now = now;
    this.#since = now();
    this.#backoff = new Backoff(this.#limits.pauseMs, this.#limits.maxPauseMs);
  }

  /** Counts one. Returns the milliseconds until the call is sent again; undefined: it is not any more. */
  next(): number | undefined {
    const { count, milliseconds } = this.#limits;
    if (++this.#count > count) return undefined;
    const pause = this.#count === 1 ? 0 : this.#backoff.next();
    return this.#now() + pause - this.#since > milliseconds ? undefined : pause;
  }
}
