import assert from "node:assert/strict";
import { test } from "node:test";
import { IdempotencyCache } from "../../src/livekit/idempotency-cache.js";

test("work of one id runs once, after a failure again, and without an id always", async () => {
  const once = new IdempotencyCache(10);
  let runs = 0;
  const work = async (): Promise<void> => void runs++;
  assert.equal(await once.run("a", work), true);
  assert.equal(await once.run("a", work), false);
  await assert.rejects(once.run("b", () => Promise.reject(new Error("down"))));
  assert.equal(await once.run("b", work), true);
  assert.equal(await once.run("", work), true);
  assert.equal(await once.run("", work), true);
  assert.equal(runs, 4);
});

test("a caller that comes while the work runs shares its failure", async () => {
  const once = new IdempotencyCache(10);
  let fail = (_error: Error): void => undefined;
  const first = once.run("a", () => new Promise((_resolve, reject) => (fail = reject)));
  const second = once.run("a", () => Promise.resolve());
  fail(new Error("down"));
  await assert.rejects(first, /down/);
  await assert.rejects(second, /down/);
  assert.equal(await once.run("a", () => Promise.resolve()), true);
});

test("only so many ids are remembered, the oldest is forgotten first", async () => {
  const once = new IdempotencyCache(3);
  const done = (): Promise<void> => Promise.resolve();
  for (const id of ["a", "b", "c", "d"]) assert.equal(await once.run(id, done), true);
  assert.equal(await once.run("d", done), false);
  assert.equal(await once.run("b", done), false);
  assert.equal(await once.run("a", done), true);
});
