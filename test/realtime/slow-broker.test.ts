import assert from "node:assert/strict";
import { test } from "node:test";
import { serve, until } from "./harness.js";
import { later, SlowBroker } from "./slow-broker.js";

test("a node subscribes to a room with its first member and ends it with its last", async t => {
  const broker = new SlowBroker();
  const { open, empty } = await serve(t, { broker });
  const [a, b] = [await open(), await open()];
  await Promise.all([a.join("x", "A"), b.join("x", "B")]);
  a.socket.terminate();
  await b.next("leave-room");
  assert.deepEqual(broker.subscribed, ["+x"]);
  b.socket.terminate();
  await empty();
  assert.deepEqual(broker.subscribed, ["+x", "-x"]);
});

test("messages, acks and notices are as with the memory broker; a member gets no notice of its own join", async t => {
  const { open } = await serve(t, { broker: new SlowBroker() });
  const [a, b] = [await open(), await open()];
  await a.join("x", "A");
  await b.join("x", "B");
  assert.equal((await a.next()).from, "B");
  for (let i = 1; i <= 50; i++) b.say({ type: "send-message", room_id: "x", message: `${i}`, id: i });
  for (const client of [a, b])
    for (let i = 1; i <= 50; i++) assert.equal((await client.next("receive-message")).seq, i);
});

test("a member that reconnects during traffic gets every message once, in order", async t => {
  const { open } = await serve(t, { broker: new SlowBroker() });
  const sender = await open();
  const { epoch } = await sender.join("x", "S");
  for (let i = 1; i <= 40; i++) {
    sender.say({ type: "send-message", room_id: "x", message: `${i}` });
    if (i === 20) await sender.settled();
  }
  const late = await open();
  late.say({ type: "join-room", room_id: "x", from: "L", since: { epoch, seq: 0 } });
  for (let i = 41; i <= 80; i++) {
    sender.say({ type: "send-message", room_id: "x", message: `${i}` });
    if (i % 5 === 0) await sender.settled();
  }
  assert.equal((await late.next()).recovered, true);
  for (let seq = 1; seq <= 80; seq++) assert.equal((await late.next("receive-message")).seq, seq);
});

test("joins and messages are refused with the broker's reason while it is away, and work again later", async t => {
  const broker = new SlowBroker();
  const { open, realtime, metric } = await serve(t, { broker });
  const client = await open();
  broker.failing = true;
  assert.equal((await client.join("x", "A")).message, "the broker is away");
  assert.equal(realtime.local.openRooms, 0);
  broker.failing = false;
  assert.equal((await client.join("x", "A")).type, "ack");
  for (let i = 0; i < 10; i++) await later(() => {});
  broker.failing = true;
  assert.equal((await client.ask({ type: "send-message", room_id: "x", message: "m", id: 1 })).type, "error");
  assert.equal((await client.ask({ type: "leave-room", room_id: "x", id: 2 })).type, "ack");
  await until(() => realtime.local.openRooms === 0);
  for (let i = 0; i < 10; i++) await later(() => {});
  assert.equal(await metric("protogate_ws_broker_failures_total"), 1);
});

test("a socket that ends while the broker subscribes leaves no room behind", async t => {
  const broker = new SlowBroker();
  const { open, empty } = await serve(t, { broker });
  const client = await open();
  client.say({ type: "join-room", room_id: "x", from: "A" });
  await until(() => broker.subscribed.length === 1);
  client.socket.terminate();
  await empty();
  assert.deepEqual(broker.subscribed, ["+x", "-x"]);
});

test("every member gets a gap for what the broker has lost, after the earlier messages", async t => {
  const broker = new SlowBroker();
  const { open, realtime } = await serve(t, { broker });
  const client = await open();
  const { epoch } = await client.join("x", "A");
  await client.ask({ type: "send-message", room_id: "x", message: "1", id: 1 });
  await client.next("receive-message");
  realtime.local.gap("x", String(epoch), 2, 4);
  assert.deepEqual(await client.next("gap"), { type: "gap", room_id: "x", epoch, from: 2, to: 4 });
  realtime.local.message("x", {
    epoch: String(epoch),
    seq: 5,
    at: 0,
    text: '{"type":"receive-message","seq":5}',
  });
  assert.equal((await client.next("receive-message")).seq, 5);
});
