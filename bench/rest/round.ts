import type { Load } from "../load/load.js";
import type { LoadBounds } from "../load/protocol.js";
import type { Metric } from "../metric.js";
import * as metrics from "../metric.js";
import { forgetPeak, peakRss, readUsage } from "../process/usage.js";
import type { Server } from "./servers.js";

/** What one server did in one round. Times in seconds. */
export interface Round {
  readonly requests: number;
  readonly seconds: number;
  readonly serverCpu: number;
  /** Time that the server's threads waited for the CPU, for each other or for strangers. */
  readonly serverWait: number;
  readonly upstreamCpu: number;
  readonly loadCpu: number;
  readonly allocated: number;
  readonly transfers: number | undefined;
  readonly p50: number;
  readonly p99: number;
  readonly peakRss: number;
}

/** How a metric is read from a round. */
export const roundMetrics: readonly { readonly metric: Metric; of(round: Round): number | undefined }[] = [
  { metric: metrics.throughput, of: round => round.requests / round.seconds },
  { metric: metrics.requestCpu, of: round => (round.serverCpu / round.requests) * 1e6 },
  { metric: metrics.requestBytes, of: round => round.allocated / round.requests },
  {
    metric: metrics.requestTransfers,
    of: ({ transfers, requests }) => (transfers === undefined ? undefined : transfers / requests),
  },
  { metric: metrics.median, of: round => round.p50 },
  { metric: metrics.tail, of: round => round.p99 },
  { metric: metrics.peakMemory, of: round => round.peakRss },
];

/** One round over connections that are open. */
export async function runRound(
  load: Load,
  { child }: Server,
  upstream: Server,
  bounds: LoadBounds,
): Promise<Round> {
  forgetPeak(child.pid);
  const allocated = await child.allocated();
  const before = { server: readUsage(child.pid), upstream: readUsage(upstream.child.pid) };
  const { requests, seconds, cpuSeconds, p50, p99 } = await load.run(bounds);
  const after = { server: readUsage(child.pid), upstream: readUsage(upstream.child.pid) };
  const { transfers } = after.server;
  return {
    requests,
    seconds,
    serverCpu: after.server.cpuSeconds - before.server.cpuSeconds,
    serverWait: after.server.waitSeconds - before.server.waitSeconds,
    upstreamCpu: after.upstream.cpuSeconds - before.upstream.cpuSeconds,
    loadCpu: cpuSeconds,
    allocated: (await child.allocated()) - allocated,
    transfers: transfers === undefined ? undefined : transfers - (before.server.transfers ?? 0),
    p50,
    p99,
    peakRss: peakRss(child.pid),
  };
}
