import { isDeepStrictEqual } from "node:util";
import type { Logger } from "../telemetry/logger.js";
import type { RateLimitConfig } from "./config.js";
import { Limit, type Pass } from "./limit.js";
import type { Admission, Limited, Limiter } from "./limiter.js";
import type { LimitsMetrics } from "./limits-metrics.js";
import { monotonicTicks } from "./rate.js";
import { connectRedis, type RedisConnection } from "./redis-store.js";

/** The limits of one configuration. */
export interface Limits {
  /** The limits of a route: all of `names`, each under `rate_limits`, must admit. */
  limiterOf(names: readonly string[]): Limiter;
  /**
   * The same in two parts, so that what does not need to know the caller is decided before it is known: first the
   * limits that do not, then those that do; none for no names.
   */
  limitersOf(names: readonly string[]): readonly Limiter[];
  /** Releases connections; those that newer limits have taken over stay. */
  close(): void;
}

export interface LimitsContext {
  readonly metrics: LimitsMetrics;
  readonly log: Pick<Logger, "warn" | "info">;
  /** Limits that are defined in the same way go on with their counts. Not yet closed. */
  readonly previous?: Limits | undefined;
  /** Ticks of a monotonic clock; default the process's own. */
  readonly now?: () => number;
  /** Milliseconds that Redis may take; default 100. */
  readonly timeoutMs?: number;
}

export function createLimits(
  configs: Readonly<Record<string, RateLimitConfig>>,
  context: LimitsContext,
): Limits {
  return new CompiledLimits(configs, context);
}

class CompiledLimits implements Limits {
  readonly #limits = new Map<string, Limit>();
  readonly #connections = new Map<string, RedisConnection>();

  constructor(
    configs: Readonly<Record<string, RateLimitConfig>>,
    { metrics, log, previous, now = monotonicTicks, timeoutMs }: LimitsContext,
  ) {
    const before = previous instanceof CompiledLimits ? previous : undefined;
    const connect = (url: string): RedisConnection => connectRedis(url, log, timeoutMs);
    for (const [name, config] of Object.entries(configs)) {
      const redis = config.redis === undefined ? undefined : this.#connection(config.redis, before, connect);
      const kept = before === undefined ? undefined : before.#limits.get(name);
      const limit =
        kept !== undefined && kept.redis === redis && isDeepStrictEqual(kept.config, config)
          ? kept
          : new Limit({ name, config, counters: metrics.of(name), redis, now });
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
    for (const connection of this.#connections.values()) connection.release();
    this.#connections.clear();
  }

  #connection(
    url: string,
    before: CompiledLimits | undefined,
    connect: (url: string) => RedisConnection,
  ): RedisConnection {
    const known = this.#connections.get(url);
    if (known !== undefined) return known;
    const open = before === undefined ? undefined : before.#connections.get(url);
    const connection = open ?? connect(url);
    connection.retain();
    this.#connections.set(url, connection);
    return connection;
  }
}

/** Asks limits in order; what those before a refusal hold is released. */
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
