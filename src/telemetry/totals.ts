import type { Registry } from "prom-client";
import type { Exemplar } from "./series.js";

/** A metric of one process at one moment, as prom-client returns it. */
export interface MetricState {
  readonly name: string;
  readonly help: string;
  readonly type: string;
  readonly aggregator?: string;
  readonly values: readonly MetricSample[];
}

interface MetricSample {
  readonly labels: Readonly<Record<string, string | number>>;
  readonly value: number;
  /** Where it differs from the metric's: `…_bucket`. */
  readonly metricName?: string;
  /** Of a bucket: an observation that it counts. Histograms of prom-client, and JSON, have null where there is none. */
  readonly exemplar?: Exemplar | null | undefined;
}

/**
 * How the values that several processes have of one series are combined. `first` is the primary's: counts that concern
 * all processes alike and are kept there.
 */
type Rule = "sum" | "max" | "min" | "average" | "first";

/** prom-client would average the lag, which the idle primary would make small. */
function ruleOf({ name, aggregator }: MetricState): Rule {
  if (name.startsWith("nodejs_eventloop_lag")) return name.endsWith("_min_seconds") ? "min" : "max";
  switch (aggregator) {
    case "max":
    case "min":
    case "average":
    case "first":
      return aggregator;
    case "omit":
      return "first";
    default:
      return "sum";
  }
}

interface Total {
  sample: MetricSample;
  value: number;
  count: number;
}

/** One state of the metrics of several processes. @param sources that of the primary first */
export function addUp(sources: readonly (readonly MetricState[])[]): MetricState[] {
  const metrics = new Map<string, { readonly state: MetricState; readonly totals: Map<string, Total> }>();
  for (const source of sources) {
    for (const state of source) {
      let metric = metrics.get(state.name);
      if (metric === undefined) {
        metric = { state, totals: new Map() };
        metrics.set(state.name, metric);
      }
      const rule = ruleOf(state);
      for (const sample of state.values) {
        if (Number.isNaN(sample.value)) continue;
        const key = `${sample.metricName ?? ""} ${JSON.stringify(sample.labels)}`;
        const total = metric.totals.get(key);
        if (total === undefined) metric.totals.set(key, { sample, value: sample.value, count: 1 });
        else add(rule, total, sample);
      }
    }
  }
  return [...metrics.values()].map(({ state, totals }) => ({
    ...state,
    values: [...totals.values()].map(({ sample, value, count }) => ({
      ...sample,
      value: ruleOf(state) === "average" ? value / count : value,
    })),
  }));
}

function add(rule: Rule, total: Total, { value, exemplar }: MetricSample): void {
  total.count++;
  if (exemplar && exemplar.timestamp > (total.sample.exemplar?.timestamp ?? 0))
    total.sample = { ...total.sample, exemplar };
  if (rule === "sum" || rule === "average") total.value += value;
  else if (rule === "max") total.value = Math.max(total.value, value);
  else if (rule === "min") total.value = Math.min(total.value, value);
}

/** The metrics of an ended process that are kept: all that only grow. */
export function cumulative(states: readonly MetricState[]): MetricState[] {
  return states.filter(state => state.type !== "gauge" && ruleOf(state) === "sum");
}

/** The metrics of a registry, for another process. */
export async function metricStates(registry: Registry): Promise<MetricState[]> {
  return (await registry.getMetricsAsJSON()) as unknown as MetricState[];
}
