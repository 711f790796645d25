import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { StreamTable } from "../../src/h2/stream-table.js";
import { grownOldSpace } from "../old-space.js";

const ids = fc.integer({ min: 1, max: 2 ** 31 - 1 });

test("a stream table holds what a Map would hold", () => {
  const step = fc.record({ id: fc.oneof(fc.integer({ min: 1, max: 40 }), ids), add: fc.boolean() });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 400 }), steps => {
      const table = new StreamTable<{ readonly id: number }>();
      const model = new Map<number, { readonly id: number }>();
      for (const { id, add } of steps) {
        if (add && !model.has(id)) {
          const stream = { id };
          table.add(stream);
          model.set(id, stream);
        } else if (!add) {
          table.delete(id);
          model.delete(id);
        }
        assert.equal(table.size, model.size);
        assert.equal(table.get(id), model.get(id));
      }
      for (const [id, stream] of model) assert.equal(table.get(id), stream);
      assert.deepEqual(new Set(table.all()), new Set(model.values()));
      table.clear();
      assert.deepEqual([table.size, table.all()], [0, []]);
      for (const id of model.keys()) assert.equal(table.get(id), undefined);
    }),
  );
});

test("a stream table finds long-lived streams among many short ones", () => {
  const table = new StreamTable<{ readonly id: number }>();
  const staying = [1, 1001, 20_001];
  const window = 150;
  for (let id = 1; id < 100_000; id += 2) {
    table.add({ id });
    const ended = id - 2 * window;
    if (ended > 0 && !staying.includes(ended)) table.delete(ended);
  }
  assert.equal(table.size, window + staying.length);
  for (const id of staying) assert.equal(table.get(id)?.id, id);
  assert.equal(table.get(50_001), undefined);
});

test("an old stream table keeps no removed stream alive", async () => {
  const table = new StreamTable<{ readonly id: number; readonly call: unknown }>();
  let id = 1;
  const streams = (count: number) => () => {
    for (let i = 0; i < count; i++, id += 2) {
      table.add({ id, call: new Array(100).fill(id) });
      table.delete(id - 200);
    }
  };
  const grown = await grownOldSpace(streams(1000), streams(40_000));
  assert.ok(grown < 2 * 1024 ** 2, `${grown} bytes of calls that are over`);
});
