import { repeatOnUws } from "../engine.js";

/** Without a network, or in a process of their own. */
const withoutEngine = [
  "config.test.ts",
  "frame-reader.test.ts",
  "history.test.ts",
  "interleavings.test.ts",
  "memory.test.ts",
  "notices-kept.test.ts",
  "promise.test.ts",
  "slow-interleavings.test.ts",
];

await repeatOnUws(import.meta.url, withoutEngine);
