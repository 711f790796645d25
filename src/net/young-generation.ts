import { performance } from "node:perf_hooks";
import { getHeapSpaceStatistics, setFlagsFromString } from "node:v8";

/** Capacities in MiB. V8 keeps as much again, for copies of what survives. */
const [leastMiB, mostMiB] = [2, 16];
/** Part of a CPU from which on time counts for more than memory: with 2 MiB a small request takes 5 to 10 % more of it. */
const busyShare = 0.3;
const watchMs = 500;
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
 * Makes the young generation grow to 2 MiB, and to 16 while the process uses a good part of a CPU; also again, after V8
 * has made it small while there was nothing to do. By itself V8 doubles it as objects survive in all, however few at a
 * time. Does nothing where Node.js was started with `--min-semi-space-size` or `--max-semi-space-size`.
 */
export function sizeYoungGeneration(): void {
  if (isChosen) return;
  growTo(leastMiB);
  let used = usedMs();
  let at = performance.now();
  setInterval(() => {
    const now = performance.now();
    const usedNow = usedMs();
    const share = (usedNow - used) / (now - at);
    used = usedNow;
    at = now;
    growTo(share > busyShare ? mostMiB : leastMiB);
  }, watchMs).unref();
}

/** CPU time of all threads of the process so far. */
function usedMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
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
