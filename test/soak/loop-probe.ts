/** Loaded into a process by `--import`: at SIGUSR2 it writes what it is like to `FOLDER/PID.json`, FOLDER as in its own URL. */
import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";

export interface ProcessSample {
  /** The most CPU time that one turn of the event loop took since the sample before, milliseconds. */
  readonly turnMs: number;
  /** Bytes in use after a collection: the heap of JavaScript, and buffers. */
  readonly heap: number;
}

const folder = new URL(import.meta.url).searchParams.get("folder");
if (folder !== null) {
  let last = cpuMs();
  let longest = 0;
  setInterval(() => {
    const now = cpuMs();
    longest = Math.max(longest, now - last);
    last = now;
  }, 1).unref();
  process.on("SIGUSR2", () => {
    const turnMs = longest;
    for (let times = 0; times < 4; times++) globalThis.gc?.();
    const { heapUsed, arrayBuffers } = process.memoryUsage();
    const sample: ProcessSample = { turnMs, heap: heapUsed + arrayBuffers };
    const file = join(folder, `${process.pid}.json`);
    writeFileSync(`${file}.new`, JSON.stringify(sample));
    renameSync(`${file}.new`, file);
    // The collections are not the gateway's.
    last = cpuMs();
    longest = 0;
  });
}

/** Of the thread of the event loop, by the scheduler of Linux: how busy the machine is makes no difference. */
function cpuMs(): number {
  return Number(readFileSync(`/proc/self/task/${process.pid}/schedstat`, "utf8").split(" ", 1)[0]) / 1e6;
}
