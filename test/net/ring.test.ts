import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Linked, Ring } from "../../src/net/ring.js";

test("a ring holds what a set holds, in its order, and what has left it holds nothing", () => {
  const step = fc.record({ index: fc.nat(9), add: fc.boolean() });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), steps => {
      const items = Array.from({ length: 10 }, () => new Linked());
      const ring = new Ring<Linked>();
      const model = new Set<Linked>();
      for (const { index, add } of steps) {
        const item = items[index] as Linked;
        if (!add) {
          ring.remove(item);
          model.delete(item);
        } else if (!model.has(item)) {
          ring.add(item);
          model.add(item);
        }
        assert.equal(ring.size, model.size);
        assert.equal(ring.first, [...model][0]);
      }
      assert.deepEqual(
        ring.all().map(item => items.indexOf(item)),
        [...model].map(item => items.indexOf(item)),
      );
      for (const item of items)
        if (!model.has(item)) assert.deepEqual([item.earlier, item.later], [undefined, undefined]);
    }),
  );
});
