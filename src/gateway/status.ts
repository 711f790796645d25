import { performance } from "node:perf_hooks";
import type { Readiness } from "../admin/server.js";
import {
  maxRooms,
  type ProcessStatus,
  type RoomStatus,
  type StatusSources,
  statusOf,
} from "../admin/status.js";
import type { Realtime } from "../realtime/realtime.js";
import type { Metrics } from "../telemetry/metrics.js";
import type { UsableConfig } from "./read-config.js";
import type { GatewayState } from "./readiness.js";
import type { Reloads } from "./reload/reloads.js";

/**
 * The state of this process, for the status page.
 * @param worker 1 where it is the only process
 */
export function processStatus(
  worker: number,
  metrics: Metrics,
  { backends, realtime }: GatewayState,
): ProcessStatus {
  const { user, system } = process.cpuUsage();
  const { active, idle } = performance.eventLoopUtilization();
  return {
    worker,
    pid: process.pid,
    cpu_seconds: (user + system) / 1e6,
    memory_bytes: process.memoryUsage.rss(),
    event_loop: { active_seconds: active / 1000, idle_seconds: idle / 1000 },
    endpoints: (backends?.endpoints() ?? []).flatMap(([upstream, endpoints]) =>
      endpoints.map(({ address, state, pending }) => ({ upstream, address, state, in_flight: pending })),
    ),
    rooms: realtime === undefined ? null : topRooms(realtime.realtime),
    failures: metrics.failures.list(),
  };
}

/** Those with the most members; there may be very many. */
function topRooms({ local }: Realtime): RoomStatus[] {
  let top: RoomStatus[] = [];
  let least = 0;
  for (const { name, members, epoch, seq } of local.rooms()) {
    if (members.size <= least) continue;
    top.push({ room: name, members: members.size, epoch, seq });
    if (top.length < 2 * maxRooms) continue;
    top = top.sort(byMembers).slice(0, maxRooms);
    least = top.at(-1)?.members ?? 0;
  }
  return top.sort(byMembers).slice(0, maxRooms);
}

function byMembers(a: RoomStatus, b: RoomStatus): number {
  return b.members - a.members;
}

/** The response to `GET /status`. */
export function gatewayStatus(
  sources: Pick<StatusSources, "metrics" | "processes">,
  loaded: UsableConfig,
  reloads: Reloads,
  readiness: Readiness,
): object {
  const { upstreams } = loaded.config;
  const protocols = Object.entries(upstreams).map(([name, { protocol }]) => [name, protocol] as const);
  return statusOf({
    ...sources,
    upstreams: Object.fromEntries(protocols),
    shown: { readiness, config: reloads.state(loaded), reloads: reloads.history },
  });
}
