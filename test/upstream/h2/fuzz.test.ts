import { test } from "node:test";
import { fuzzConnection, fuzzFrames, fuzzHpack } from "./fuzz-rounds.js";

test("random frames end in events or in a ConnectionError", () => {
  for (let seed = 1; seed <= 3000; seed++) fuzzFrames(seed);
});

test("random header blocks end in fields or in a ConnectionError", () => {
  for (let seed = 1; seed <= 3000; seed++) fuzzHpack(seed);
});

test("calls to a server with damaged responses end, and calls to other servers succeed", async () => {
  for (let seed = 1; seed <= 4; seed++) await fuzzConnection(seed);
});
