import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { setImmediate } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { withoutOptimizing } from "../../src/net/late-optimization.js";

setFlagsFromString("--allow-natives-syntax");
const statusOf = new Function("of", "return %GetOptimizationStatus(of)") as (of: unknown) => number;
/** The bit of `%GetOptimizationStatus` for code of V8's optimizing compiler. */
const optimized = 1 << 6;

/** A function of its own, which nothing has run yet. */
function workload(): (from: number) => number {
  return new Function(
    "from",
    "let sum = from; for (let i = 0; i < 100; i++) sum = (sum * 31 + i) | 0; return sum",
  ) as (from: number) => number;
}

/** Whether a function is optimized after at most so many rounds of calls. The compiler works beside the rounds. */
async function isOptimized(work: (from: number) => number, rounds: number): Promise<boolean> {
  for (let round = 0; round < rounds; round++) {
    for (let call = 0; call < 10_000; call++) work(call);
    await setImmediate();
    if ((statusOf(work) & optimized) !== 0) return true;
  }
  return false;
}

describe("the optimizing compiler during a start", () => {
  it("functions that run often are not optimized during a start where V8 has no Maglev, and are after it", async () => {
    const work = workload();
    const hasMaglev = Number.parseInt(process.versions.node, 10) >= 24;
    assert.equal(await withoutOptimizing(() => isOptimized(work, hasMaglev ? 20_000 : 20)), hasMaglev);
    assert.equal(await isOptimized(work, 20_000), true);
  });

  it("functions are optimized after a start that failed", async () => {
    await assert.rejects(
      withoutOptimizing(() => Promise.reject(new Error("no"))),
      /no/,
    );
    assert.equal(await isOptimized(workload(), 20_000), true);
  });

  it("functions are optimized in a start that uses more than 2 s of CPU time", async () => {
    const work = workload();
    assert.equal(await withoutOptimizing(() => isOptimized(work, 100_000)), true);
  });
});
