/**
 * Preloaded (`--import`) into every server of the bench that runs on Node. Answers on descriptor 3, a line for a
 * line, and ends the process when the bench is gone: `allocated` tells the bytes so far, `profile` starts a CPU
 * profile, `profile FILE` writes it. See `Child`; bench/peers/control does the first in Go.
 */
import { writeFileSync } from "node:fs";
import { Session } from "node:inspector/promises";
import { Socket } from "node:net";
import { createInterface } from "node:readline";
import { AllocationCounter } from "./gc-allocation.js";

const counter = new AllocationCounter();
const session = new Session();
const samplingMicroseconds = 200;

async function answer(question: string): Promise<string> {
  if (question === "allocated") return String(counter.total());
  const file = question.slice("profile ".length);
  if (file === "") {
    session.connect();
    await session.post("Profiler.enable");
    await session.post("Profiler.setSamplingInterval", { interval: samplingMicroseconds });
    await session.post("Profiler.start");
  } else {
    const { profile } = await session.post("Profiler.stop");
    session.disconnect();
    writeFileSync(file, JSON.stringify(profile));
  }
  return "done";
}

const socket = new Socket({ fd: 3, readable: true, writable: true });
createInterface({ input: socket }).on("line", line => {
  void answer(line).then(text => socket.write(`${text}\n`));
});
socket.on("close", () => process.exit());
socket.on("error", () => process.exit());
socket.unref();
