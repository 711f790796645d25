import assert from "node:assert/strict";
import { test } from "node:test";
import { deliveredEvents, IdempotencyCache, rememberEvents } from "../../src/livekit/idempotency-cache.js";
import type { WorkerProcess } from "../../src/workers/pool.js";
import { workerInProcess } from "../workers/in-process.js";

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

/** What each of so many workers delivers. */
function workersOf(count: number) {
  const forked: ((worker: WorkerProcess) => void)[] = [];
  rememberEvents({ onForked: handle => void forked.push(handle) });
  return Array.from({ length: count }, (_, index) => {
    const { worker, open, kill } = workerInProcess(index + 1);
    for (const handle of forked) handle(worker);
    return { once: deliveredEvents(open()), kill };
  });
}

test("an event that comes to several workers, at once or later, is delivered once", async () => {
  const workers = workersOf(3);
  let runs = 0;
  let done = (): void => undefined;
  const work = (): Promise<void> => {
    runs++;
    return new Promise(resolve => (done = resolve));
  };
  const running = workers.map(({ once }) => once.run("a", work));
  while (runs === 0) await new Promise(setImmediate);
  done();
  assert.deepEqual((await Promise.all(running)).sort(), [false, false, true]);
  for (const { once } of workers) assert.equal(await once.run("a", work), false);
  assert.equal(runs, 1);
  const later = workers.map(({ once }) => once.run("b", () => Promise.reject(new Error("down"))));
  assert.deepEqual([...new Set((await Promise.allSettled(later)).map(({ status }) => status))], ["rejected"]);
  assert.equal(await workers[2]?.once.run("b", () => Promise.resolve()), true);
  assert.equal(await workers[0]?.once.run("", () => Promise.resolve()), true);
  for (const { kill } of workers) kill();
});

test("an event whose worker ends while it delivers it can be delivered by another, one that was delivered cannot", async () => {
  const [first, second] = workersOf(2);
  assert.equal(await first?.once.run("a", () => Promise.resolve()), true);
  const begun = new Promise<void>(resolve => {
    const lost = first?.once.run("b", () => {
      resolve();
      return new Promise(() => undefined);
    });
    lost?.catch(() => undefined);
  });
  await begun;
  const waiting = assert.rejects(
    second?.once.run("b", () => Promise.resolve()) as Promise<boolean>,
    /has ended/,
  );
  // The primary has the question before it learns of the end.
  assert.equal(await second?.once.run("c", () => Promise.resolve()), true);
  first?.kill();
  await waiting;
  assert.equal(await second?.once.run("b", () => Promise.resolve()), true);
  assert.equal(await second?.once.run("a", () => Promise.resolve()), false);
  second?.kill();
});
