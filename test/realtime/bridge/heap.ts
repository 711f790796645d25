import { getHeapSpaceStatistics, setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

setFlagsFromString("--expose-gc");
/** Collects garbage: of the young alone, or all. */
export const collect = runInNewContext("gc") as (options?: { readonly type: "minor" }) => void;

/** As `grownOldSpace`, of what takes turns of the event loop. */
export async function grownOldSpaceOf(
  before: () => Promise<void>,
  meanwhile: () => Promise<void>,
): Promise<number> {
  await before();
  collect();
  collect();
  const was = oldSpace();
  await meanwhile();
  collect({ type: "minor" });
  collect({ type: "minor" });
  return oldSpace() - was;
}

function oldSpace(): number {
  return getHeapSpaceStatistics().find(({ space_name }) => space_name === "old_space")?.space_used_size ?? 0;
}
