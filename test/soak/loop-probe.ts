/** Loaded into a process by `--import`: at SIGUSR2 it writes what it is like to `FOLDER/PID.json`, FOLDER as in its own URL. */
import { renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { monitorEventLoopDelay } from "node:perf_hooks";

export interface ProcessSample {
  /** Longest time for which the event loop stood still since the sample before, milliseconds. */
  readonly stallMs: number;
  /** Bytes in use after a collection: the heap of JavaScript, and buffers. */
  readonly heap: number;
}

const folder = new URL(import.meta.url).searchParams.get("folder");
if (folder !== null) {
  const delays = monitorEventLoopDelay({ resolution: 1 });
  delays.enable();
  process.on("SIGUSR2", () => {
    const stallMs = delays.max / 1e6;
    for (let times = 0; times < 4; times++) globalThis.gc?.();
    const { heapUsed, arrayBuffers } = process.memoryUsage();
    const sample: ProcessSample = { stallMs, heap: heapUsed + arrayBuffers };
    const file = join(folder, `${process.pid}.json`);
    writeFileSync(`${file}.new`, JSON.stringify(sample));
    renameSync(`${file}.new`, file);
    // The collections are not the gateway's.
    setImmediate(() => delays.reset());
  });
}
