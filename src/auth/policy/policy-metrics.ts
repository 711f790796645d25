import type { Registry } from "prom-client";
import { type CounterChild, CounterSeries } from "../../telemetry/series.js";

/** The decisions of one policy. */
export interface PolicyCounters {
  readonly allowed: CounterChild;
  readonly denied: CounterChild;
}

/** What policies decide. One instance outlives all snapshots. */
export class PolicyMetrics {
  readonly #decisions: CounterSeries;

  constructor(registry: Registry) {
    this.#decisions = new CounterSeries(
      registry,
      "protogate_policy_decisions_total",
      "Decisions of authorization policies, by the policy's name or index and the result.",
      ["policy", "result"],
    );
  }

  of(policy: string): PolicyCounters {
    return {
      allowed: this.#decisions.child(policy, "allowed"),
      denied: this.#decisions.child(policy, "denied"),
    };
  }
}
