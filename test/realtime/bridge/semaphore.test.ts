import assert from "node:assert/strict";
import { test } from "node:test";
import { Semaphore } from "../../../src/realtime/bridge/semaphore.js";

test("permits are given at once, then in order of waiting, then refused", async () => {
  const gate = new Semaphore({ concurrency: 2, queue: 2 });
  assert.equal(gate.acquire(1000), true);
  assert.equal(gate.acquire(1000), true);
  const order: string[] = [];
  const first = Promise.resolve(gate.acquire(1000)).then(place => order.push(`first ${place}`));
  const second = Promise.resolve(gate.acquire(1000)).then(place => order.push(`second ${place}`));
  assert.equal(gate.acquire(1000), false);
  gate.release();
  await first;
  gate.release();
  await second;
  assert.deepEqual(order, ["first true", "second true"]);
  assert.deepEqual([gate.running, gate.waiting], [2, 0]);
  gate.release();
  gate.release();
  assert.equal(gate.running, 0);
});

test("a waiter of a semaphore that reaches its timeout gets no permit and leaves the queue", async () => {
  const gate = new Semaphore({ concurrency: 1, queue: 1 });
  gate.acquire(1);
  assert.equal(await gate.acquire(1), false);
  assert.equal(gate.waiting, 0);
  gate.release();
  assert.equal(gate.acquire(1), true);
});

test("a semaphore that grows admits waiting calls; one that shrinks admits none until there are free permits", async () => {
  const gate = new Semaphore({ concurrency: 1, queue: 3 });
  gate.acquire(1000);
  const order: string[] = [];
  const waiting = ["a", "b", "c"].map(async name => order.push(`${name} ${await gate.acquire(1000)}`));
  gate.resize({ concurrency: 3, queue: 1 });
  await Promise.all(waiting.slice(0, 2));
  assert.deepEqual([order, gate.running, gate.waiting], [["a true", "b true"], 3, 1]);
  assert.equal(gate.acquire(1000), false);
  gate.resize({ concurrency: 1, queue: 1 });
  gate.release();
  gate.release();
  assert.deepEqual([gate.running, gate.waiting], [1, 1]);
  gate.release();
  await Promise.all(waiting);
  assert.deepEqual([order.at(-1), gate.running, gate.waiting], ["c true", 1, 0]);
});
