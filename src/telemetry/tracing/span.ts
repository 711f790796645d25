import { performance } from "node:perf_hooks";
import { randomHex } from "../ids.js";
import { type SpanRecord, SpanStatus, spanBytes } from "./otlp.js";

export const SpanKind = { Internal: 1, Server: 2, Client: 3, Producer: 4, Consumer: 5 } as const;
export type SpanKind = (typeof SpanKind)[keyof typeof SpanKind];

/** Takes spans that are over. */
export interface SpanSink {
  add(span: Uint8Array): void;
}

/** Common to all spans of one trace. */
export interface TraceScope {
  readonly sink: SpanSink;
  readonly traceId: string;
  readonly tracestate: string | undefined;
}

/** Of one span. Further attributes are left out. */
const maxAttributes = 32;
/** Characters of a name or a value. */
const maxText = 1024;

/** One step of a request, from when it is made until `end`. It exists only where it is recorded. */
export class Span {
  readonly #scope: TraceScope;
  readonly #id = randomHex(8);
  readonly #parentId: string | undefined;
  readonly #kind: SpanKind;
  readonly #startedMs = performance.timeOrigin + performance.now();
  readonly #attributes: SpanRecord["attributes"][number][] = [];
  #link: Span | undefined;
  #error: string | undefined;
  #failed = false;
  #over = false;
  name: string;

  constructor(scope: TraceScope, parentId: string | undefined, name: string, kind: SpanKind) {
    this.#scope = scope;
    this.#parentId = parentId;
    this.#kind = kind;
    this.name = name;
  }

  get traceId(): string {
    return this.#scope.traceId;
  }

  get spanId(): string {
    return this.#id;
  }

  child(name: string, kind: SpanKind = SpanKind.Internal): Span {
    return new Span(this.#scope, this.#id, name, kind);
  }

  /** Undefined values are left out. */
  set(name: string, value: string | number | undefined): void {
    if (value === undefined || this.#attributes.length >= maxAttributes) return;
    this.#attributes.push([name, typeof value === "string" ? cut(value) : value]);
  }

  /** Names a span that it belongs with, of another trace. */
  link(other: Span): void {
    this.#link = other;
  }

  /** @param endpoint `host:port`, a host, or the path of a socket */
  setAddress(endpoint: string): void {
    const [, host = endpoint, port] = /^\[?([^\]]*?)\]?:(\d+)$/.exec(endpoint) ?? [];
    this.set("server.address", host);
    if (port !== undefined) this.set("server.port", Number(port));
  }

  /** It ends as an error. @param type a value of a closed set; `error.type` */
  fail(type: string, message?: string): void {
    this.#failed = true;
    this.#error = message === undefined ? undefined : cut(message);
    this.set("error.type", type);
  }

  /** Once; attributes set later are lost. */
  end(): void {
    if (this.#over) return;
    this.#over = true;
    const { sink, traceId, tracestate } = this.#scope;
    sink.add(
      spanBytes({
        traceId,
        spanId: this.#id,
        tracestate,
        parentId: this.#parentId,
        name: cut(this.name),
        kind: this.#kind,
        startMs: this.#startedMs,
        endMs: performance.timeOrigin + performance.now(),
        attributes: this.#attributes,
        link: this.#link,
        status: this.#failed ? SpanStatus.Error : SpanStatus.Unset,
        message: this.#error,
      }),
    );
  }

  /** The headers that continue the trace, with this span as the parent (W3C Trace Context). */
  headers(): [name: string, value: string][] {
    const { traceId, tracestate } = this.#scope;
    const parent: [string, string] = ["traceparent", `00-${traceId}-${this.#id}-01`];
    return tracestate === undefined ? [parent] : [parent, ["tracestate", tracestate]];
  }
}

/** Does some work within a span, synchronous or not. A thrown error is the span's error. */
export function traced<T>(span: Span, work: () => T): T {
  let result: T;
  try {
    result = work();
  } catch (error) {
    endWith(span, error);
    throw error;
  }
  if (!(result instanceof Promise)) {
    span.end();
    return result;
  }
  result.then(
    () => span.end(),
    error => endWith(span, error),
  );
  return result;
}

/** A refusal of the gateway is no error of it; its reason is an attribute. */
function endWith(span: Span, error: unknown): void {
  const failure = (error as { failure?: { reason?: unknown; httpStatus?: unknown } } | undefined)?.failure;
  if (typeof failure?.reason !== "string") span.fail(error instanceof Error ? error.name : "Error");
  else if (Number(failure.httpStatus) >= 500) span.fail(failure.reason);
  else span.set("protogate.reason", failure.reason);
  span.end();
}

function cut(text: string): string {
  return text.length > maxText ? text.slice(0, maxText) : text;
}
