import type { HeaderList } from "../net/headers.js";
import { gatewayError } from "../status/failure.js";
import { callerKey, type LimitKey, limitKey } from "./caller-key.js";
import { type ConcurrencyLimiter, createConcurrencyLimiter } from "./concurrency.js";
import type { RateLimitConfig } from "./config.js";
import type { Borrower } from "./lending/borrower.js";
import type { Limited } from "./limiter.js";
import type { LimitCounters } from "./limits-metrics.js";
import { type Decision, policyItem, type Rate, rateOf, refusalOf, remaining, seconds } from "./rate.js";
import { createMemoryStore } from "./stores/memory.js";
import type { Store, StoreBackend } from "./stores/store.js";
import { storeType } from "./stores/stores.js";

/** The result of one limit for a request that it admits. */
export interface Pass {
  /** Items of the RateLimit-Policy and RateLimit fields; undefined where the limit has no rate or is in the shadow. */
  readonly policy: string | undefined;
  readonly state: string | undefined;
  readonly release: (() => void) | undefined;
}

export interface LimitParts {
  readonly name: string;
  readonly config: RateLimitConfig;
  readonly counters: LimitCounters;
  /** The backend that its store uses. */
  readonly backend: StoreBackend;
  /** Ticks of a monotonic clock. */
  now(): number;
  /** The source of tokens of limits in memory, in a worker. */
  readonly borrower: Borrower | undefined;
}

/** One item of `rate_limits` with its counts; it outlives reloads that leave it as it is. */
export class Limit {
  readonly name: string;
  readonly config: RateLimitConfig;
  readonly backend: StoreBackend;
  readonly needsSubject: boolean;
  readonly #key: ReturnType<typeof callerKey>;
  readonly #counters: LimitCounters;
  readonly #rate: Rate | undefined;
  readonly #store: Store | undefined;
  /** Counts while the server of the store does not respond. */
  readonly #local: Store | undefined;
  readonly #concurrency: ConcurrencyLimiter | undefined;
  readonly #enforced: boolean;
  readonly #policy: string;

  constructor({ name, config, counters, backend, now, borrower }: LimitParts) {
    const { requests, per, burst, concurrency } = config;
    // Loading has checked the key.
    const key = limitKey(config.key) as LimitKey;
    const rate = requests === undefined ? undefined : rateOf(requests, per, burst ?? requests);
    const local = storeType(config.store).server !== undefined && config.on_store_failure === "local";
    this.name = name;
    this.config = config;
    this.backend = backend;
    this.needsSubject = key.kind === "subject";
    this.#key = callerKey(key);
    this.#counters = counters;
    this.#rate = rate;
    this.#store = rate === undefined ? undefined : backend.store(name, rate);
    this.#local =
      rate !== undefined && local ? (borrower?.store(name, rate) ?? createMemoryStore(rate, now)) : undefined;
    this.#concurrency =
      concurrency === undefined
        ? undefined
        : (borrower?.permits(`${name} ${concurrency}`, concurrency) ?? createConcurrencyLimiter(concurrency));
    this.#enforced = config.mode === "enforce";
    this.#policy = rate === undefined ? "" : policyItem(name, rate);
  }

  /** @throws GatewayError (or rejects with it) RATE_LIMITED, TOO_MANY_CONCURRENT, RATE_LIMIT_UNAVAILABLE */
  admit(caller: Limited, subject: string | undefined): Pass | Promise<Pass> {
    const key = this.#key(caller, subject);
    if (this.#concurrency === undefined) return this.#admit(key, undefined);
    const release = this.#concurrency.acquire(key);
    if (release instanceof Promise)
      return release.then(
        permit => (permit === undefined ? this.#full() : this.#admit(key, permit)),
        () => this.#withoutStore(key, undefined),
      );
    return release === undefined ? this.#full() : this.#admit(key, release);
  }

  #admit(key: string, release: (() => void) | undefined): Pass | Promise<Pass> {
    const decision = this.#store?.take(key);
    if (decision === undefined) return this.#pass(release);
    if (!(decision instanceof Promise)) return this.#settle(decision, release);
    return decision.then(
      known => this.#settle(known, release),
      () => this.#withoutStore(key, release),
    );
  }

  #settle(decision: Decision, release: (() => void) | undefined): Pass {
    if (decision.admitted) return this.#pass(release, decision.debt);
    release?.();
    const { retryAfter, headers } = refusalOf(this.name, this.#rate as Rate, decision.debt);
    const message = `too many requests; the next may come in ${retryAfter} s`;
    return this.#refuse("RATE_LIMITED", message, retryAfter, headers);
  }

  #full(): Pass {
    return this.#refuse("TOO_MANY_CONCURRENT", "too many requests are under way; wait for one to end", 1, []);
  }

  #withoutStore(key: string, release: (() => void) | undefined): Pass | Promise<Pass> {
    this.#counters.storeFailed.inc();
    if (this.#local !== undefined) {
      const decision = this.#local.take(key);
      if (!(decision instanceof Promise)) return this.#settle(decision, release);
      return decision.then(known => this.#settle(known, release));
    }
    if (this.config.on_store_failure === "allow") return this.#pass(release);
    release?.();
    return this.#refuse("RATE_LIMIT_UNAVAILABLE", "requests cannot be counted at present", 1, []);
  }

  #pass(release: (() => void) | undefined, debt?: number): Pass {
    this.#counters.admitted.inc();
    const rate = this.#rate;
    if (rate === undefined || debt === undefined || !this.#enforced) {
      return { policy: undefined, state: undefined, release };
    }
    const state = `"${this.name}";r=${remaining(rate, debt)};t=${seconds(debt)}`;
    return { policy: this.#policy, state, release };
  }

  #refuse(
    reason: "RATE_LIMITED" | "TOO_MANY_CONCURRENT" | "RATE_LIMIT_UNAVAILABLE",
    message: string,
    retryAfter: number,
    headers: HeaderList,
  ): Pass {
    if (!this.#enforced) {
      this.#counters.shadowLimited.inc();
      return { policy: undefined, state: undefined, release: undefined };
    }
    this.#counters.limited.inc();
    throw gatewayError(reason, message, [], { retryAfter, headers });
  }
}
