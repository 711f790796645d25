import { codeLabel } from "./route-metrics.js";
import type { CounterChild, CounterSeries, HistogramChild, HistogramSeries } from "./series.js";

/** The series that every method of an upstream has children of. */
export interface UpstreamSeries {
  readonly started: CounterSeries;
  readonly handled: CounterSeries;
  readonly handling: HistogramSeries;
  readonly retries: CounterSeries;
  readonly transparentRetries: CounterSeries;
}

/** The metrics of one RPC method on one upstream. */
export class UpstreamMetrics {
  readonly #series: UpstreamSeries;
  readonly #labels: readonly [upstream: string, protocol: string, service: string, method: string];
  readonly #handled = new Map<number, CounterChild>();
  readonly #business = new Map<string, CounterChild>();
  readonly #retries = new Map<number, CounterChild>();
  #started: CounterChild | undefined;
  #handling: HistogramChild | undefined;

  /**
   * @param protocol as the configuration names it
   * @param path `/package.Service/Method`
   */
  constructor(series: UpstreamSeries, upstream: string, protocol: string, path: string) {
    const slash = path.lastIndexOf("/");
    this.#series = series;
    this.#labels = [upstream, protocol, path.slice(1, slash), path.slice(slash + 1)];
  }

  /** Counts a call that begins; its retries are not counted here. */
  started(): void {
    this.#started ??= this.#series.started.child(...this.#labels);
    this.#started.inc();
  }

  /**
   * Counts a call that is over, retries and the waits between them included.
   * @param label of a code that is none of gRPC's, out of the configuration
   * @param traceId where the trace is recorded
   */
  handled(grpcCode: number, seconds: number, label?: string, traceId?: string): void {
    if (label === undefined) this.#count(this.#handled, this.#series.handled, grpcCode);
    else this.#countBusiness(label);
    this.#handling ??= this.#series.handling.child(...this.#labels);
    this.#handling.observe(seconds, traceId);
  }

  /** Counts one attempt that is sent again because it ended with `grpcCode`. */
  retried(grpcCode: number): void {
    this.#count(this.#retries, this.#series.retries, grpcCode);
  }

  /** Counts one attempt that is sent again because the backend certainly did not process it. */
  resent(why: "unsent" | "refused" | "goaway"): void {
    this.#series.transparentRetries.child(...this.#labels, why).inc();
  }

  #countBusiness(label: string): void {
    let child = this.#business.get(label);
    if (child === undefined) {
      child = this.#series.handled.child(...this.#labels, label);
      this.#business.set(label, child);
    }
    child.inc();
  }

  #count(children: Map<number, CounterChild>, series: CounterSeries, grpcCode: number): void {
    let child = children.get(grpcCode);
    if (child === undefined) {
      child = series.child(...this.#labels, codeLabel(grpcCode));
      if (children.size < maxCodes) children.set(grpcCode, child);
    }
    child.inc();
  }
}

/** Codes whose child is remembered; a backend may send any number, and all above 16 share one child anyway. */
const maxCodes = 64;
