/**
 * Fuzzes the readers of `targets.ts`: `npm run fuzz -- [--only NAME] [--seconds N] [--seed N] [--minimize]`.
 * Inputs that reach new code are kept in the corpus; an input that breaks a property is kept too and ends the run with
 * exit code 1. `--minimize` first drops kept inputs that reach nothing of their own.
 */
import { parseArgs } from "node:util";
import { forget, keep, readCorpus } from "./corpus.js";
import { Coverage } from "./coverage.js";
import { mutate, randomFrom } from "./mutate.js";
import { type FuzzTarget, targets } from "./targets.js";

const { values } = parseArgs({
  options: {
    only: { type: "string" },
    seconds: { type: "string", default: "20" },
    seed: { type: "string", default: String(Date.now() % 2 ** 31) },
    minimize: { type: "boolean", default: false },
  },
});

/** Longer inputs only cost time. */
const maxInputBytes = 2048;
/** Runs between two looks at the coverage: reading it costs more than a run. */
const batch = 1024;

const chosen = targets.filter(({ name }) => values.only === undefined || name === values.only);
if (chosen.length === 0) {
  console.error(`no target "${values.only}"; there are ${targets.map(({ name }) => name).join(", ")}`);
  process.exit(2);
}
console.log(`seed ${values.seed}`);
for (const target of chosen) await fuzz(target, Number(values.seconds), Number(values.seed));

async function fuzz(target: FuzzTarget, seconds: number, seed: number): Promise<void> {
  const coverage = await Coverage.start();
  const random = randomFrom(seed);
  const pool: Buffer[] = [];
  for (const { file, bytes } of readCorpus(target.name)) {
    attempt(target, bytes);
    const isNew = await coverage.grew();
    if (isNew || !values.minimize) pool.push(bytes);
    else forget(file);
  }
  for (const text of target.seeds) {
    const bytes = Buffer.from(text, "latin1");
    attempt(target, bytes);
    if (await coverage.grew()) add(bytes);
  }
  let runs = 0;
  const until = performance.now() + seconds * 1000;
  while (performance.now() < until) {
    const inputs = Array.from({ length: batch }, () => mutate(random, pool, maxInputBytes));
    runs += inputs.length;
    await explore(inputs);
  }
  await coverage.stop();
  console.log(`${target.name}: ${runs} inputs tried, ${pool.length} kept`);

  /** Runs inputs, and looks by halves for those that reach new code. */
  async function explore(inputs: readonly Buffer[]): Promise<void> {
    for (const input of inputs) attempt(target, input);
    if (!(await coverage.grew())) return;
    const [input] = inputs;
    if (inputs.length === 1 && input !== undefined) {
      add(input);
      return;
    }
    coverage.forgetLast();
    const half = inputs.length >> 1;
    await explore(inputs.slice(0, half));
    await explore(inputs.slice(half));
  }

  function add(bytes: Buffer): void {
    pool.push(bytes);
    keep(target.name, bytes);
  }
}

function attempt(target: FuzzTarget, input: Buffer): void {
  try {
    target.run(input);
  } catch (error) {
    console.error(`${target.name}: ${keep(target.name, input)}\n${JSON.stringify(input.toString("latin1"))}`);
    console.error(error);
    process.exit(1);
  }
}
