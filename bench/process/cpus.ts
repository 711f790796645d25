import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";

/** Which CPUs the parts of a run are kept on. */
export interface Cpus {
  /** The server under test; undefined where nothing is pinned. */
  readonly server: number | undefined;
  /** Load and upstream. */
  readonly load: number | undefined;
  readonly description: string;
}

/** Pins where `taskset` is there and this process may use two CPUs; elsewhere says that nothing is pinned. */
export function chooseCpus(): Cpus {
  const [server, load] = allowed();
  if (server === undefined || load === undefined) return unpinned("there are not two CPUs to pin to");
  try {
    execFileSync("taskset", ["--version"], { stdio: "ignore" });
  } catch {
    return unpinned("taskset is not installed");
  }
  return {
    server,
    load,
    description: `servers under test pinned to CPU ${server}, load generator and upstream to CPU ${load}`,
  };
}

/** A command line that runs on one CPU. */
export function pinned(
  cpu: number | undefined,
  command: string,
  args: readonly string[],
): [string, string[]] {
  return cpu === undefined ? [command, [...args]] : ["taskset", ["-c", String(cpu), command, ...args]];
}

function unpinned(why: string): Cpus {
  return { server: undefined, load: undefined, description: `nothing is pinned: ${why}` };
}

/** The CPUs that this process may use (Linux); none where that is not known. */
function allowed(): number[] {
  let status: string;
  try {
    status = readFileSync("/proc/self/status", "utf8");
  } catch {
    return [];
  }
  const ranges = /^Cpus_allowed_list:\s*(\S+)/m.exec(status)?.[1] ?? "";
  return ranges.split(",").flatMap(range => {
    const [first, last = first] = range.split("-").map(Number) as [number, number?];
    return Array.from({ length: last - first + 1 }, (_, index) => first + index);
  });
}
