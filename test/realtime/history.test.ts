import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { History } from "../../src/realtime/brokers/history.js";
import { grownOldSpace } from "../old-space.js";

const limits = { messages: 5, ttl: 1000, maxBytes: 1024 ** 2 };

function add(history: History, room: string, at: number, text = "text", key?: string): number {
  const timeline = history.open(room);
  timeline.seq++;
  history.add(timeline, text, at, key);
  return timeline.seq;
}

test("a room keeps its latest messages, and knows how many it has had", () => {
  const history = new History(limits);
  for (let i = 1; i <= 8; i++) add(history, "x", i);
  const { epoch } = history.open("x");
  assert.deepEqual(
    history.latest("x", 3).map(({ seq }) => seq),
    [6, 7, 8],
  );
  assert.equal(history.since("x", epoch, 3, 100).recovered, true);
  assert.equal(history.since("x", epoch, 2, 100).recovered, false);
  assert.equal(history.since("x", epoch, 8, 100).recovered, true);
  assert.equal(history.since("x", epoch, 9, 100).recovered, false);
  assert.equal(history.since("x", "other", 3, 100).recovered, false);
  assert.deepEqual(
    history.since("x", epoch, 3, 2).messages.map(({ seq }) => seq),
    [7, 8],
  );
});

test("messages expire, and a room without members is removed with its last one", () => {
  const history = new History(limits);
  add(history, "x", 0);
  add(history, "held", 0);
  history.hold("held", true);
  add(history, "x", 500);
  history.expire(0);
  assert.equal(history.latest("x", 9).length, 1);
  history.expire(500);
  assert.equal(history.find("x"), undefined);
  assert.deepEqual([history.find("held")?.seq, history.size], [1, 1]);
  history.hold("held", false);
  assert.deepEqual([history.size, history.bytes], [0, 0]);
});

test("the place of a room that is let go outlives its last member, until it expires or memory is short", () => {
  const history = new History({ messages: 10, ttl: 100, maxBytes: 3000 });
  const { epoch } = history.hold("x", true);
  history.hold("x", false, 0);
  add(history, "x", 50);
  assert.equal(history.since("x", epoch, 0, 10).recovered, true);
  history.expire(49);
  assert.equal(history.since("x", epoch, 0, 10).messages.length, 1);
  history.expire(50);
  assert.deepEqual([history.size, history.bytes], [0, 0]);
  for (let i = 0; i < 20; i++) {
    history.hold(`${i}`, true);
    history.hold(`${i}`, false, i);
    assert.ok(history.bytes <= 3000);
  }
  assert.notEqual(history.find("19"), undefined);
  assert.equal(history.find("0"), undefined);
  history.expire(19);
  assert.deepEqual([history.size, history.bytes], [0, 0]);
});

test("all rooms together stay within their memory, and the oldest messages go first", () => {
  const history = new History({ messages: 1000, ttl: 1e9, maxBytes: 100_000 });
  for (let i = 0; i < 1000; i++) {
    add(history, `room ${i % 50}`, i, "x".repeat(500));
    assert.ok(history.bytes <= 100_000);
  }
  const kept = history.names(100).flatMap(room => history.latest(room, 1000).map(({ at }) => at));
  assert.equal(Math.min(...kept), 1000 - kept.length);
});

test("a message larger than all memory is delivered but not kept", () => {
  const history = new History({ messages: 10, ttl: 1e9, maxBytes: 1000 });
  assert.equal(add(history, "x", 0, "x".repeat(2000)), 1);
  assert.deepEqual([history.bytes, history.size], [0, 0]);
});

test("with history off no message is kept, and rooms that are held go on counting", () => {
  const history = new History({ ...limits, messages: 0 });
  history.hold("x", true);
  assert.equal(add(history, "x", 0), 1);
  assert.equal(add(history, "x", 0), 2);
  assert.deepEqual(history.names(9), []);
});

test("a key is remembered as long as its message", () => {
  const history = new History(limits);
  add(history, "x", 0, "text", "k");
  const { keys } = history.open("x");
  assert.deepEqual(keys?.get("k")?.seq, 1);
  for (let i = 0; i < 5; i++) add(history, "x", i);
  assert.equal(keys?.size, 0);
});

test("accounts stay right whatever happens in whatever order", () => {
  const step = fc.oneof(
    fc.record({ kind: fc.constant("add" as const), room: fc.nat(4), size: fc.nat(400) }),
    fc.record({ kind: fc.constant("hold" as const), room: fc.nat(4), held: fc.boolean() }),
    fc.record({ kind: fc.constant("expire" as const), age: fc.nat(20) }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), steps => {
      const history = new History({ messages: 4, ttl: 15, maxBytes: 5000 });
      let now = 0;
      for (const each of steps) {
        now++;
        if (each.kind === "add") add(history, `${each.room}`, now, "é".repeat(each.size));
        else if (each.kind === "hold") history.hold(`${each.room}`, each.held);
        else history.expire(now - each.age);
        for (const room of history.names(9)) {
          const timeline = history.open(room);
          const messages = history.latest(room, 99);
          assert.equal(messages.length, timeline.entries.length - timeline.evicted);
          assert.ok(messages.length <= 4);
          assert.deepEqual(
            messages.map(({ seq }) => seq),
            messages.map((_, i) => timeline.seq - messages.length + 1 + i),
          );
        }
        assert.ok(history.bytes <= 5000 || history.names(9).length === 0);
      }
      for (let room = 0; room < 5; room++) history.hold(`${room}`, false);
      history.expire(now);
      assert.deepEqual([history.bytes, history.size], [0, 0]);
    }),
  );
});

test("messages that are forgotten keep nothing of what came after them", async () => {
  const history = new History({ ...limits, messages: 100 });
  let at = 0;
  const messages = (count: number) => () => {
    for (let i = 0; i < count; i++) add(history, "x", ++at, `${"text ".repeat(100)}${at}`);
  };
  const grown = await grownOldSpace(messages(1000), messages(40_000));
  assert.ok(grown < 2 * 1024 ** 2, `${grown} bytes of messages that are forgotten`);
});
