import assert from "node:assert/strict";
import { test } from "node:test";
import { slope } from "../../bench/soak/trend.js";

test("the slope of points on a line is that of the line", () => {
  const points = [0, 10, 20, 50].map(at => ({ at, value: 7 + 0.5 * at }));
  assert.equal(slope(points), 0.5);
});

test("a value that goes up and down without growing has a slope near zero", () => {
  const points = [1, 2, 3, 4].map((at, index) => ({ at, value: [5, 9, 9, 5][index] ?? 0 }));
  assert.equal(slope(points), 0);
});

test("fewer than two points have no slope", () => {
  assert.equal(slope([]), 0);
  assert.equal(slope([{ at: 3, value: 8 }]), 0);
});
