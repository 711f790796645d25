import type { MetricState } from "../telemetry/totals.js";

export type Sample = MetricState["values"][number];

/** A histogram of seconds: `buckets` are cumulative, one for each bound. */
export interface Latency {
  buckets: number[];
  sum: number;
  count: number;
}

/** Finds samples of metrics by name. */
export class MetricSamples {
  readonly #byName: ReadonlyMap<string, readonly Sample[]>;

  constructor(states: readonly MetricState[]) {
    this.#byName = new Map(states.map(({ name, values }) => [name, values]));
  }

  of(name: string): readonly Sample[] {
    return this.#byName.get(name) ?? [];
  }

  /** Of a metric without labels; 0 where there is none. */
  value(name: string): number {
    return this.of(name)[0]?.value ?? 0;
  }

  /** The bounds of a histogram, without infinity; none where nothing was observed. */
  bounds(name: string): number[] {
    const bounds = this.of(name).map(({ labels }) => Number(labels.le));
    return [...new Set(bounds)].filter(Number.isFinite).sort((a, b) => a - b);
  }

  /** Adds the children of a histogram up by a key of their labels. @returns finds that of a key */
  latencies(name: string, keyOf: (labels: Sample["labels"]) => string): (key: string) => Latency {
    const index = new Map(this.bounds(name).map((bound, at) => [bound, at]));
    const byKey = new Map<string, Latency>();
    const of = (key: string): Latency => {
      let latency = byKey.get(key);
      if (latency === undefined) {
        latency = { buckets: Array.from(index, () => 0), sum: 0, count: 0 };
        byKey.set(key, latency);
      }
      return latency;
    };
    for (const { metricName, labels, value } of this.of(name)) {
      const latency = of(keyOf(labels));
      if (metricName === `${name}_sum`) latency.sum += value;
      else if (metricName === `${name}_count`) latency.count += value;
      else {
        const at = index.get(Number(labels.le));
        if (at !== undefined) latency.buckets[at]! += value;
      }
    }
    return of;
  }
}
