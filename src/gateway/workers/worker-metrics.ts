import { Counter, Gauge } from "prom-client";
import { type MetricsFormat, metricText } from "../../telemetry/exposition.js";
import type { Metrics } from "../../telemetry/metrics.js";
import { addUp, cumulative, type MetricState, metricStates } from "../../telemetry/totals.js";
import type { WorkerPool, WorkerProcess } from "../../workers/pool.js";
import { fetchMetrics, reportMetrics } from "./messages.js";

/** Milliseconds that a worker has at a scrape; after that its last report is used. */
const scrapeMs = 2000;

/** The metrics of all processes, as one. */
export class WorkerMetrics {
  readonly #metrics: Metrics;
  readonly #pool: WorkerPool;
  readonly #restarts: Counter;
  /** The last reports of workers. */
  readonly #reports = new Map<WorkerProcess, readonly MetricState[]>();
  /** The counts of workers that have ended. */
  #past: readonly MetricState[] = [];

  constructor(metrics: Metrics, pool: WorkerPool) {
    this.#metrics = metrics;
    this.#pool = pool;
    this.#restarts = poolMetrics(metrics, () => pool.serving.length);
    pool.onForked(worker => {
      worker.channel.onMessage(reportMetrics, states => void this.#reports.set(worker, states));
    });
    pool.onLeft(worker => {
      this.#past = addUp([this.#past, cumulative(this.#reports.get(worker) ?? [])]);
      this.#reports.delete(worker);
    });
  }

  restarted(): void {
    this.#restarts.inc();
  }

  async text(format: MetricsFormat): Promise<string> {
    return metricText(await this.states(), format);
  }

  /** Of all processes, added up. */
  async states(): Promise<MetricState[]> {
    const responses = await this.#pool.requestAll(fetchMetrics, null, scrapeMs);
    const serving = new Set(this.#pool.serving);
    for (const { worker, response } of responses) {
      // One that has ended meanwhile is in the past already.
      if (response !== undefined && serving.has(worker)) this.#reports.set(worker, response);
    }
    const own = await metricStates(this.#metrics.registry);
    return addUp([own, ...this.#reports.values(), this.#past]);
  }
}

/**
 * The metrics of the primary itself.
 * @param serving how many workers there are
 * @returns the counter of those that were started again
 */
export function poolMetrics({ registry }: Metrics, serving: () => number): Counter {
  const registers = [registry];
  new Gauge({
    name: "protogate_workers",
    help: "Worker processes that serve.",
    registers,
    collect() {
      this.set(serving());
    },
  });
  return new Counter({
    name: "protogate_worker_restarts_total",
    help: "Workers that ended unexpectedly, or could not start, and were started again.",
    registers,
  });
}
