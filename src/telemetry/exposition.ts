import { type Metric, Registry } from "prom-client";
import type { MetricState } from "./totals.js";

/** The text formats of Prometheus, 0.0.4, and of OpenMetrics, 1.0.0, which alone has exemplars. */
export type MetricsFormat = "prometheus" | "openmetrics";

const openMetricsType = "application/openmetrics-text";

export function metricsContentType(format: MetricsFormat): string {
  return format === "openmetrics" ? Registry.OPENMETRICS_CONTENT_TYPE : Registry.PROMETHEUS_CONTENT_TYPE;
}

/** The format that an Accept header prefers; Prometheus's own where it does not prefer the other. */
export function metricsFormat(accept = ""): MetricsFormat {
  const accepted = new Map<string, number>();
  for (const range of accept.split(",")) {
    const [type = "", ...parameters] = range.split(";").map(part => part.trim().toLowerCase());
    const version = parameters.find(each => each.startsWith("version="))?.slice("version=".length);
    if (type === openMetricsType && version !== undefined && version !== "1.0.0") continue;
    const quality = Number(parameters.find(each => each.startsWith("q="))?.slice(2) ?? 1);
    accepted.set(type, Math.max(accepted.get(type) ?? 0, Number.isFinite(quality) ? quality : 0));
  }
  const open = accepted.get(openMetricsType) ?? 0;
  return open > 0 && open >= (accepted.get("text/plain") ?? 0) ? "openmetrics" : "prometheus";
}

/** Prints metrics, those of one process or those of several that were added up. */
export function metricText(states: readonly MetricState[], format: MetricsFormat): Promise<string> {
  const registry = new Registry();
  if (format === "openmetrics") registry.setContentType(Registry.OPENMETRICS_CONTENT_TYPE as never);
  for (const known of states) {
    const state = format === "openmetrics" ? openMetricsState(known) : known;
    registry.registerMetric({
      name: state.name,
      type: state.type,
      get: async () => state,
    } as unknown as Metric);
  }
  return registry.metrics();
}

/** The name of a counter is without `_total`, which prom-client adds to its samples. */
function openMetricsState(state: MetricState): MetricState {
  if (state.type !== "counter") return state;
  const values = state.values.map(({ metricName: _, ...sample }) => sample);
  return { ...state, name: state.name.replace(/_total$/, ""), values };
}
