import assert from "node:assert/strict";
import { test } from "node:test";
import { AllocationCounter } from "../../bench/process/gc-allocation.js";

const copies = 20_000;
const elements = 1000;
/** Eight bytes an element and a few words of header: 160 MB in all, of which almost nothing stays. */
const expected = copies * elements * 8;

function shareOfExpected(allocate: () => unknown): number {
  const counter = new AllocationCounter();
  const kept: unknown[] = [];
  const before = counter.total();
  for (let index = 0; index < copies; index += 1) kept[0] = allocate();
  return (counter.total() - before) / expected;
}

test("memory allocated on the heap counts even after it was freed", () => {
  const doubles = Array.from({ length: elements }, () => 0.5);
  const share = shareOfExpected(() => doubles.slice());
  assert.ok(share > 0.95 && share < 1.1, `counted ${share} of what was allocated`);
});

test("the contents of buffers lie outside of the heap and do not count", () => {
  const share = shareOfExpected(() => new Float64Array(elements));
  assert.ok(share < 0.1, `counted ${share} of what was allocated`);
});

test("the time of collections is counted apart", () => {
  const counter = new AllocationCounter();
  assert.equal(counter.collecting(), 0);
  const before = counter.total();
  while (counter.collecting() === 0 && counter.total() - before < 1e9)
    Array.from({ length: 1000 }, () => ({}));
  assert.ok(counter.collecting() > 0);
});
