/** What was promised of each fault and what is seen, as a table: `npm run faults -- [--only TEXT]…`. */
import { parseArgs } from "node:util";
import { type Verdict, verdictOf } from "./fault.js";
import { faults } from "./faults.js";

const { only = [] } = parseArgs({ options: { only: { type: "string", multiple: true } } }).values;
const wanted = faults.filter(({ name }) => only.length === 0 || only.some(text => name.includes(text)));
if (wanted.length === 0)
  throw new Error(
    `no fault has "${only.join('" or "')}" in its name: ${faults.map(({ name }) => name).join("; ")}`,
  );

process.stdout.write("| fault | promised | seen | |\n|---|---|---|---|\n");
const verdicts: Verdict[] = [];
for (const fault of wanted) {
  const verdict = await verdictOf(fault);
  verdicts.push(verdict);
  const { name, promised, seen, result } = verdict;
  process.stdout.write(`| ${name} | ${promised} | ${seen.replaceAll(/\s+/g, " ")} | ${result} |\n`);
}
const count = (result: Verdict["result"]): number => verdicts.filter(each => each.result === result).length;
process.stdout.write(`\n${count("kept")} kept, ${count("broken")} broken, ${count("skipped")} skipped\n`);
process.exit(count("broken") > 0 ? 1 : 0);
