/**
 * Preloaded (`--import`) into every program of the bench that runs on Node. Answers on descriptor 3, a line for a
 * line, and ends the process when the bench is gone. See `Child`; bench/peers/control does the first in Go.
 */
import { writeFileSync } from "node:fs";
import { Session } from "node:inspector/promises";
import { Socket } from "node:net";
import { createInterface } from "node:readline";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { AllocationCounter } from "./gc-allocation.js";

/** Answers a question whose first word it is listed by; `rest` is what follows. */
type Answer = (rest: string) => string | Promise<string>;

const session = new Session();
const samplingMicroseconds = 200;
const samplingBytes = 4096;

/** Begins with the first question, as the profiler that it reads keeps an account of every collection. */
let counter: AllocationCounter | undefined;

/** A program adds what it alone can answer. */
export const answers = new Map<string, Answer>([
  ["allocated", () => String(counted().total())],
  ["collected", () => String(counted().collecting())],
  ["heap", () => String(heapInUse())],
  ["profile", file => (file === "" ? startProfile() : stopProfile(file))],
  ["allocations", file => (file === "" ? startAllocations() : stopAllocations(file))],
]);

function counted(): AllocationCounter {
  counter ??= new AllocationCounter();
  return counter;
}

/** Bytes of the heap that are still in use after all garbage was collected. */
function heapInUse(): number {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  // What the first run sets free by finalizers is collected by the second.
  collect();
  collect();
  return process.memoryUsage().heapUsed;
}

async function startProfile(): Promise<string> {
  session.connect();
  await session.post("Profiler.enable");
  await session.post("Profiler.setSamplingInterval", { interval: samplingMicroseconds });
  await session.post("Profiler.start");
  return "done";
}

async function stopProfile(file: string): Promise<string> {
  const { profile } = await session.post("Profiler.stop");
  session.disconnect();
  writeFileSync(file, JSON.stringify(profile));
  return "done";
}

async function startAllocations(): Promise<string> {
  session.connect();
  await session.post("HeapProfiler.startSampling", {
    samplingInterval: samplingBytes,
    includeObjectsCollectedByMajorGC: true,
    includeObjectsCollectedByMinorGC: true,
  } as object);
  return "done";
}

async function stopAllocations(file: string): Promise<string> {
  const { profile } = await session.post("HeapProfiler.stopSampling");
  session.disconnect();
  writeFileSync(file, JSON.stringify(profile));
  return "done";
}

async function answer(line: string): Promise<string> {
  const [question = "", rest = ""] = line.split(/ (.*)/, 2);
  const find = answers.get(question);
  return find === undefined ? `cannot answer ${question}` : find(rest);
}

const socket = new Socket({ fd: 3, readable: true, writable: true });
createInterface({ input: socket }).on("line", line => {
  void answer(line).then(text => socket.write(`${text}\n`));
});
socket.on("close", () => process.exit());
socket.on("error", () => process.exit());
socket.unref();

/** Lets a program live that waits for questions alone. */
export function waitForQuestions(): void {
  socket.ref();
}
