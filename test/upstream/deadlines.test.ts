import assert from "node:assert/strict";
import { once } from "node:events";
import { test } from "node:test";
import { Deadlines } from "../../src/upstream/deadlines.js";

test("what has passed expires once, what was removed never, what is far away stays", async () => {
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
