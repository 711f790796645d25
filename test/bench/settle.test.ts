import assert from "node:assert/strict";
import { test } from "node:test";
import { isSettled } from "../../bench/measure/settle.js";

test("a process whose CPU time falls from batch to batch is not settled", () => {
  assert.equal(isSettled([390, 510, 340, 115, 63, 50, 40, 35]), false);
});

test("a process is settled once three batches have brought nothing", () => {
  const falling = [390, 510, 340, 115, 63, 50, 40];
  assert.equal(isSettled([...falling, 39, 45]), false);
  assert.equal(isSettled([...falling, 39, 45, 41]), true);
});

test("six batches are the least, however even they are", () => {
  assert.equal(isSettled([40, 40, 40, 40, 40]), false);
  assert.equal(isSettled([40, 40, 40, 40, 40, 40]), true);
});
