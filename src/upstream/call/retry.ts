import { Backoff } from "../backoff.js";
import { type CallStatus, type FailureOrigin, fromBackend, type Metadata, metadataText } from "../channel.js";

import type { RetryOptions } from "../options.js";

/** Origins of failures that another attempt may not meet. */
const ofTransport: ReadonlySet<FailureOrigin> = new Set(["connect", "refused", "lost", "protocol", "http"]);

/** When and how soon a call is sent again (gRFC A6, with a budget in place of its token bucket). */
export class RetryPolicy {
  readonly #attempts: number;
  readonly #codes: ReadonlySet<number>;
  readonly #backoff: number;
  readonly #maxBackoff: number;
  readonly budget: RetryBudget;

  constructor({ attempts, on, backoff, maxBackoff, budget }: RetryOptions) {
    this.#attempts = attempts;
    this.#codes = new Set(on);
    this.#backoff = backoff;
    this.#maxBackoff = maxBackoff;
    this.budget = new RetryBudget(budget);
  }

  /** The pauses of one call. */
  backoff(): Backoff {
    return new Backoff(this.#backoff, this.#maxBackoff);
  }

  /**
   * True where an attempt with that outcome may be followed by another, the budget aside.
   * `attempt` counts from 1. Calls that our own side ended (deadline, caller, size) are never retried.
   */
  allows(attempt: number, { code, origin }: CallStatus): boolean {
    if (attempt >= this.#attempts || !this.#codes.has(code)) return false;
    // The code of a business is none of gRPC's, which `on` lists.
    if (origin === "business") return false;
    return (origin !== undefined && ofTransport.has(origin)) || fromBackend(origin);
  }
}

/** Milliseconds over which past calls lose weight exponentially: after one window they count 37 %. */
const windowMs = 10_000;
/** Retries that a window always has, so that a quiet upstream gets any. */
const minRetries = 3;

/** Keeps retries to a share of the calls, so that an upstream in trouble is not given more to do. */
export class RetryBudget {
  readonly #ratio: number;
  readonly #now: () => number;
  #calls = 0;
  #retries = 0;
  #updated: number;

  /** `ratio`: retries for each call, 0..1; 0 forbids all. `now`: a clock in milliseconds. */
  constructor(ratio: number, now: () => number = () => performance.now()) {
    this.#ratio = ratio;
    this.#now = now;
    this.#updated = now();
  }

  /** Counts a call. */
  countCall(): void {
    this.#decay();
    this.#calls++;
  }

  /** Takes one retry from the budget; false where nothing is left. */
  takeRetry(): boolean {
    this.#decay();
    if (this.#ratio === 0 || this.#retries + 1 > Math.max(minRetries, this.#ratio * this.#calls))
      return false;
    this.#retries++;
    return true;
  }

  #decay(): void {
    const now = this.#now();
    // Exponentials of tiny steps cost more than they change.
    if (now - this.#updated < 100) return;
    const factor = Math.exp((this.#updated - now) / windowMs);
    this.#calls *= factor;
    this.#retries *= factor;
    this.#updated = now;
  }
}

/**
 * The value of `grpc-retry-pushback-ms` of the upstream (gRFC A6): milliseconds to wait, or `"never"`, also for an
 * invalid value. Undefined where there is none.
 */
export function pushback(trailers: Metadata): number | "never" | undefined {
  const text = metadataText(trailers, "grpc-retry-pushback-ms");
  if (text === undefined) return undefined;
  return /^\d{1,9}$/.test(text) ? Number(text) : "never";
}
