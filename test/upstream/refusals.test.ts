import assert from "node:assert/strict";
import { test } from "node:test";
import { type RefusalKind, Refusals } from "../../src/upstream/call/refusals.js";

/** The pauses until a call that meets nothing else is no longer sent again. */
function pausesOf(kind: RefusalKind): number[] {
  let now = 1_000;
  const refusals = new Refusals(kind, () => now);
  const pauses: number[] = [];
  for (let pause = refusals.next(); pause !== undefined; pause = refusals.next()) {
    pauses.push(pause);
    now += pause;
  }
  return pauses;
}

test("a refused call is sent again 8 times, at once and then after growing pauses of at most a second", () => {
  const [first, ...others] = pausesOf("refused");
  assert.equal(first, 0);
  assert.equal(others.length, 7);
  others.forEach((pause, index) => {
    const ceiling = Math.min(50 * 2 ** index, 1_000);
    assert.ok(pause >= ceiling / 2 && pause <= ceiling, `${pause} of ${ceiling}`);
  });
});

test("a call above the last stream of GOAWAY is sent again for 30 seconds, with growing pauses of at most 500 ms", () => {
  const [first, ...others] = pausesOf("goaway");
  assert.equal(first, 0);
  const total = others.reduce((sum, pause) => sum + pause, 0);
  assert.ok(total > 29_500 && total <= 30_000, `${total}`);
  others.forEach((pause, index) => {
    const ceiling = Math.min(5 * 2 ** index, 500);
    assert.ok(pause >= ceiling / 2 && pause <= ceiling, `${pause} of ${ceiling}`);
  });
});
