import { Agent as HttpAgent, request as requestHttp } from "node:http";
import { Agent as HttpsAgent, request as requestHttps } from "node:https";
import { setTimeout as sleep } from "node:timers/promises";
import { Counter, type Registry } from "prom-client";
import { TimedRequests } from "../../net/timed-requests.js";
import type { Logger } from "../logger.js";
import { version } from "../version.js";
import { exportRequest, resourceBytes } from "./otlp.js";
import type { SpanSink } from "./span.js";

export interface ExporterOptions {
  /** The base URL of the collector. */
  readonly otlp: string;
  readonly service: string;
  readonly headers: Readonly<Record<string, string>>;
}

/** Most waiting spans, those of a batch under way included; further ones are dropped. */
const maxSpans = 8192;
const maxBytes = 8 * 1024 * 1024;
/** Spans and bytes of one batch, and milliseconds that the first of them waits. */
const batchSpans = 512;
const batchBytes = 1024 * 1024;
const batchDelayMs = 1000;
/** Milliseconds that the collector has to respond. */
const responseMs = 10_000;
/** Milliseconds before a batch that could not be delivered for now is sent again; as often as there are pauses. */
const pausesMs = [1000, 5000];
/** Milliseconds that `close` waits for the last batches. */
const closeMs = 5000;
/** Milliseconds between two log lines about lost spans. */
const warningIntervalMs = 60_000;

/** Statuses after which the same may succeed later (OTLP specification, "Retryable Response Codes"). */
const transient: ReadonlySet<number> = new Set([429, 502, 503, 504]);

/** Sends spans to a collector in batches. Bounded in spans and bytes; a collector that is down costs nothing but its spans. */
export class SpanExporter implements SpanSink {
  readonly #url: URL;
  readonly #agent: HttpAgent;
  readonly #headers: Readonly<Record<string, string>>;
  readonly #resource: Uint8Array;
  readonly #log: Logger;
  readonly #spans: Counter<"result">;
  #waiting: Uint8Array[] = [];
  /** Of those that wait and of the batch under way. */
  #count = 0;
  #bytes = 0;
  #timer: NodeJS.Timeout | undefined;
  #sending: Promise<void> | undefined;
  #warnedAt = Number.NEGATIVE_INFINITY;
  /** Ends pauses between two requests; `#requests` ends the one under way. */
  readonly #closing = new AbortController();
  readonly #requests = new TimedRequests();

  constructor({ otlp, service, headers }: ExporterOptions, log: Logger, spans: Counter<"result">) {
    this.#url = new URL(`${otlp.replace(/\/+$/, "")}/v1/traces`);
    const agentOptions = { keepAlive: true, maxSockets: 1 };
    this.#agent =
      this.#url.protocol === "https:" ? new HttpsAgent(agentOptions) : new HttpAgent(agentOptions);
    this.#headers = {
      "content-type": "application/x-protobuf",
      "user-agent": `protogate/${version}`,
      ...headers,
    };
    this.#resource = resourceBytes([
      ["service.name", service],
      ["service.version", version],
      ["process.pid", process.pid],
      ["telemetry.sdk.language", "nodejs"],
    ]);
    this.#log = log;
    this.#spans = spans;
  }

  add(span: Uint8Array): void {
    if (this.#count >= maxSpans || this.#bytes + span.length > maxBytes || this.#closing.signal.aborted) {
      this.#lose("dropped", 1, "they are made faster than the collector accepts them");
      return;
    }
    this.#waiting.push(span);
    this.#count++;
    this.#bytes += span.length;
    if (this.#waiting.length >= batchSpans) this.#send();
    else this.#timer ??= setTimeout(() => this.#send(), batchDelayMs).unref();
  }

  /** Sends the waiting spans, and takes nothing more; gives up after `graceMs`. Never rejects. */
  async close(graceMs = closeMs): Promise<void> {
    const deadline = setTimeout(() => this.#abort(), graceMs);
    while (this.#count > 0 && !this.#closing.signal.aborted) {
      this.#send();
      await this.#sending;
    }
    clearTimeout(deadline);
    clearTimeout(this.#timer);
    this.#abort();
    this.#agent.destroy();
    const lost = this.#waiting.splice(0);
    if (lost.length > 0) this.#lose("failed", lost.length, "the gateway ends before they are delivered");
    this.#done(lost);
  }

  #abort(): void {
    this.#closing.abort();
    this.#requests.close();
  }

  /** One batch at a time. */
  #send(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#sending !== undefined || this.#waiting.length === 0 || this.#closing.signal.aborted) return;
    this.#sending = this.#deliver(this.#takeBatch()).finally(() => {
      this.#sending = undefined;
      if (this.#waiting.length >= batchSpans) this.#send();
      else if (this.#waiting.length > 0) this.#timer ??= setTimeout(() => this.#send(), batchDelayMs).unref();
    });
  }

  #takeBatch(): Uint8Array[] {
    let bytes = 0;
    let count = 0;
    for (const span of this.#waiting) {
      if (count >= batchSpans || (count > 0 && bytes + span.length > batchBytes)) break;
      bytes += span.length;
      count++;
    }
    return this.#waiting.splice(0, count);
  }

  async #deliver(batch: readonly Uint8Array[]): Promise<void> {
    const body = exportRequest(this.#resource, ["protogate", version], batch);
    let problem = "";
    for (const pause of [...pausesMs, undefined]) {
      const { status, error } = await this.#post(body);
      if (status !== undefined && status < 300) {
        this.#spans.inc({ result: "exported" }, batch.length);
        this.#done(batch);
        return;
      }
      problem = error ?? `the collector responded with ${status}`;
      const again = status === undefined || transient.has(status);
      if (!again || pause === undefined || this.#closing.signal.aborted) break;
      await sleep(pause, undefined, { signal: this.#closing.signal, ref: false }).catch(() => undefined);
    }
    this.#lose("failed", batch.length, problem);
    this.#done(batch);
  }

  #done(batch: readonly Uint8Array[]): void {
    this.#count -= batch.length;
    for (const { length } of batch) this.#bytes -= length;
  }

  #post(body: Uint8Array): Promise<{ readonly status?: number; readonly error?: string }> {
    const send = this.#url.protocol === "https:" ? requestHttps : requestHttp;
    const headers = { ...this.#headers, "content-length": body.length };
    const options = { method: "POST", agent: this.#agent, headers };
    const post = (signal: AbortSignal): Promise<{ readonly status?: number; readonly error?: string }> =>
      new Promise(resolve => {
        const request = send(this.#url, { ...options, signal }, response => {
          const { statusCode: status = 500 } = response;
          // Its body is not read; the connection is used again after it.
          response.resume().once("close", () => resolve({ status }));
          response.once("error", () => resolve({ status }));
        });
        request.once("error", ({ message }) => resolve({ error: message }));
        request.end(body);
      });
    return this.#requests.run(responseMs, post);
  }

  #lose(result: "dropped" | "failed", count: number, why: string): void {
    this.#spans.inc({ result }, count);
    const now = performance.now();
    if (now - this.#warnedAt < warningIntervalMs) return;
    this.#warnedAt = now;
    this.#log.warn({ error: why, collector: this.#url.origin }, "spans of traces are lost");
  }
}

/** Counts spans by result; registered without tracing too, so that dashboards find it. */
export function spanCounter(registry: Registry): Counter<"result"> {
  const counter = new Counter({
    name: "protogate_trace_spans_total",
    help: "Spans of traces by outcome: exported, dropped because too many waited, or failed to be delivered.",
    labelNames: ["result"],
    registers: [registry],
  });
  for (const result of ["exported", "dropped", "failed"]) counter.inc({ result }, 0);
  return counter;
}
