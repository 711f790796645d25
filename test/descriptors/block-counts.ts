/** Loads descriptors in a process of its own and counts by turn how often each loop and function of the code runs. */
import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import * as module from "node:module";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import type { DescriptorInput } from "../../src/descriptors/load/load.js";
import type { Pace } from "../../src/net/pace.js";
import { scriptOptions } from "../node-script.js";
import { counted, type Loaded } from "./count-blocks.js";

/** The task of one process. */
export interface Task {
  readonly inputs: readonly (DescriptorInput | { readonly kind: "reflected"; readonly set: string })[];
  /** What is counted: loading by turns, or one turn that asks the loaded model for what it has linked. */
  readonly count: "loading" | "asking";
  readonly unitsPerTurn: number;
}

export interface Counts {
  readonly failed: boolean;
  readonly turns: number;
  /** The most units of one turn, and of one step. */
  readonly maxUnits: number;
  readonly maxStep: number;
  /** The most runs of one block in one turn, and where that is. */
  readonly most: { readonly count: number; readonly where: string };
  /** What the model has of `p.W`, `p.E` and `p.S`, where it was asked. */
  readonly asked: {
    readonly names?: number | undefined;
    readonly numbers?: number | undefined;
    readonly line?: number | undefined;
  };
}

/** The modules whose blocks are counted. */
const scripts = "/src/(?:descriptors|wire|net)/";

type Load = (url: string, context: unknown, next: (url: string, context: unknown) => Loaded) => Loaded;

/** Node.js 20 has only the hooks that run apart, and there the TypeScript loader uses those too. */
const { register, registerHooks } = module as typeof module & {
  registerHooks?: (hooks: { load: Load }) => void;
};

function countWhereCounted(url: string, loaded: Loaded): Loaded {
  return new RegExp(scripts).test(url) ? counted(url, loaded) : loaded;
}

const script = fileURLToPath(import.meta.url);

export async function countBlocks(task: Task): Promise<Counts> {
  const { stdout } = await promisify(execFile)(
    process.execPath,
    [...scriptOptions, script, JSON.stringify(task)],
    // The code that runs is not the code that coverage is told of.
    { env: { ...process.env, NODE_V8_COVERAGE: undefined } },
  );
  return JSON.parse(stdout);
}

interface CountedModule {
  readonly url: string;
  readonly counts: Uint32Array;
  /** Offsets of the blocks in the JavaScript of the module. */
  readonly places: readonly number[];
}

class CountingPace implements Pace {
  readonly #unitsPerTurn: number;
  readonly #modules: readonly CountedModule[];
  turns = 0;
  maxUnits = 0;
  maxStep = 0;
  most = { count: 0, where: "" };
  #units = 0;

  constructor(unitsPerTurn: number, modules: readonly CountedModule[]) {
    this.#unitsPerTurn = unitsPerTurn;
    this.#modules = modules;
    for (const { counts } of modules) counts.fill(0);
  }

  spent(units: number): boolean {
    this.#units += units;
    this.maxStep = Math.max(this.maxStep, units);
    return this.#units >= this.#unitsPerTurn;
  }

  async nextTurn(): Promise<void> {
    this.turns++;
    this.maxUnits = Math.max(this.maxUnits, this.#units);
    this.#units = 0;
    for (const { url, counts, places } of this.#modules) {
      for (const [at, count] of counts.entries())
        if (count > this.most.count) this.most = { count, where: `${url} at ${places[at]}` };
      counts.fill(0);
    }
  }
}

async function main({ inputs: given, count, unitsPerTurn }: Task): Promise<Counts> {
  const modules: CountedModule[] = [];
  Object.assign(globalThis, {
    countBlocks(url: string, places: readonly number[]) {
      const counts = new Uint32Array(places.length);
      modules.push({ url, counts, places });
      return counts;
    },
  });
  if (registerHooks === undefined) register("./count-blocks.js", import.meta.url, { data: scripts });
  else registerHooks({ load: (url, context, next) => countWhereCounted(url, next(url, context)) });
  const { loadModel } = await import("../../src/descriptors/load/load.js");
  const { decodeSet } = await import("../../src/descriptors/descriptor-codec.js");
  const inputs = given.map(
    (input): DescriptorInput =>
      input.kind === "reflected"
        ? { kind: "files", origin: "backend", files: decodeSet(readFileSync(input.set)) }
        : input,
  );
  let pace = new CountingPace(unitsPerTurn, modules);
  let failed = false;
  let asked: Counts["asked"] = {};
  try {
    const { model } = await loadModel(inputs, pace);
    if (count === "asking") {
      pace = new CountingPace(unitsPerTurn, modules);
      asked = {
        names: model.message("p.W")?.fieldsByName.size,
        numbers: model.enum("p.E")?.valuesByNumber.size,
        line: model.services.get("p.S")?.methods[0]?.line,
      };
    }
  } catch {
    failed = true;
  }
  await pace.nextTurn();
  const { turns, maxUnits, maxStep, most } = pace;
  return { failed, turns, maxUnits, maxStep, most, asked };
}

const [, file, task] = process.argv;
if (file === script && task !== undefined) process.stdout.write(JSON.stringify(await main(JSON.parse(task))));
