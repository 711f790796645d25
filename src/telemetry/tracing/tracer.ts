import { performance } from "node:perf_hooks";
import { randomHex } from "../ids.js";
import { boundTracestate, parseTraceparent } from "../traceparent.js";
import type { SpanExporter } from "./exporter.js";
import { Span, SpanKind } from "./span.js";

/** Where the headers of a trace are. */
export interface TraceSource {
  /** @param name in lower case */
  header(name: string): string | undefined;
}

export interface Sampling {
  /** The share of traces that begin here and are recorded. */
  readonly sample: number;
  /** Whether a caller's decision to record its trace counts; else it is sampled as others are. */
  readonly parents: "follow" | "sample";
  /** Most traces in a second that are recorded because their callers have sampled them. */
  readonly max_parents: number;
}

/** Decides which traces are recorded, and begins their spans. */
export class Tracer {
  readonly #sink: SpanExporter;
  readonly #sampling: Sampling;
  readonly #now: () => number;
  /** How many more traces may be recorded by decision of callers, and since when. */
  #permits: number;
  #filledAt: number;

  /** @param now in milliseconds; for tests */
  constructor(sink: SpanExporter, sampling: Sampling, now = () => performance.now()) {
    this.#sink = sink;
    this.#sampling = sampling;
    this.#now = now;
    this.#permits = sampling.max_parents;
    this.#filledAt = now();
  }

  /** The span of a request; undefined where its trace is not recorded. */
  server(source: TraceSource): Span | undefined {
    const traceparent = source.header("traceparent");
    const parent = traceparent === undefined ? undefined : parseTraceparent(traceparent);
    if (parent === undefined) return this.root("request", SpanKind.Server);
    if (!this.#records(parent.sampled)) return undefined;
    const state = source.header("tracestate");
    const tracestate = state === undefined ? undefined : boundTracestate(state);
    const scope = { sink: this.#sink, traceId: parent.traceId, tracestate };
    return new Span(scope, parent.parentId, "request", SpanKind.Server);
  }

  /** Sends the recorded spans, and records nothing more. */
  close(): Promise<void> {
    return this.#sink.close();
  }

  /** The first span of a trace of the gateway's own; undefined where it is not recorded. */
  root(name: string, kind: SpanKind = SpanKind.Internal): Span | undefined {
    if (Math.random() >= this.#sampling.sample) return undefined;
    const scope = { sink: this.#sink, traceId: randomHex(16), tracestate: undefined };
    return new Span(scope, undefined, name, kind);
  }

  /** @param requested whether the caller has sampled the trace */
  #records(requested: boolean): boolean {
    const { parents, sample, max_parents: most } = this.#sampling;
    if (parents === "sample") return Math.random() < sample;
    if (!requested) return false;
    const now = this.#now();
    this.#permits = Math.min(most, this.#permits + ((now - this.#filledAt) * most) / 1000);
    this.#filledAt = now;
    if (this.#permits < 1) return false;
    this.#permits--;
    return true;
  }
}
