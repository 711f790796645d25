import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import type { Replay, RoomPosition } from "../../src/realtime/brokers/broker.js";
import { ack } from "../../src/realtime/chat/frames.js";
import { type Client, type Json, serve, type TestServer, until } from "./harness.js";
import { World } from "./model.js";
import { SlowBroker } from "./slow-broker.js";

const max = 64 * 1024;
const big = "x".repeat(8000);

function netSocket(client: Client): { pause(): void; resume(): void } {
  return (client.socket as unknown as { _socket: { pause(): void; resume(): void } })._socket;
}

/** Sockets that are too slow are ended only when the test says that time has passed. */
function frozenClock(t: TestContext): { now: number } {
  const clock = { now: 0 };
  t.mock.method(performance, "now", () => clock.now);
  return clock;
}

interface Due extends TestServer {
  readonly clock: { now: number };
  readonly sender: Client;
  /** Is too slow in the room `filler`, is in `x`, too, and is to be ended when the clock goes on. */
  readonly slow: Client;
}

async function withSocketDue(t: TestContext): Promise<Due> {
  const clock = frozenClock(t);
  const server = await serve(t, {
    settings: { backpressure: { max, policy: "close" } },
    // All that is said makes the members' buffers be looked at.
    limits: { roomsPerConnection: 2048 },
    history: { messages: 10 },
  });
  const sender = await server.open();
  const slow = await server.open();
  await sender.join("filler", "S");
  await slow.join("filler", "slow");
  await slow.join("x", "slow");
  netSocket(slow).pause();
  while (server.realtime.local.slow.due === 0) await fill(sender);
  return { ...server, clock, sender, slow };
}

async function fill(sender: Client): Promise<void> {
  for (let i = 0; i < 20; i++) sender.say({ type: "send-message", room_id: "filler", message: big });
  await sender.settled();
}

function messagesOf(client: Client): Json[] {
  return client.frames.filter(({ type }) => type === "receive-message" || type === "gap");
}

test("a socket that joins a room while its last member is closed is in an open room", async t => {
  const { open, realtime, clock } = await withSocketDue(t);
  const visitor = await open();
  clock.now = 1000;
  await visitor.join("x", "V");
  visitor.say({ type: "send-message", room_id: "x", message: "hello" });
  await visitor.settled();
  assert.deepEqual(
    messagesOf(visitor).map(({ message }) => message),
    ["hello"],
  );
  assert.equal(realtime.local.memberships, 2);
});

test("a socket that is closed while it joins is a member of no room", async t => {
  const { realtime, clock, slow, sender, empty } = await withSocketDue(t);
  clock.now = 1000;
  slow.say({ type: "join-room", room_id: "z", from: "slow" });
  await until(() => realtime.local.slow.due === 0);
  assert.equal(realtime.local.memberships, 1);
  netSocket(slow).resume();
  assert.equal((await slow.closed).code, 4008);
  sender.socket.terminate();
  await empty();
});

test("no backlog is kept for a slow member that is due to be closed", async t => {
  const { realtime, sender } = await withSocketDue(t);
  for (let i = 0; i < 5; i++) await fill(sender);
  assert.equal(realtime.local.room("filler")?.backlog, undefined);
});

test("a slow member that is due to be closed stays open once it leaves the rooms in which it is behind", async t => {
  const { realtime, clock, slow, sender } = await withSocketDue(t);
  for (const room of ["filler", "x"]) slow.say({ type: "leave-room", room_id: room });
  await until(() => realtime.local.slow.due === 0);
  clock.now = 1000;
  await fill(sender);
  netSocket(slow).resume();
  // An answer that finds more than `max` unread in its own buffer ends it, too.
  await until(() => [...realtime.local.open].every(({ buffered }) => buffered === 0));
  await slow.settled();
});

test("a slow member that is due to be closed stays open when a reload selects policy drop, and is notified of its gap", async t => {
  const { realtime, clock, slow, sender } = await withSocketDue(t);
  realtime.settings = { ...realtime.settings, backpressure: { max, policy: "drop" } };
  clock.now = 1000;
  await fill(sender);
  netSocket(slow).resume();
  await until(() => realtime.local.slow.size === 0);
  await slow.settled();
  let next = 1;
  for (const { type, seq, from, to } of messagesOf(slow)) {
    assert.equal(type === "gap" ? from : seq, next);
    next = Number(type === "gap" ? to : seq) + 1;
  }
  assert.equal(next - 1, realtime.local.room("filler")?.seq);
});

test("a member that joins again while it is behind gets its own position, not that of its room", async t => {
  const { open, realtime } = await serve(t, {
    settings: { backpressure: { max: 1024 ** 2, policy: "close" } },
  });
  const sender = await open();
  const slow = await open();
  await sender.join("x", "S");
  await slow.join("x", "slow");
  netSocket(slow).pause();
  while (realtime.local.slow.size === 0) {
    for (let i = 0; i < 20; i++) sender.say({ type: "send-message", room_id: "x", message: big });
    await sender.settled();
  }
  for (let i = 0; i < 20; i++) sender.say({ type: "send-message", room_id: "x", message: big });
  await sender.settled();
  slow.say({ type: "join-room", room_id: "x", id: "again" });
  await until(() => slow.socket.bufferedAmount === 0);
  await sender.settled();
  netSocket(slow).resume();
  await until(() => realtime.local.slow.size === 0);
  await slow.settled();
  const told = slow.frames.findIndex(({ id }) => id === "again");
  assert.ok(told > 0);
  let at = 0;
  for (const { type, seq } of slow.frames) {
    if (type === "ack") assert.equal(seq, at);
    else if (type === "receive-message") assert.equal(seq, ++at);
  }
  assert.equal(at, realtime.local.room("x")?.seq);
});

/** A broker whose answers about history wait until the test lets them go. */
class AskedBroker extends SlowBroker {
  readonly asked: (() => void)[] = [];
  questions = 0;

  override since = (room: string, position: RoomPosition, limit: number, first?: number): Promise<Replay> => {
    this.questions++;
    return new Promise(resolve =>
      this.asked.push(() => resolve(this.inner.since(room, position, limit, first))),
    );
  };

  answer(): void {
    for (const say of this.asked.splice(0)) say();
  }
}

test("a member that reconnects gets no message twice when the broker has lost some meanwhile", async t => {
  const broker = new AskedBroker();
  const { open, realtime } = await serve(t, { broker });
  const sender = await open();
  const { epoch } = await sender.join("x", "S");
  for (let i = 1; i <= 3; i++) await sender.ask({ type: "send-message", room_id: "x", message: "m", id: i });
  for (let i = 1; i <= 3; i++) await sender.next("receive-message");
  const late = await open();
  late.say({ type: "join-room", room_id: "x", from: "L", since: { epoch, seq: 1 }, id: "late" });
  await until(() => broker.asked.length === 1);
  const [about] = broker.asked.splice(0);
  realtime.local.gap("x", String(epoch), 4, 5);
  broker.answer();
  await late.settled();
  about?.();
  const answering = setInterval(() => broker.answer(), 1);
  t.after(() => clearInterval(answering));
  await until(() => realtime.local.slow.size === 0 && realtime.local.memberships === 2);
  await late.settled();
  const told = late.frames.filter(({ type }) => type !== "join-room");
  assert.deepEqual(
    told.map(({ type, seq, from, to }) => [type, seq ?? from, seq ?? to]),
    [
      ["ack", 5, 5],
      ["receive-message", 2, 2],
      ["receive-message", 3, 3],
      ["gap", 4, 5],
    ],
  );
});

test("a member that reconnects to a room with a new epoch gets recovered: false", async t => {
  const broker = new AskedBroker();
  const { open, realtime } = await serve(t, { broker });
  const sender = await open();
  const { epoch } = await sender.join("x", "S");
  const late = await open();
  late.say({ type: "join-room", room_id: "x", from: "L", since: { epoch, seq: 0 }, id: "late" });
  await until(() => broker.asked.length === 1);
  const anew = { epoch: "anew", seq: 1, at: Date.now() };
  realtime.local.message("x", { ...anew, text: '{"type":"receive-message","seq":1,"epoch":"anew"}' });
  broker.answer();
  const { recovered, epoch: now, seq } = await late.next("ack");
  assert.deepEqual([recovered, now, seq], [false, "anew", 1]);
});

test("the broker is read once for all members that have missed the same messages", async t => {
  const broker = new AskedBroker();
  const { open, realtime } = await serve(t, { broker });
  const clients = await Promise.all(Array.from({ length: 30 }, () => open()));
  const [epoch] = await Promise.all(
    clients.map(async (client, i) => (await client.join("x", `c${i}`)).epoch as string),
  );
  realtime.local.gap("x", String(epoch), 1, 7);
  assert.equal(broker.questions, 1);
  broker.answer();
  for (const client of clients) assert.deepEqual((await client.next("gap")).to, 7);
  assert.equal(realtime.local.slow.size, 0);
});

test("a member that reconnects to many rooms at once is sent no more than it reads", async t => {
  const broker = new AskedBroker();
  const rooms = 400;
  const { open, realtime } = await serve(t, {
    broker,
    settings: { backpressure: { max: 256 * 1024, policy: "close" } },
    limits: { roomsPerConnection: rooms },
  });
  const epochs: string[] = [];
  for (let room = 0; room < rooms; room++) {
    const published = await realtime.hub.publish({ room: `${room}`, from: "S", message: "x".repeat(60_000) });
    epochs.push(published?.epoch ?? "");
  }
  const client = await open();
  netSocket(client).pause();
  for (let room = 0; room < rooms; room++)
    client.say({ type: "join-room", room_id: `${room}`, from: "A", since: { epoch: epochs[room], seq: 0 } });
  await until(() => broker.asked.length === rooms);
  broker.answer();
  const answering = setInterval(() => broker.answer(), 1);
  t.after(() => clearInterval(answering));
  await until(() => realtime.local.memberships === rooms || realtime.local.open.size === 0);
  const [socket] = realtime.local.open;
  assert.ok((socket?.buffered ?? 0) < 256 * 1024);
  netSocket(client).resume();
  await until(() => messagesOf(client).length === rooms || client.socket.readyState !== 1);
  assert.equal(messagesOf(client).length, rooms);
});

test("rooms that a socket has more of than it may have since do not fill its buffer unseen", async t => {
  const { open, realtime } = await serve(t, {
    settings: { backpressure: { max: 128 * 1024, policy: "drop" } },
    limits: { roomsPerConnection: 128 },
  });
  const sender = await open();
  const slow = await open();
  for (let room = 0; room < 128; room++) {
    await sender.join(`${room}`, "S");
    await slow.join(`${room}`, "slow");
  }
  const { settings } = realtime;
  realtime.settings = { ...settings, limits: { ...settings.limits, roomsPerConnection: 1 } };
  netSocket(slow).pause();
  const socket = [...realtime.local.open].find(
    each => [...each.rooms.values()][0]?.members.get(each) === "slow",
  );
  let most = 0;
  for (let i = 0; i < 2000; i++) {
    sender.say({ type: "send-message", room_id: `${i % 128}`, message: big });
    if (i % 10 === 0) await sender.settled();
    most = Math.max(most, socket?.buffered ?? 0);
  }
  await sender.settled();
  assert.ok(most > 0 && most <= 16_384 + 128 * 1024 + 32 * 16_384, `${most} bytes`);
});

test("replaying a long history takes work in proportion to its messages, however little is read at once", () => {
  const backpressure = { max: 1024 ** 2, policy: "close" } as const;
  const world = new World({ rooms: 1, message: 65_536, sentAt: "seconds", backpressure }, 100_000, false);
  const { broker, hub } = world;
  let handed = 0;
  const since = broker.since.bind(broker);
  broker.since = (...of) => {
    const replay = since(...of) as Replay;
    handed += replay.messages.length;
    return replay;
  };
  const messages = 30_000;
  for (let i = 0; i < messages; i++)
    broker.keep("x", `{"type":"receive-message","room_id":"x","message":"${"x".repeat(500)}"}`);
  const from = { epoch: broker.log.open("x").epoch, seq: messages - 10_000 };
  const wire = world.open();
  wire.stalled = true;
  wire.seen.asked.set("x", [from]);
  const told = (joined: RoomPosition) => wire.socket.send(ack(1, "x", joined, true));
  void hub.join(wire.socket, "x", "A", from, told);
  while (hub.slow.size > 0) wire.read(5);
  wire.read(messages);
  assert.equal(wire.seen.places.get("x")?.seq, messages);
  assert.ok(handed < 10 * 10_000, `${handed} messages were taken from the history`);
});
