import { getHeapSpaceStatistics, setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

/**
 * Bytes by which V8's old space grows while something runs; what existed before is in the old space already. Garbage
 * that gets there stays until the next major collection, so a dead object there must not hold objects of the young
 * generation. The least of three runs: the runtime's own objects (compiled code, a table that doubles) are promoted in
 * one of them.
 */
export function grownOldSpace(before: () => void, meanwhile: () => void): number {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as (options?: { readonly type: "minor" }) => void;
  before();
  const grown = Array.from({ length: 3 }, () => {
    collect();
    collect();
    const was = oldSpace();
    meanwhile();
    collect({ type: "minor" });
    collect({ type: "minor" });
    return oldSpace() - was;
  });
  return Math.min(...grown);
}

function oldSpace(): number {
  const found = getHeapSpaceStatistics().find(({ space_name }) => space_name === "old_space");
  return found?.space_used_size ?? 0;
}
