/**
 * Long runs that ask whether anything is lost: `npm run soak -- [--only NAME]… [--minutes COUNT] [--seed COUNT]
 * [--calls COUNT] [--streams COUNT]`. With `--minutes` alone it is the mixed one.
 */
import { parseArgs } from "node:util";
import { nearest } from "../../src/config/nearest.js";
import { soakMemory } from "./memory.js";
import { soakMixed } from "./mixed.js";
import { soakReload } from "./reload.js";
import { soakRooms } from "./rooms.js";
import { soakRotation } from "./rotation.js";

const soaks: ReadonlyMap<string, (print: (line: string) => void) => Promise<boolean>> = new Map([
  ["rotation", soakRotation],
  ["memory", soakMemory],
  ["reload", soakReload],
  ["rooms", soakRooms],
  ["mixed", soakMixed],
]);

function wanted(): readonly string[] {
  const text = { type: "string" } as const;
  // Counts are read by the soak that has them.
  const options = {
    only: { type: "string", multiple: true },
    calls: text,
    streams: text,
    minutes: text,
    seed: text,
  } as const;
  const { only, minutes } = parseArgs({ options }).values;
  for (const name of only ?? []) {
    if (soaks.has(name)) continue;
    const near = nearest(name, soaks.keys());
    const hint = near === undefined ? "" : `; did you mean ${near}?`;
    throw new Error(`there is no soak "${name}": expected one of ${[...soaks.keys()].join(", ")}${hint}`);
  }
  return only ?? (minutes === undefined ? [...soaks.keys()] : ["mixed"]);
}

for (const name of wanted()) {
  process.stdout.write(`── ${name} ──\n`);
  const passed = await soaks.get(name)?.(line => void process.stdout.write(`${line}\n`));
  if (passed !== true) process.exitCode = 1;
}
// The runner of tests, which comes with what they share, would print that there were none.
process.exit();
