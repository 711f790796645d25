import { Code, httpStatus } from "../status/code.js";
import type { RecentFailure } from "../telemetry/recent-failures.js";
import type { MetricState } from "../telemetry/totals.js";
import { type Latency, MetricSamples, type Sample } from "./metric-samples.js";

export interface EndpointStatus {
  readonly upstream: string;
  readonly address: string;
  /** As `protogate_upstream_endpoints` has it. */
  readonly state: string;
  /** Calls under way. */
  readonly in_flight: number;
}

export interface RoomStatus {
  readonly room: string;
  readonly members: number;
  /** Which history `seq` counts in. */
  readonly epoch: string;
  /** The number of its last message. */
  readonly seq: number;
}

/** The state of a serving process, beside its metrics. */
export interface ProcessStatus {
  /** 1 where the process is the only one. */
  readonly worker: number;
  readonly pid: number;
  readonly cpu_seconds: number;
  readonly memory_bytes: number;
  /** How long the event loop has worked, and has waited for work. */
  readonly event_loop: { readonly active_seconds: number; readonly idle_seconds: number };
  readonly endpoints: readonly EndpointStatus[];
  /** Those with the most members, at most `maxRooms`; null where rooms are not served. */
  readonly rooms: readonly RoomStatus[] | null;
  readonly failures: readonly RecentFailure[];
}

/** The sources of the status. */
export interface StatusSources {
  /** Of all processes, added up. */
  readonly metrics: readonly MetricState[];
  /** Those that serve. */
  readonly processes: readonly ProcessStatus[];
  /** Protocols of the upstreams of the configuration, by name. */
  readonly upstreams: Readonly<Record<string, string>>;
  /** Values of the caller that this module only shows. */
  readonly shown: Readonly<Record<string, unknown>>;
}

/** Rooms and failures that are shown. */
export const maxRooms = 50;
const maxFailures = 100;
/** Routes that are shown: those with the most requests. */
const maxRoutes = 1000;

/**
 * The response to `GET /status`: counters since the start of the processes, so that two responses give rates. Nothing
 * is counted for it that is not counted for `/metrics`.
 */
export function statusOf({ metrics, processes, upstreams, shown }: StatusSources): object {
  const samples = new MetricSamples(metrics);
  const routes = routesOf(samples);
  const [build] = samples.of("protogate_build_info");
  const now = Date.now();
  const started = samples.value("process_start_time_seconds") * 1000;
  return {
    now: new Date(now).toISOString(),
    version: build?.labels.version ?? "",
    node: build?.labels.node ?? "",
    started_at: new Date(started).toISOString(),
    uptime_seconds: Math.max(0, (now - started) / 1000),
    ...shown,
    requests_in_flight: samples.value("protogate_http_requests_in_flight"),
    duration_buckets: samples.bounds("protogate_http_request_duration_seconds"),
    routes: routes.slice(0, maxRoutes),
    routes_total: routes.length,
    upstreams: upstreamsOf(samples, processes, upstreams),
    realtime: realtimeOf(samples, processes),
    workers: processes.map(workerOf),
    worker_restarts: samples.value("protogate_worker_restarts_total"),
    certificates: samples
      .of("protogate_tls_certificate_expiry_timestamp_seconds")
      .map(({ labels, value }) => ({ ...labels, expires_at: new Date(value * 1000).toISOString() })),
    failures: processes
      .flatMap(({ failures }) => failures)
      .sort((a, b) => (a.at < b.at ? 1 : -1))
      .filter(latestOfEach()),
  };
}

function workerOf({ worker, pid, cpu_seconds, memory_bytes, event_loop }: ProcessStatus): object {
  return { worker, pid, cpu_seconds, memory_bytes, event_loop };
}

/** Keeps `maxFailures` of the gateway's and of callers' each. */
function latestOfEach(): (failure: RecentFailure) => boolean {
  const left = [maxFailures, maxFailures];
  return ({ status }) => left[status >= 500 ? 0 : 1]!-- > 0;
}

interface RouteStatus {
  readonly method: string;
  readonly route: string;
  service: string;
  requests: number;
  /** Of the status 4xx and 5xx. */
  client_errors: number;
  server_errors: number;
  streams_open: number;
  duration: Latency;
}

/** Those with the most requests first. */
function routesOf(samples: MetricSamples): RouteStatus[] {
  const routes = new Map<string, RouteStatus>();
  const durations = samples.latencies("protogate_http_request_duration_seconds", keyOfRoute);
  const of = ({ labels }: Sample): RouteStatus => {
    const key = keyOfRoute(labels);
    let route = routes.get(key);
    if (route === undefined) {
      route = {
        method: String(labels.method),
        route: String(labels.route),
        service: "",
        requests: 0,
        client_errors: 0,
        server_errors: 0,
        streams_open: 0,
        duration: durations(key),
      };
      routes.set(key, route);
    }
    return route;
  };
  for (const sample of samples.of("protogate_http_requests_total")) {
    const route = of(sample);
    const code = Number(sample.labels.code);
    route.service = String(sample.labels.service);
    route.requests += sample.value;
    if (code >= 500) route.server_errors += sample.value;
    else if (code >= 400) route.client_errors += sample.value;
  }
  for (const sample of samples.of("protogate_streams_open")) of(sample).streams_open = sample.value;
  return [...routes.values()].sort((a, b) => b.requests - a.requests);
}

function keyOfRoute({ method, route }: Sample["labels"]): string {
  return `${method} ${route}`;
}

function upstreamsOf(
  samples: MetricSamples,
  processes: readonly ProcessStatus[],
  protocols: StatusSources["upstreams"],
): object[] {
  const name = ({ upstream }: Sample["labels"]): string => String(upstream);
  const durations = samples.latencies("protogate_upstream_handling_seconds", name);
  const sum = (metric: string, upstream: string, counts = (_: Sample["labels"]): boolean => true): number =>
    samples
      .of(metric)
      .filter(({ labels }) => labels.upstream === upstream && counts(labels))
      .reduce((total, { value }) => total + value, 0);
  return Object.entries(protocols).map(([upstream, protocol]) => ({
    upstream,
    protocol,
    calls: sum("protogate_upstream_handled_total", upstream),
    failures: sum("protogate_upstream_handled_total", upstream, isFailure),
    retries: sum("protogate_upstream_retries_total", upstream),
    duration: durations(upstream),
    endpoints: endpointsOf(processes, upstream),
  }));
}

/** A code for faults of the backend or the network. Codes outside gRPC never count: the configuration defines them. */
function isFailure({ grpc_code }: Sample["labels"]): boolean {
  const code = (Code as Readonly<Record<string, number>>)[String(grpc_code)];
  return code !== undefined && httpStatus(code) >= 500;
}

/** Of all processes: each has its own connections, and the states of all are counted. */
function endpointsOf(processes: readonly ProcessStatus[], upstream: string): object[] {
  const byAddress = new Map<string, { address: string; states: Record<string, number>; in_flight: number }>();
  for (const endpoint of processes.flatMap(({ endpoints }) => endpoints)) {
    if (endpoint.upstream !== upstream) continue;
    const { address, state, in_flight: inFlight } = endpoint;
    const known = byAddress.get(address) ?? { address, states: {}, in_flight: 0 };
    known.states[state] = (known.states[state] ?? 0) + 1;
    known.in_flight += inFlight;
    byAddress.set(address, known);
  }
  return [...byAddress.values()];
}

/** Null without rooms. */
function realtimeOf(samples: MetricSamples, processes: readonly ProcessStatus[]): object | null {
  if (processes.every(({ rooms }) => rooms === null)) return null;
  const frames = (direction: string): number =>
    samples
      .of("protogate_ws_messages_total")
      .filter(({ labels }) => labels.direction === direction)
      .reduce((sum, { value }) => sum + value, 0);
  return {
    connections: samples.value("protogate_ws_connections"),
    rooms: samples.value("protogate_ws_rooms"),
    members: samples.value("protogate_ws_members"),
    lagging: samples.value("protogate_ws_lagging"),
    frames_in: frames("in"),
    frames_out: frames("out"),
    top_rooms: roomsOf(processes),
  };
}

/** Members of a room may be with several processes, which all know its last message. */
function roomsOf(processes: readonly ProcessStatus[]): RoomStatus[] {
  const rooms = new Map<string, RoomStatus>();
  for (const room of processes.flatMap(process => process.rooms ?? [])) {
    const known = rooms.get(room.room);
    if (known === undefined) rooms.set(room.room, room);
    else {
      const later = known.epoch === room.epoch && known.seq > room.seq ? known : room;
      rooms.set(room.room, { ...later, members: known.members + room.members });
    }
  }
  return [...rooms.values()].sort((a, b) => b.members - a.members).slice(0, maxRooms);
}
