import { readFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { Type } from "../config/type-builder.js";

const maxWorkers = 256;

/** `server.workers`. */
export const workersSchema = Type.Unsafe<number | "auto">({
  anyOf: [{ type: "integer", minimum: 1, maximum: maxWorkers }, { enum: ["auto"] }],
  default: 1,
  description:
    "Processes that share the listeners, from 1 to 256; `auto` is one for each core that the process may use.",
});

/**
 * How many processes serve.
 * @param quota see `cpuQuota`
 */
export function workerCount(workers: number | "auto", quota = cpuQuota()): number {
  if (workers !== "auto") return workers;
  return Math.min(maxWorkers, Math.max(1, Math.floor(Math.min(availableParallelism(), quota))));
}

/** Cores that the control group of the process may use (`docker run --cpus`, `limits.cpu` of Kubernetes). */
function cpuQuota(): number {
  try {
    const [quota = "", period = ""] = readFileSync("/sys/fs/cgroup/cpu.max", "utf8").trim().split(" ");
    return quota === "max" ? Number.POSITIVE_INFINITY : Number(quota) / Number(period);
  } catch {
    return Number.POSITIVE_INFINITY;
  }
}
