import { getHeapSpaceStatistics, setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

setFlagsFromString("--expose-gc");
/** Collects garbage: of the young alone, or all. */
export const collect = runInNewContext("gc") as (options?: { readonly type: "minor" }) => void;

/**
 * Bytes by which V8's old space grows while something runs; what existed before is in the old space already. Garbage
 * that gets there stays until the next major collection, so a dead object there must not hold objects of the young
 * generation. The least of three runs: the runtime's own objects (compiled code, a table that doubles) are promoted in
 * one of them.
 */
export async function grownOldSpace(
  before: () => void | Promise<void>,
  meanwhile: () => void | Promise<void>,
): Promise<number> {
  await before();
  let least = Number.POSITIVE_INFINITY;
  for (let times = 0; times < 3; times++) {
    collect();
    collect();
    const was = oldSpace();
    await meanwhile();
    collect({ type: "minor" });
    collect({ type: "minor" });
    least = Math.min(least, oldSpace() - was);
  }
  return least;
}

/**
 * The least of three measurements of what stays in memory or is used for a while: what the runtime does beside what is
 * measured (compiling, a table that doubles) falls into one of them.
 */
export async function leastOfThree(measure: () => Promise<number>): Promise<number> {
  const found = [await measure(), await measure(), await measure()];
  return Math.min(...found);
}

function oldSpace(): number {
  const found = getHeapSpaceStatistics().find(({ space_name }) => space_name === "old_space");
  return found?.space_used_size ?? 0;
}
