import { Counter, collectDefaultMetrics, Gauge, Registry } from "prom-client";
import { type MetricsFormat, metricText } from "./exposition.js";
import { RecentFailures } from "./recent-failures.js";
import { methodLabel, RouteMetrics, type RouteSeries } from "./route-metrics.js";
import { CounterSeries, HistogramSeries } from "./series.js";
import { StreamMetrics } from "./stream-metrics.js";
import { metricStates } from "./totals.js";
import { UpstreamMetrics, type UpstreamSeries } from "./upstream-metrics.js";

export type { RouteMetrics } from "./route-metrics.js";
export type { UpstreamMetrics } from "./upstream-metrics.js";

export interface MetricsOptions {
  /** Version of the gateway. */
  readonly version: string;
  /** Upper bounds of the duration buckets in seconds, ascending. */
  readonly buckets: readonly number[];
}

/** The states of an endpoint; the same as those of `Channel.state()`. */
const endpointStates = ["idle", "connecting", "ready", "failing", "unhealthy"] as const;

export type EndpointStates = Iterable<
  readonly [upstream: string, endpoints: readonly { readonly state: (typeof endpointStates)[number] }[]]
>;

/** 64 B to 16 MiB. */
const sizeBuckets = [64, 256, 1024, 4096, 16_384, 65_536, 262_144, 1_048_576, 4_194_304, 16_777_216];

/** Gauges of prom-client that are named `_total`, which `promtool check metrics` keeps for counters. */
const misnamed = [
  "nodejs_active_handles_total",
  "nodejs_active_requests_total",
  "nodejs_active_resources_total",
];

/**
 * Every metric of the process. Labels are names from the configuration or from closed sets, never from requests
 * (docs/reference/metrics.md). One instance outlives all generations.
 */
export class Metrics {
  readonly registry = new Registry();
  readonly streams = new StreamMetrics(this.registry);
  /** The latest requests that failed. */
  readonly failures = new RecentFailures();
  readonly #routes: RouteSeries;
  readonly #upstreams: UpstreamSeries;
  readonly #reloads: Counter<"result">;
  readonly #proxyHeaders: Counter<"listener">;
  readonly #lastReload: Gauge;
  readonly #reloadOk: Gauge;
  readonly #config: Gauge<"hash">;
  readonly #bindings: Gauge;
  readonly #routeMetrics = new Map<string, RouteMetrics>();
  readonly #upstreamMetrics = new Map<string, Map<string, UpstreamMetrics>>();
  #endpoints: () => EndpointStates = () => [];
  #inFlight = 0;

  constructor({ version, buckets }: MetricsOptions) {
    const { registry } = this;
    const registers = [registry];
    collectDefaultMetrics({ register: registry });
    for (const name of misnamed) registry.removeSingleMetric(name);

    this.#routes = routeSeries(registry, buckets);
    this.#upstreams = upstreamSeries(registry, buckets);

    const metrics = this;
    new Gauge({
      name: "protogate_http_requests_in_flight",
      help: "HTTP requests under way.",
      registers,
      collect() {
        this.set(metrics.#inFlight);
      },
    });
    new Gauge({
      name: "protogate_upstream_endpoints",
      help: "Endpoints of each upstream by state.",
      labelNames: ["upstream", "state"],
      aggregator: "max",
      registers,
      collect() {
        this.reset();
        for (const [upstream, endpoints] of metrics.#endpoints()) {
          for (const state of endpointStates) this.set({ upstream, state }, 0);
          for (const { state } of endpoints) this.inc({ upstream, state });
        }
      },
    });
    new Gauge({
      name: "protogate_build_info",
      help: "Always 1; the labels are the versions of the gateway and of Node.js.",
      labelNames: ["version", "node"],
      aggregator: "first",
      registers,
    }).set({ version, node: process.version }, 1);
    this.#reloads = new Counter({
      name: "protogate_config_reloads_total",
      help: "Loads of the configuration by result, including the first.",
      labelNames: ["result"],
      aggregator: "first",
      registers,
    });
    for (const result of ["success", "failure"]) this.#reloads.inc({ result }, 0);
    this.#proxyHeaders = new Counter({
      name: "protogate_proxy_headers_refused_total",
      help: "Connections that ended because their PROXY protocol header was malformed or did not come in time.",
      labelNames: ["listener"],
      registers,
    });
    this.#lastReload = new Gauge({
      name: "protogate_config_last_reload_success_timestamp_seconds",
      help: "When the configuration was last loaded without error, in seconds since 1970.",
      aggregator: "first",
      registers,
    });
    this.#reloadOk = new Gauge({
      name: "protogate_config_last_reload_successful",
      help: "0 where the last load of the configuration failed, else 1.",
      aggregator: "min",
      registers,
    });
    // None has failed yet.
    this.#reloadOk.set(1);
    this.#config = new Gauge({
      name: "protogate_config_info",
      help: "Always 1; the label is the hash of the configuration that is served, without its secrets.",
      labelNames: ["hash"],
      aggregator: "first",
      registers,
    });
    this.#bindings = new Gauge({
      name: "protogate_bindings",
      help: "Bindings of HTTP methods and templates to RPC methods that are served.",
      aggregator: "max",
      registers,
    });
  }

  /**
   * The metrics of a route, the same object for the same arguments.
   * @param route its template, or `none` for requests that match no route
   * @param method as the client sent it; unknown ones are counted as one
   * @param service full name of the RPC service, or `none`
   */
  route(route: string, method: string, service: string): RouteMetrics {
    const label = methodLabel(method);
    return getOrCreate(
      this.#routeMetrics,
      `${route} ${label} ${service}`,
      () => new RouteMetrics(this.#routes, route, label, service),
    );
  }

  /** The metrics of the RPC method with that path (`/package.Service/Method`), the same object for the same arguments. */
  upstream(upstream: string, protocol: string, path: string): UpstreamMetrics {
    return this.upstreamCalls(upstream, protocol)(path);
  }

  /** As `upstream`, by the path alone: for every call, so that no text or object is made for it. */
  upstreamCalls(upstream: string, protocol: string): (path: string) => UpstreamMetrics {
    const byPath = getOrCreate(this.#upstreamMetrics, `${protocol} ${upstream}`, () => new Map());
    return path => {
      const known = byPath.get(path);
      if (known !== undefined) return known;
      const created = new UpstreamMetrics(this.#upstreams, upstream, protocol, path);
      byPath.set(path, created);
      return created;
    };
  }

  /** Counts a request as in flight until `requestFinished`. */
  requestStarted(): void {
    this.#inFlight++;
  }

  requestFinished(): void {
    this.#inFlight--;
  }

  /** Where endpoint states come from at each scrape; replaces the source before. */
  endpointsFrom(source: () => EndpointStates): void {
    this.#endpoints = source;
  }

  /** A configuration was loaded and serves that many bindings. */
  reloadSucceeded(bindings: number, hash: string): void {
    this.#reloads.inc({ result: "success" });
    this.#lastReload.setToCurrentTime();
    this.#reloadOk.set(1);
    this.#config.reset();
    this.#config.set({ hash }, 1);
    this.#bindings.set(bindings);
  }

  /** @param listener by name */
  proxyHeaderRefused(listener: string): void {
    this.#proxyHeaders.inc({ listener });
  }

  reloadFailed(): void {
    this.#reloads.inc({ result: "failure" });
    this.#reloadOk.set(0);
  }

  async text(format: MetricsFormat = "prometheus"): Promise<string> {
    if (format === "prometheus") return this.registry.metrics();
    return metricText(await metricStates(this.registry), format);
  }
}

function routeSeries(registry: Registry, buckets: readonly number[]): RouteSeries {
  const labels = ["route", "method"];
  return {
    requests: new CounterSeries(
      registry,
      "protogate_http_requests_total",
      "HTTP requests by real outcome: code is the HTTP status before any error dialect changed it.",
      ["route", "method", "code", "grpc_code", "service"],
    ),
    duration: new HistogramSeries(
      registry,
      "protogate_http_request_duration_seconds",
      "Time from the head of a request to the end of its response.",
      labels,
      buckets,
    ),
    requestSize: new HistogramSeries(
      registry,
      "protogate_http_request_size_bytes",
      "Size of request bodies as received.",
      labels,
      sizeBuckets,
    ),
    responseSize: new HistogramSeries(
      registry,
      "protogate_http_response_size_bytes",
      "Size of response bodies as sent.",
      labels,
      sizeBuckets,
    ),
  };
}

function upstreamSeries(registry: Registry, buckets: readonly number[]): UpstreamSeries {
  const labels = ["upstream", "protocol", "grpc_service", "grpc_method"];
  const coded = [...labels, "grpc_code"];
  return {
    started: new CounterSeries(
      registry,
      "protogate_upstream_started_total",
      "Upstream calls started, excluding retries.",
      labels,
    ),
    handled: new CounterSeries(
      registry,
      "protogate_upstream_handled_total",
      "Upstream calls finished, by gRPC code.",
      coded,
    ),
    handling: new HistogramSeries(
      registry,
      "protogate_upstream_handling_seconds",
      "Time from the start of a call to its status, retries included.",
      labels,
      buckets,
    ),
    retries: new CounterSeries(
      registry,
      "protogate_upstream_retries_total",
      "Retried attempts by the gRPC code of the failed attempt.",
      coded,
    ),
    transparentRetries: new CounterSeries(
      registry,
      "protogate_upstream_transparent_retries_total",
      "Attempts sent again outside the retry policy, because the backend did not process them: `unsent` never left the gateway, `refused` was refused by the server, `goaway` was above the last stream of a GOAWAY.",
      [...labels, "reason"],
    ),
  };
}

function getOrCreate<T>(known: Map<string, T>, key: string, make: () => T): T {
  let value = known.get(key);
  if (value === undefined) {
    value = make();
    known.set(key, value);
  }
  return value;
}
