import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate as nextTurn } from "node:timers/promises";
import { FlushQueue } from "../../src/net/flush-queue.js";

test("at most 1,000 waiting connections are flushed in a turn, each once and in order, also those added meanwhile", async () => {
  const queue = new FlushQueue();
  const flushed: number[] = [];
  const add = (number: number): void =>
    queue.add({
      flush: () => {
        flushed.push(number);
        if (number < 1500) add(2500 + number);
      },
    });
  for (let number = 0; number < 2500; number++) add(number);
  assert.equal(flushed.length, 0);
  for (let turn = 1; turn <= 4; turn++) {
    const before: number = flushed.length;
    await nextTurn();
    assert.equal(flushed.length - before, 1000, `turn ${turn}`);
  }
  await nextTurn();
  assert.deepEqual(
    flushed,
    Array.from({ length: 4000 }, (_, index) => index),
  );
});
