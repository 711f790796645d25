import { constants, PerformanceObserver } from "node:perf_hooks";
import { getHeapSpaceStatistics, setFlagsFromString } from "node:v8";

/** Capacities in MiB. V8 keeps as much again, for copies of what survives. */
const [leastMiB, mostMiB] = [2, 16];
/** It is doubled where collecting it has taken more than that share of a second. */
const maxShare = 0.05;
const watchMs = 1000;
/** Of 256 KiB; about 16 are needed to grow from 1 to 2 MiB. */
const maxRounds = 256;

/** Node.js was started with a size. */
const isChosen = /\bm(in|ax)[-_]semi[-_]space/.test(
  [...process.execArgv, process.env.NODE_OPTIONS].join(" "),
);

/**
 * Keeps the young generation, where objects are made, at the 1 MiB that V8 begins with, until `sizeYoungGeneration`: what
 * a start makes mostly stays, so that V8 would let it grow and find no less to copy. It is collected by one thread, and
 * so are its buffers, which for the little that survives takes a third of the time of several. To be called before
 * anything else is loaded. Sets flags of the process that V8 reads whenever that part grows or is collected.
 */
export function holdYoungGeneration(): void {
  setFlagsFromString("--no-parallel-scavenge");
  setFlagsFromString("--no-concurrent-array-buffer-sweeping");
  if (!isChosen) setGrowth(1);
}

/**
 * Makes the young generation grow to 2 MiB, and from now on to 4, 8 and 16 where that saves time, as with a thousand
 * requests under way; also again, after V8 has made it small while there was nothing to do. By itself V8 doubles it as
 * objects survive in all, however few at a time. Does nothing where Node.js was started with `--min-semi-space-size` or
 * `--max-semi-space-size`.
 */
export function sizeYoungGeneration(): void {
  if (isChosen) return;
  let took: number[] = [];
  new PerformanceObserver(list => {
    for (const { duration, detail } of list.getEntries() as unknown as readonly Collection[])
      if (detail.kind === constants.NODE_PERFORMANCE_GC_MINOR) took.push(duration);
  }).observe({ entryTypes: ["gc"] });
  growTo(leastMiB);
  setInterval(() => {
    // The median: some have taken long since other programs had the CPU meanwhile.
    const median = took.sort((one, other) => one - other)[took.length >> 1] ?? 0;
    const isScarce = median * took.length > maxShare * watchMs;
    took = [];
    growTo(isScarce ? Math.min(mostMiB, 2 * youngMiB()) : leastMiB);
  }, watchMs).unref();
}

interface Collection {
  /** Milliseconds. */
  readonly duration: number;
  readonly detail: { readonly kind: number };
}

/** V8 lets it grow at a collection, once as many bytes have survived collections as it has. */
function growTo(sizeMiB: number): void {
  const factor = Math.floor(sizeMiB / youngMiB());
  if (factor < 2) return;
  setGrowth(factor);
  let kept: readonly unknown[] = [];
  for (let round = 0; round < maxRounds && youngMiB() < sizeMiB; round++)
    // They survive one collection, as the next ones replace them.
    kept = Array.from({ length: 32 }, () => new Array(1024).fill(kept.length));
  setGrowth(1);
}

function setGrowth(factor: number): void {
  setFlagsFromString(`--semi-space-growth-factor=${factor}`);
}

function youngMiB(): number {
  const space = getHeapSpaceStatistics().find(({ space_name }) => space_name === "new_space");
  if (space === undefined) return mostMiB;
  return Math.max(1, Math.round((space.space_used_size + space.space_available_size) / 2 ** 20));
}
