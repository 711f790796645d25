import assert from "node:assert/strict";
import { test } from "node:test";
import { requestCpu, throughput } from "../../bench/metric.js";
import { compare, medianOf } from "../../bench/row.js";

const comparison = { group: "rest", workload: "small GET", subject: "protogate", baseline: "naive" };

test("less CPU than the baseline is a ratio above 1", () => {
  assert.deepEqual(compare(comparison, requestCpu, [50, 40, 25], [100, 100, 100]), {
    ...comparison,
    metric: "cpu_us_per_request",
    value: 40,
    baseline_value: 100,
    ratio: 2.5,
    spread: [2, 4],
  });
});

test("more requests than the baseline is a ratio above 1", () => {
  const row = compare(comparison, throughput, [300, 200], [100, 100]);
  assert.deepEqual([row?.ratio, row?.spread], [2.5, [2, 3]]);
});

test("the ratio is the median over pairs, not the ratio of medians", () => {
  const row = compare(comparison, throughput, [10, 100, 1000], [10, 10, 500]);
  assert.deepEqual([row?.value, row?.baseline_value, row?.ratio], [100, 10, 2]);
});

test("pairs in which either side was not measured do not count", () => {
  const row = compare(comparison, requestCpu, [undefined, 10, 0, 10], [10, undefined, 10, 30]);
  assert.deepEqual([row?.value, row?.baseline_value, row?.ratio, row?.spread], [10, 30, 3, [3, 3]]);
});

test("there is no row where no pair was measured", () => {
  assert.equal(compare(comparison, requestCpu, [undefined, 5], [5, undefined]), undefined);
});

test("the median of an even number of values is the mean of the middle two", () => {
  assert.equal(medianOf([4, 1, 3, 2]), 2.5);
  assert.equal(medianOf([10, 9, 100]), 10);
});
