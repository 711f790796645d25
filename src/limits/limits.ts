import { isDeepStrictEqual } from "node:util";
import type { Logger } from "../telemetry/logger.js";
import { type RateLimitConfig, storeServer } from "./config.js";
import type { Borrower } from "./lending/borrower.js";
import { Limit, type Pass } from "./limit.js";
import type { Admission, Limited, Limiter } from "./limiter.js";
import type { LimitsMetrics } from "./limits-metrics.js";
import { monotonicTicks } from "./rate.js";
import type { StoreBackend, StoreContext } from "./stores/store.js";
import { storeType } from "./stores/stores.js";

/** The limits of one configuration. */
export interface Limits {
  /** The limits of a route: all of `names`, each under `rate_limits`, must admit. */
  limiterOf(names: readonly string[]): Limiter;
  /**
   * The same in two parts, so that limits independent of the identity are checked before authentication: first
   * those, then the others; none for no names.
   */
  limitersOf(names: readonly string[]): readonly Limiter[];
  /** Releases resources shared by stores; those that newer limits use stay. */
  close(): void;
}

export interface LimitsContext {
  readonly metrics: LimitsMetrics;
  readonly log: Pick<Logger, "warn" | "info">;
  /** Limits that are defined in the same way go on with their counts. Not yet closed. */
  readonly previous?: Limits | undefined;
  /** Ticks of a monotonic clock; default the process's own. */
  readonly now?: () => number;
  /** Milliseconds that the server of a store may take; default 100. */
  readonly timeoutMs?: number;
  /** The source of tokens of limits in memory, in a worker. */
  readonly borrower?: Borrower | undefined;
}

export function createLimits(
  configs: Readonly<Record<string, RateLimitConfig>>,
  context: LimitsContext,
): Limits {
  return new CompiledLimits(configs, context);
}

class CompiledLimits implements Limits {
  readonly #limits = new Map<string, Limit>();
  /** By kind and server. */
  readonly #backends = new Map<string, StoreBackend>();

  constructor(
    configs: Readonly<Record<string, RateLimitConfig>>,
    { metrics, log, previous, now = monotonicTicks, timeoutMs, borrower }: LimitsContext,
  ) {
    const before = previous instanceof CompiledLimits ? previous : undefined;
    for (const [name, config] of Object.entries(configs)) {
      const backend = this.#backend(config, before, { log, now, timeoutMs, borrower });
      const kept = before === undefined ? undefined : before.#limits.get(name);
      const limit =
        kept !== undefined && kept.backend === backend && isDeepStrictEqual(kept.config, config)
          ? kept
          : new Limit({ name, config, counters: metrics.of(name), backend, now, borrower });
      this.#limits.set(name, limit);
    }
  }

  limiterOf(names: readonly string[]): Limiter {
    // Loading has checked the names.
    const limits = names.map(name => this.#limits.get(name) as Limit);
    return {
      needsSubject: limits.some(limit => limit.needsSubject),
      admit: (caller, subject) => admission(limits, caller, subject),
    };
  }

  limitersOf(names: readonly string[]): readonly Limiter[] {
    const needing = new Set(names.filter(name => this.#limits.get(name)?.needsSubject));
    return [names.filter(name => !needing.has(name)), [...needing]]
      .filter(part => part.length > 0)
      .map(part => this.limiterOf(part));
  }

  close(): void {
    for (const backend of this.#backends.values()) backend.release();
    this.#backends.clear();
  }

  #backend(config: RateLimitConfig, before: CompiledLimits | undefined, context: StoreContext): StoreBackend {
    const server = storeServer(config);
    const type = storeType(config.store);
    const id = `${config.store} ${server === undefined ? "" : type.server?.identity(server)}`;
    const known = this.#backends.get(id);
    if (known !== undefined) return known;
    const open = before === undefined ? undefined : before.#backends.get(id);
    const backend = open ?? type.open(server, context);
    backend.retain();
    this.#backends.set(id, backend);
    return backend;
  }
}

/** Checks limits in order; permits acquired before a refusal are released. */
function admission(
  limits: readonly Limit[],
  caller: Limited,
  subject: string | undefined,
  passes: Pass[] = [],
): Admission | Promise<Admission> {
  for (let index = passes.length; index < limits.length; index++) {
    let pass: Pass | Promise<Pass>;
    try {
      pass = (limits[index] as Limit).admit(caller, subject);
    } catch (error) {
      releaseAll(passes);
      throw error;
    }
    if (pass instanceof Promise) {
      return pass.then(
        known => {
          passes.push(known);
          return admission(limits, caller, subject, passes);
        },
        error => {
          releaseAll(passes);
          throw error;
        },
      );
    }
    passes.push(pass);
  }
  return admitted(passes);
}

function admitted(passes: readonly Pass[]): Admission {
  let policies = "";
  let states = "";
  let held = false;
  for (const { policy, state, release } of passes) {
    held ||= release !== undefined;
    if (policy === undefined || state === undefined) continue;
    policies = policies === "" ? policy : `${policies}, ${policy}`;
    states = states === "" ? state : `${states}, ${state}`;
  }
  return {
    headers:
      policies === ""
        ? noHeaders
        : [
            ["ratelimit-policy", policies],
            ["ratelimit", states],
          ],
    release: held ? () => releaseAll(passes) : undefined,
  };
}

const noHeaders: Admission["headers"] = [];

function releaseAll(passes: readonly Pass[]): void {
  for (const { release } of passes) release?.();
}
