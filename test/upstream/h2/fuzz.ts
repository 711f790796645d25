/**
 * Fuzzes the HTTP/2 client without an end in sight: `node --import tsx test/upstream/h2/fuzz.ts [seconds] [seed]`.
 * Prints the seed of what went wrong. The suite runs some rounds of the same.
 */
import { fuzzConnection, fuzzFrames, fuzzHpack } from "./fuzz-rounds.js";

const seconds = Number(process.argv[2] ?? 60);
const first = Number(process.argv[3] ?? Date.now() % 2 ** 31);
const until = performance.now() + seconds * 1000;

let seed = first;
for (; performance.now() < until; seed++) {
  try {
    for (let sub = 0; sub < 200; sub++) {
      fuzzFrames(seed * 200 + sub);
      fuzzHpack(seed * 200 + sub);
    }
    await fuzzConnection(seed);
  } catch (error) {
    console.error(`seed ${seed}:`, error);
    process.exit(1);
  }
}
console.log(`${seed - first} rounds from seed ${first}, nothing found`);
