import { test } from "node:test";
import { fuzzConnection, fuzzFrames, fuzzHpack } from "./fuzz-rounds.js";

test("frames made at random end in events or in a ConnectionError", () => {
  for (let seed = 1; seed <= 3000; seed++) fuzzFrames(seed);
});

test("header blocks made at random end in fields or in a ConnectionError", () => {
  for (let seed = 1; seed <= 3000; seed++) fuzzHpack(seed);
});

test("calls to a server whose answers are damaged end, and others go on", async () => {
  for (let seed = 1; seed <= 4; seed++) await fuzzConnection(seed);
});
