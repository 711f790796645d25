import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { pinned } from "./cpus.js";

export function hasStrace(): boolean {
  try {
    execFileSync("strace", ["--version"], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

/**
 * Counts the system calls of a process, all threads, while `work` runs. That slows the process down: its times mean
 * nothing meanwhile.
 * @returns undefined where strace may not look at the process
 */
export async function countCalls(
  pid: number,
  cpu: number | undefined,
  work: () => Promise<void>,
): Promise<number | undefined> {
  const [command, args] = pinned(cpu, "strace", ["-c", "-f", "-p", String(pid)]);
  const strace = spawn(command, args, { stdio: ["ignore", "ignore", "pipe"] });
  const ended = once(strace, "close");
  let calls: number | undefined;
  const lines = createInterface({ input: strace.stderr as Readable });
  const attached = new Promise<boolean>(resolve => {
    lines.on("line", line => {
      if (/Process \d+ attached/.test(line)) resolve(true);
      const total = /^100\.00\s+\S+\s+\S+\s+(\d+).*\btotal$/.exec(line)?.[1];
      if (total !== undefined) calls = Number(total);
    });
    void ended.then(() => resolve(false));
  });
  try {
    if (!(await attached)) return undefined;
    await work();
  } finally {
    await detach(strace, ended);
  }
  return calls;
}

async function detach(strace: ChildProcess, ended: Promise<unknown>): Promise<void> {
  strace.kill("SIGINT");
  await ended;
}
