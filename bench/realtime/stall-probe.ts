/** Preloaded into a gateway: how long its event loop stood still at most, in milliseconds, since the last question. */
import { monitorEventLoopDelay } from "node:perf_hooks";
import { answers } from "../process/control-probe.js";

const delay = monitorEventLoopDelay({ resolution: 5 });
delay.enable();
answers.set("stall", () => {
  const longest = Math.round(delay.max / 1e6);
  delay.reset();
  return String(longest);
});
