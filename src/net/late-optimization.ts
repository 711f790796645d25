import { setFlagsFromString } from "node:v8";

/** Microseconds of CPU time of the process. A start that takes longer runs code often enough to be worth compiling. */
const maxMicroseconds = 2_000_000;
const watchMs = 100;

/** From Node.js 24 on V8 has a compiler between, whose code stays if it was made while the optimizing one was off. */
const isPostponed = Number.parseInt(process.versions.node, 10) < 24;

/**
 * Starts something while V8's optimizing compiler is off, and turns it on when that is done or has used 2 s of CPU time.
 * Most functions of a start are over before optimized code has saved its cost of compilation, in time and in memory
 * that stays. Does nothing from Node.js 24 on. Sets a flag of the process that V8 reads whenever a function has run for
 * a while; counts of calls go on.
 */
export async function withoutOptimizing<T>(start: () => Promise<T>): Promise<T> {
  if (!isPostponed) return start();
  const watch = setInterval(() => {
    const { user, system } = process.cpuUsage();
    if (user + system > maxMicroseconds) optimize();
  }, watchMs).unref();
  const optimize = (): void => {
    clearInterval(watch);
    setFlagsFromString("--opt");
  };
  setFlagsFromString("--no-opt");
  try {
    return await start();
  } finally {
    optimize();
  }
}
