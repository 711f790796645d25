import type { Registry } from "prom-client";
import { type CounterChild, CounterSeries } from "../telemetry/series.js";

/** The decisions of one limit. */
export interface LimitCounters {
  readonly admitted: CounterChild;
  readonly limited: CounterChild;
  readonly shadowLimited: CounterChild;
  /** Redis did not respond; counted beside one of the others. */
  readonly storeFailed: CounterChild;
}

/** The decisions of rate and concurrency limits. One instance outlives all generations. */
export class LimitsMetrics {
  readonly #decisions: CounterSeries;

  constructor(registry: Registry) {
    this.#decisions = new CounterSeries(
      registry,
      "protogate_rate_limit_decisions_total",
      "Decisions of rate and concurrency limits, by limit.",
      ["limit", "decision"],
    );
  }

  of(limit: string): LimitCounters {
    const child = (decision: string): CounterChild => this.#decisions.child(limit, decision);
    return {
      admitted: child("admitted"),
      limited: child("limited"),
      shadowLimited: child("shadow_limited"),
      storeFailed: child("store_failed"),
    };
  }
}
