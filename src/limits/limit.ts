import { gatewayError } from "../status/failure.js";
import { callerKey, type LimitKey, limitKey } from "./caller-key.js";
import type { RateLimitConfig } from "./config.js";
import type { Limited } from "./limiter.js";
import type { LimitCounters } from "./limits-metrics.js";
import { type Decision, policyItem, type Rate, rateOf, refusalOf, remaining, seconds } from "./rate.js";
import { createMemoryStore, type MemoryStore } from "./stores/memory.js";
import type { Store, StoreBackend } from "./stores/store.js";
import { storeType } from "./stores/stores.js";

/** What one limit says of a request that it lets through. */
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
  /** What its store is opened on. */
  readonly backend: StoreBackend;
  /** Ticks of a monotonic clock. */
  now(): number;
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
  /** Counts while the server of the store does not answer. */
  readonly #local: MemoryStore | undefined;
  readonly #concurrency: ConcurrencyLimiter | undefined;
  readonly #enforced: boolean;
  readonly #policy: string;

  constructor({ name, config, counters, backend, now }: LimitParts) {
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
    this.#local = rate !== undefined && local ? createMemoryStore(rate, now) : undefined;
    this.#concurrency = concurrency === undefined ? undefined : createConcurrencyLimiter(concurrency);
    this.#enforced = config.mode === "enforce";
    this.#policy = rate === undefined ? "" : policyItem(name, rate);
  }

  /** @throws GatewayError (or rejects with it) RATE_LIMITED, TOO_MANY_CONCURRENT, RATE_LIMIT_UNAVAILABLE */
  admit(caller: Limited, subject: string | undefined): Pass | Promise<Pass> {
    const key = this.#key(caller, subject);
    const release = this.#concurrency?.acquire(key);
    if (this.#concurrency !== undefined && release === undefined) return this.#full();
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

  #withoutStore(key: string, release: (() => void) | undefined): Pass {
    this.#counters.storeFailed.inc();
    if (this.#local !== undefined) return this.#settle(this.#local.take(key), release);
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
    headers: readonly (readonly [string, string])[],
  ): Pass {
    if (!this.#enforced) {
      this.#counters.shadowLimited.inc();
      return { policy: undefined, state: undefined, release: undefined };
    }
    this.#counters.limited.inc();
    throw gatewayError(reason, message, [], { retryAfter, headers });
  }
}

/** Counts the requests under way by key. */
interface ConcurrencyLimiter {
  /** Acquires a permit and returns what releases it, once; undefined where all permits of the key are held. */
  acquire(key: string): (() => void) | undefined;
}

/** @param maxPermits of one key. Keys without a request are not kept. */
function createConcurrencyLimiter(maxPermits: number): ConcurrencyLimiter {
  const held = new Map<string, number>();
  return {
    acquire(key) {
      const count = held.get(key) ?? 0;
      if (count >= maxPermits) return undefined;
      held.set(key, count + 1);
      let released = false;
      return () => {
        if (released) return;
        released = true;
        const left = (held.get(key) as number) - 1;
        if (left === 0) held.delete(key);
        else held.set(key, left);
      };
    },
  };
}
