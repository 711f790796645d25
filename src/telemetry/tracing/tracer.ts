import { randomHex } from "../ids.js";
import { boundTracestate, parseTraceparent } from "../traceparent.js";
import type { SpanExporter } from "./exporter.js";
import { Span, SpanKind } from "./span.js";

/** Where the headers of a trace are. */
export interface TraceSource {
  /** @param name in lower case */
  header(name: string): string | undefined;
}

/** Decides which traces are recorded, and begins their spans. */
export class Tracer {
  readonly #sink: SpanExporter;
  readonly #sample: number;

  /** @param sample the share of traces that begin here and are recorded */
  constructor(sink: SpanExporter, sample: number) {
    this.#sink = sink;
    this.#sample = sample;
  }

  /** The span of a request; undefined where its trace is not recorded. A caller's trace is recorded where the caller says so. */
  server(source: TraceSource): Span | undefined {
    const traceparent = source.header("traceparent");
    const parent = traceparent === undefined ? undefined : parseTraceparent(traceparent);
    if (parent === undefined) return this.root("request", SpanKind.Server);
    if (!parent.sampled) return undefined;
    const state = source.header("tracestate");
    const tracestate = state === undefined ? undefined : boundTracestate(state);
    const scope = { sink: this.#sink, traceId: parent.traceId, tracestate };
    return new Span(scope, parent.parentId, "request", SpanKind.Server);
  }

  /** Sends what is recorded, and records nothing more. */
  close(): Promise<void> {
    return this.#sink.close();
  }

  /** The first span of a trace of the gateway's own; undefined where it is not recorded. */
  root(name: string, kind: SpanKind = SpanKind.Internal): Span | undefined {
    if (Math.random() >= this.#sample) return undefined;
    const scope = { sink: this.#sink, traceId: randomHex(16), tracestate: undefined };
    return new Span(scope, undefined, name, kind);
  }
}
