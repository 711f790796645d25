/**
 * Preloaded into a gateway: how long its event loop stood still at most since the last question, in milliseconds, and
 * the most CPU time of its thread between two looks, which other programs of the machine do not prolong.
 */
import { readFileSync } from "node:fs";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { answers } from "../process/control-probe.js";

const resolution = 5;
const delay = monitorEventLoopDelay({ resolution });
delay.enable();

/** Nanoseconds of CPU time that the main thread has had. */
function used(): number {
  return Number(readFileSync(`/proc/self/task/${process.pid}/schedstat`, "latin1").split(" ", 1)[0]);
}

let before = used();
let longest = 0;
setInterval(() => {
  const now = used();
  longest = Math.max(longest, now - before);
  before = now;
}, resolution).unref();

answers.set("stall", () => {
  const text = [delay.max, longest].map(nanoseconds => Math.round(nanoseconds / 1e6)).join(" ");
  delay.reset();
  longest = 0;
  return text;
});
