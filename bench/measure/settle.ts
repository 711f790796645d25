import type { Child } from "../process/child.js";
import { readUsage } from "../process/usage.js";
import type { Driver } from "./driver.js";

/** Batches that must bring nothing before it is settled. */
const idleBatches = 3;
/** Part of the least CPU time so far that a batch must be below to have brought something. */
const progress = 0.95;
const leastBatches = 6;
const mostBatches = 40;
/** Of one batch, whatever it has done by then. */
const longestBatchMs = 15_000;

/** How a process under test was warmed up. CPU in microseconds for each request. */
export interface Settled {
  readonly requests: number;
  /** Of the first batch. */
  readonly cold: number;
  /** Of the last batches, the least. */
  readonly warm: number;
  /** False where it was still falling when the batches ended. */
  readonly settled: boolean;
}

/**
 * Keeps a process busy, a number of requests at a time, until its CPU time for a request falls no more. A clock would
 * give a slow machine fewer requests, and V8 compiles by how often code has run.
 */
export async function settle(
  { child, driver }: { readonly child: Child; readonly driver: Driver },
  batch: number,
): Promise<Settled> {
  const costs: number[] = [];
  let requests = 0;
  while (costs.length < mostBatches && !isSettled(costs)) {
    const before = readUsage(child.pid).cpuSeconds;
    const done = await driver.run({ milliseconds: longestBatchMs, requests: batch });
    costs.push(((readUsage(child.pid).cpuSeconds - before) / done.requests) * 1e6);
    requests += done.requests;
  }
  const warm = Math.min(...costs.slice(-idleBatches));
  return { requests, cold: costs[0] as number, warm, settled: isSettled(costs) };
}

/** @param costs of the batches so far: whether the last ones brought nothing */
export function isSettled(costs: readonly number[]): boolean {
  if (costs.length < leastBatches) return false;
  const earlier = Math.min(...costs.slice(0, -idleBatches));
  return costs.slice(-idleBatches).every(cost => cost > earlier * progress);
}
