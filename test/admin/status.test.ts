import assert from "node:assert/strict";
import { test } from "node:test";
import { type ProcessStatus, statusOf } from "../../src/admin/status.js";
import { Metrics } from "../../src/telemetry/metrics.js";
import { type RecentFailure, RecentFailures } from "../../src/telemetry/recent-failures.js";
import { addUp, metricStates } from "../../src/telemetry/totals.js";

interface Shown {
  readonly version: string;
  readonly duration_buckets: readonly number[];
  readonly routes: readonly Record<string, unknown>[];
  readonly routes_total: number;
  readonly upstreams: readonly Record<string, unknown>[];
  readonly realtime: { readonly top_rooms: readonly object[] } | null;
  readonly workers: readonly object[];
  readonly failures: readonly RecentFailure[];
}

const idle = { cpu_seconds: 1, memory_bytes: 2, event_loop: { active_seconds: 3, idle_seconds: 4 } };

function processOf(worker: number, changes: Partial<ProcessStatus> = {}): ProcessStatus {
  return { worker, pid: 1000 + worker, ...idle, endpoints: [], rooms: null, failures: [], ...changes };
}

const made = (): Metrics => new Metrics({ version: "1.2.3", buckets: [0.1, 1] });

async function shown(all: readonly Metrics[], processes: readonly ProcessStatus[]): Promise<Shown> {
  const states = await Promise.all(all.map(({ registry }) => metricStates(registry)));
  return statusOf({
    metrics: addUp(states),
    processes,
    upstreams: { chat: "grpc", legacy: "http" },
    shown: {},
  }) as Shown;
}

test("the status adds up what all workers have counted of a route, and of an upstream over all its methods", async () => {
  const [one, two] = [made(), made()];
  one.route("/a", "GET", "s.v1.S").observe(200, 0, 0.0625, 0, 10);
  two.route("/a", "GET", "s.v1.S").observe(503, 14, 0.5, 0, 10);
  two.route("/a", "GET", "s.v1.S").observe(404, 5, 5, 0, 10);
  two.route("/b", "POST", "s.v1.S").observe(200, 0, 0.5, 0, 10);
  for (const path of ["/s.v1.S/Get", "/s.v1.S/List"]) one.upstream("chat", "grpc", path).handled(14, 0.0625);
  two.upstream("chat", "grpc", "/s.v1.S/Get").handled(5, 0.5);
  const status = await shown([one, two], [processOf(1), processOf(2)]);
  assert.deepEqual([status.version, status.duration_buckets, status.routes_total], ["1.2.3", [0.1, 1], 2]);
  assert.deepEqual(status.routes[0], {
    method: "GET",
    route: "/a",
    service: "s.v1.S",
    requests: 3,
    client_errors: 1,
    server_errors: 1,
    streams_open: 0,
    duration: { buckets: [1, 2], sum: 5.5625, count: 3 },
  });
  assert.deepEqual(status.upstreams, [
    {
      upstream: "chat",
      protocol: "grpc",
      calls: 3,
      failures: 2,
      retries: 0,
      duration: { buckets: [2, 3], sum: 0.625, count: 3 },
      endpoints: [],
    },
    {
      upstream: "legacy",
      protocol: "http",
      calls: 0,
      failures: 0,
      retries: 0,
      duration: { buckets: [0, 0], sum: 0, count: 0 },
      endpoints: [],
    },
  ]);
  assert.deepEqual(status.workers, [
    { worker: 1, pid: 1001, ...idle },
    { worker: 2, pid: 1002, ...idle },
  ]);
});

test("the status shows how each endpoint is for how many workers, and members of a room on all of them", async () => {
  const endpoint = { upstream: "chat", address: "10.0.0.7:50051" };
  const { upstreams, realtime } = await shown(
    [made()],
    [
      processOf(1, {
        endpoints: [{ ...endpoint, state: "ready", in_flight: 2 }],
        rooms: [{ room: "general", members: 3, epoch: "e", seq: 10 }],
      }),
      processOf(2, {
        endpoints: [{ ...endpoint, state: "failing", in_flight: 1 }],
        rooms: [
          { room: "general", members: 4, epoch: "e", seq: 9 },
          { room: "random", members: 1, epoch: "f", seq: 1 },
        ],
      }),
    ],
  );
  assert.deepEqual(upstreams[0]?.endpoints, [
    { address: "10.0.0.7:50051", states: { ready: 1, failing: 1 }, in_flight: 3 },
  ]);
  assert.deepEqual(realtime?.top_rooms, [
    { room: "general", members: 7, epoch: "e", seq: 10 },
    { room: "random", members: 1, epoch: "f", seq: 1 },
  ]);
  assert.equal((await shown([made()], [processOf(1)])).realtime, null);
});

test("recent failures are bounded, newest first, and a scan for paths does not push server errors out", () => {
  const failures = new RecentFailures();
  const request = { method: "GET", route: "/a", upstream: "chat", traceId: undefined };
  failures.add({ ...request, status: 503, code: 14, reason: "R".repeat(1000), requestId: "first" });
  for (let at = 0; at < 1000; at++) {
    const requestId = `scan ${at}`;
    failures.add({
      ...request,
      route: undefined,
      status: 404,
      code: 5,
      reason: "ROUTE_NOT_FOUND",
      requestId,
    });
  }
  const list = failures.list();
  assert.equal(list.length, 101);
  const [first] = list.filter(({ status }) => status === 503);
  assert.deepEqual(
    { ...first, at: "" },
    {
      at: "",
      method: "GET",
      route: "/a",
      upstream: "chat",
      status: 503,
      grpc_code: "UNAVAILABLE",
      reason: "R".repeat(64),
      request_id: "first",
      trace_id: null,
    },
  );
  const ids = new Set(list.map(({ request_id: id }) => id));
  assert.deepEqual([ids.has("scan 899"), ids.has("scan 900"), ids.has("scan 999")], [false, true, true]);
});
