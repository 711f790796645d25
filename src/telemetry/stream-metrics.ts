import { Gauge, type Registry } from "prom-client";
import { CounterSeries } from "./series.js";

/** Why a stream ended; a closed set, as label values must be. */
export type StreamEndReason =
  | "ok"
  | "upstream_error"
  | "gateway_error"
  | "client_closed"
  | "deadline"
  | "drain";

/** Streams of RPC methods, over any carrier. Their lifetime is no latency: there is no histogram of it. */
export class StreamMetrics {
  readonly #messages: CounterSeries;
  readonly #bytes: CounterSeries;
  readonly #ended: CounterSeries;
  readonly #routes = new Map<string, RouteStreams>();

  constructor(registry: Registry) {
    const labels = ["route", "method"];
    const routes = this.#routes;
    new Gauge({
      name: "protogate_streams_open",
      help: "Streaming RPC calls that are open.",
      labelNames: labels,
      registers: [registry],
      collect() {
        for (const { route, method, open } of routes.values()) this.set({ route, method }, open);
      },
    });
    this.#messages = new CounterSeries(
      registry,
      "protogate_stream_messages_total",
      "Messages of streaming RPC calls: `request` from the client, `response` from the backend.",
      [...labels, "direction"],
    );
    this.#bytes = new CounterSeries(
      registry,
      "protogate_stream_bytes_total",
      "Bytes of these messages as protobuf.",
      [...labels, "direction"],
    );
    this.#ended = new CounterSeries(
      registry,
      "protogate_streams_ended_total",
      "Streaming RPC calls that are over, by the reason of their end.",
      [...labels, "reason"],
    );
  }

  /** The streams of a route, the same object for the same arguments. @param route its template */
  route(route: string, method: string): RouteStreams {
    const key = `${method} ${route}`;
    let streams = this.#routes.get(key);
    if (streams === undefined) {
      streams = {
        route,
        method,
        open: 0,
        requests: {
          messages: this.#messages.child(route, method, "request"),
          bytes: this.#bytes.child(route, method, "request"),
        },
        responses: {
          messages: this.#messages.child(route, method, "response"),
          bytes: this.#bytes.child(route, method, "response"),
        },
        ended: reason => this.#ended.child(route, method, reason).inc(),
      };
      this.#routes.set(key, streams);
    }
    return streams;
  }
}

/** A number that only grows. */
interface Count {
  value: number;
}

export interface RouteStreams {
  readonly route: string;
  readonly method: string;
  /** Streams that are open now. */
  open: number;
  readonly requests: { readonly messages: Count; readonly bytes: Count };
  readonly responses: { readonly messages: Count; readonly bytes: Count };
  ended(reason: StreamEndReason): void;
}
