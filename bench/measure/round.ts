import type { LoadBounds } from "../load/protocol.js";
import type { Metric } from "../metric.js";
import * as metrics from "../metric.js";
import type { Child } from "../process/child.js";
import { forgetPeak, machineCpuSeconds, peakRss, readUsage } from "../process/usage.js";
import type { Driver } from "./driver.js";

/** What a process under test is written in: what of its memory can be counted. */
export type Language = "node" | "go" | "c++";

/** What one process under test did in one round. Times in seconds, latencies in microseconds. */
export interface Round {
  readonly requests: number;
  readonly seconds: number;
  readonly cpu: number;
  /** Time that its threads waited for the CPU, for each other or for strangers. */
  readonly wait: number;
  /** Pauses of JavaScript for garbage collection; undefined where it is not written in JavaScript. */
  readonly collecting: number | undefined;
  readonly upstreamCpu: number;
  /** CPU of the load generator; undefined where the process drives itself. */
  readonly loadCpu: number | undefined;
  /** CPU of all CPUs that went to others than these, or was taken by the machine's host. */
  readonly strangersCpu: number;
  /** Undefined where nothing counts it. */
  readonly allocated: number | undefined;
  readonly p50: number | undefined;
  readonly p99: number | undefined;
  readonly peakRss: number;
}

/** How a metric is read from a round. */
export const roundMetrics: readonly { readonly metric: Metric; of(round: Round): number | undefined }[] = [
  { metric: metrics.throughput, of: round => round.requests / round.seconds },
  { metric: metrics.requestCpu, of: round => (round.cpu / round.requests) * 1e6 },
  {
    metric: metrics.requestBytes,
    of: ({ allocated, requests }) => (allocated === undefined ? undefined : allocated / requests),
  },
  { metric: metrics.median, of: round => round.p50 },
  { metric: metrics.tail, of: round => round.p99 },
  {
    metric: metrics.collection,
    of: ({ collecting, seconds }) => (collecting === undefined ? undefined : (collecting / seconds) * 100),
  },
  { metric: metrics.peakMemory, of: round => round.peakRss },
];

/** Who works in a round. */
export interface Actors {
  /** The process under test. */
  readonly child: Child;
  readonly language: Language;
  readonly driver: Driver;
  readonly upstream: Child;
}

/** One round by a driver that is open. */
export async function runRound(
  { child, language, driver, upstream }: Actors,
  bounds: LoadBounds,
): Promise<Round> {
  forgetPeak(child.pid);
  const allocated = language === "c++" ? 0 : await child.allocated();
  const collected = language === "node" ? await child.collected() : 0;
  const machine = machineCpuSeconds();
  const before = { own: readUsage(child.pid), upstream: readUsage(upstream.pid) };
  const { requests, seconds, cpuSeconds, p50, p99 } = await driver.run(bounds);
  const after = { own: readUsage(child.pid), upstream: readUsage(upstream.pid) };
  const all = machineCpuSeconds() - machine;
  const cpu = after.own.cpuSeconds - before.own.cpuSeconds;
  const upstreamCpu = after.upstream.cpuSeconds - before.upstream.cpuSeconds;
  return {
    requests,
    seconds,
    cpu,
    wait: after.own.waitSeconds - before.own.waitSeconds,
    upstreamCpu,
    loadCpu: cpuSeconds,
    strangersCpu: Math.max(0, all - cpu - upstreamCpu - (cpuSeconds ?? 0)),
    allocated: language === "c++" ? undefined : (await child.allocated()) - allocated,
    collecting: language === "node" ? (await child.collected()) - collected : undefined,
    p50,
    p99,
    peakRss: peakRss(child.pid),
  };
}
