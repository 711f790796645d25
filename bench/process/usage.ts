import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync, readlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** What a process and those that it has started have used since it began (Linux). */
export interface Usage {
  /** User and system time of all threads. */
  readonly cpuSeconds: number;
  /** Time that threads could have run but had to wait for the CPU; 0 where the kernel does not say. */
  readonly waitSeconds: number;
}

export function readUsage(pid: number): Usage {
  const all = familyOf(pid).map(
    each => scheduled(each) ?? { cpuSeconds: tickCpuSeconds(each), waitSeconds: 0 },
  );
  return {
    cpuSeconds: all.reduce((sum, { cpuSeconds }) => sum + cpuSeconds, 0),
    waitSeconds: all.reduce((sum, { waitSeconds }) => sum + waitSeconds, 0),
  };
}

/** A process, the first, and all that it has started, and so on. */
export function familyOf(pid: number): number[] {
  const children = readdirSync(`/proc/${pid}/task`).flatMap(thread => {
    try {
      const text = readFileSync(`/proc/${pid}/task/${thread}/children`, "utf8").trim();
      return text === "" ? [] : text.split(" ").map(Number);
    } catch {
      // The thread has ended since the folder was read.
      return [];
    }
  });
  return [pid, ...children.flatMap(familyOf)];
}

/** The most memory that was resident since `forgetPeak`, bytes; 0 where it is not known. */
export function peakRss(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  return Number(/VmHWM:\s+(\d+)/.exec(status)?.[1] ?? 0) * 1024;
}

/** The memory that is resident now, bytes. */
export function residentMemory(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0) * 1024;
}

/** Sockets that it has open, those of listeners included. */
export function openSockets(pid: number): number {
  const folder = `/proc/${pid}/fd`;
  return readdirSync(folder).filter(fd => isSocket(join(folder, fd))).length;
}

function isSocket(link: string): boolean {
  try {
    return readlinkSync(link).startsWith("socket:");
  } catch {
    // It was closed since the folder was read.
    return false;
  }
}

/** Starts the peak anew from what is resident now. */
export function forgetPeak(pid: number): void {
  try {
    writeFileSync(`/proc/${pid}/clear_refs`, "5");
  } catch {
    // Without the right to do it the peak is that of the process's whole life.
  }
}

/** From the scheduler, to the nanosecond; undefined where the kernel keeps no such account. */
function scheduled(pid: number): Usage | undefined {
  let ran = 0;
  let waited = 0;
  for (const thread of readdirSync(`/proc/${pid}/task`)) {
    let fields: string[];
    try {
      fields = readFileSync(`/proc/${pid}/task/${thread}/schedstat`, "utf8").split(" ");
    } catch {
      return undefined;
    }
    ran += Number(fields[0]);
    waited += Number(fields[1]);
  }
  return ran === 0 ? undefined : { cpuSeconds: ran / 1e9, waitSeconds: waited / 1e9 };
}

/** Time that the machine's CPUs, all together, have been busy or taken away by its host, in seconds (Linux). */
export function machineCpuSeconds(): number {
  const [, ...ticks] = (readFileSync("/proc/stat", "utf8").split("\n", 1)[0] ?? "").split(/ +/).map(Number);
  // proc(5): idle and waiting for I/O are the fourth and fifth, guests from the ninth on are in the first two already.
  const busy = ticks.slice(0, 8).filter((_, index) => index !== 3 && index !== 4);
  return busy.reduce((sum, each) => sum + each, 0) / clockTicks();
}

let ticksPerSecond = 0;

function clockTicks(): number {
  ticksPerSecond ||= Number(execFileSync("getconf", ["CLK_TCK"], { encoding: "utf8" }));
  return ticksPerSecond;
}

/** utime and stime, to a clock tick. */
function tickCpuSeconds(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  // The command may hold spaces; what follows its closing bracket does not. utime and stime are fields 14 and 15.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) / clockTicks();
}
