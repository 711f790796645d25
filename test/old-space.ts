import { getHeapSpaceStatistics, setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

/**
 * Bytes by which the space of old objects grows while something goes on, what was there before being old: garbage that
 * comes to be there waits for the slow collector. Something that is old and dead must not hold what is young. The least
 * of three times: the runtime's own objects (compiled code, a table that doubles) become old in one of them.
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
