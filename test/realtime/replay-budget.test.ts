import assert from "node:assert/strict";
import { test } from "node:test";
import { ReplayBudget, replayBurst, replayPerSecond } from "../../src/realtime/rooms/replay-budget.js";
import { serve, until } from "./harness.js";

test("a budget of replay is spent by bytes, short messages cost something, and it grows with time", () => {
  const budget = new ReplayBudget(0);
  budget.spend(replayBurst - 1);
  assert.ok(budget.open(0));
  budget.spend(1);
  assert.ok(!budget.open(0));
  assert.ok(budget.open(500));
  budget.spend(replayPerSecond);
  assert.ok(!budget.open(500));
  assert.ok(budget.open(1_000_000), "it has grown");
  budget.spend(replayBurst);
  assert.ok(!budget.open(1_000_000), "but not above the burst");
  const short = new ReplayBudget(0);
  let messages = 0;
  for (; short.open(0); messages++) short.spend(10);
  assert.equal(messages, replayBurst / 256);
});

const size = 60_000;
const text = "x".repeat(size);

test("a client that joins again and again with since has no more replayed than its budget pays for", async t => {
  const { open, realtime, metric } = await serve(t, {
    settings: { backpressure: { max: 64 * 1024 ** 2, policy: "close" } },
    history: { messages: 1000 },
  });
  const { hub } = realtime;
  for (let i = 0; i < 150; i++) await hub.publish({ room: "x", from: "A", message: text });
  const client = await open();
  const { epoch } = await client.join("y", "B");
  const room = await client.join("x", "B");
  assert.notEqual(epoch, undefined);
  for (let i = 0; i < 200; i++) {
    client.say({ type: "leave-room", room_id: "x" });
    await client.join("x", "B", { since: { epoch: String(room.epoch), seq: 0 } });
  }
  const replayed = await metric("protogate_ws_replayed_total");
  // All of it would be 30,000 messages, 1.8 GB. What time adds while this runs leaves that far away.
  assert.ok(replayed * size >= replayBurst - size, `${replayed}`);
  assert.ok(replayed < 1000, `${replayed}`);
});

test("messages over the replay budget come later, in order and without a gap, before newer messages", async t => {
  const { open, realtime } = await serve(t, {
    settings: { backpressure: { max: 64 * 1024 ** 2, policy: "close" } },
    history: { messages: 1000 },
  });
  const count = Math.ceil(replayBurst / size) + 10;
  for (let i = 0; i < count; i++) await realtime.hub.publish({ room: "x", from: "A", message: text });
  const [first] = await realtime.hub.history("x");
  const client = await open();
  await client.join("x", "B", { since: { epoch: String(first?.epoch), seq: 0 } });
  await realtime.hub.publish({ room: "x", from: "A", message: "last" });
  for (let seq = 1; seq <= count + 1; seq++) {
    const frame = await client.next();
    assert.deepEqual([frame.type, frame.seq], ["receive-message", seq]);
  }
  await until(() => realtime.counts().lagging === 0);
});
