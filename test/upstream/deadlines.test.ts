import assert from "node:assert/strict";
import { once } from "node:events";
import { test } from "node:test";
import { Deadlines, type Expiring } from "../../src/upstream/call/deadlines.js";
import { grownOldSpace } from "../old-space.js";

test("deadlines expire once when they have passed, never after removal, and not before", async () => {
  const deadlines = new Deadlines();
  const expired: string[] = [];
  const over = new EventTarget();
  const at = (name: string, milliseconds: number) => ({
    deadline: performance.now() + milliseconds,
    earlier: undefined,
    later: undefined,
    expire: () => {
      expired.push(name);
      if (name === "last") over.dispatchEvent(new Event("over"));
    },
  });
  const removed = at("removed", 0);
  const far = at("far", 2 ** 40);
  deadlines.add(removed);
  deadlines.add(far);
  deadlines.add(at("first", 0));
  deadlines.add(at("last", 70));
  deadlines.remove(removed);
  await once(over, "over");
  assert.deepEqual(expired, ["first", "last"]);
  // Without this the timer would keep the process.
  deadlines.remove(far);
});

test("removed deadlines keep no later deadline alive", async () => {
  const deadlines = new Deadlines();
  const watched: Expiring[] = [];
  const calls = (count: number) => () => {
    for (let i = 0; i < count; i++) {
      const call = { deadline: 2 ** 50 + i, earlier: undefined, later: undefined, expire() {} };
      const expiring = Object.assign(call, { response: new Array(100).fill(i) });
      deadlines.add(expiring);
      const ended = watched[i % 100];
      if (ended !== undefined) deadlines.remove(ended);
      watched[i % 100] = expiring;
    }
  };
  const grown = await grownOldSpace(calls(1000), calls(40_000));
  assert.ok(grown < 2 * 1024 ** 2, `${grown} bytes of calls that are over`);
  for (const expiring of watched) deadlines.remove(expiring);
});
