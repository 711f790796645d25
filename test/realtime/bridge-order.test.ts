import assert from "node:assert/strict";
import { test } from "node:test";
import type { Bridge, EventFrames, EventKind, EventOutcome } from "../../src/realtime/bridge/bridge.js";
import { gatewayFailure } from "../../src/status/failure.js";
import { serve, until } from "./harness.js";
import { SlowBroker } from "./slow-broker.js";

interface Asked {
  readonly kind: EventKind;
  readonly frame: EventFrames[EventKind];
  answer(verdict?: Partial<Record<string, unknown>>): void;
  refuse(): void;
}

/** A bridge whose backend answers when the test says so. */
function bridge(sync: readonly EventKind[] = []): { bridge: Bridge; asked: Asked[]; all: string[] } {
  const asked: Asked[] = [];
  const all: string[] = [];
  return {
    asked,
    all,
    bridge: {
      event<K extends EventKind>(kind: K, _: unknown, frame: EventFrames[K]) {
        all.push(kind);
        if (sync.includes(kind)) return { allow: true, frame };
        return new Promise<EventOutcome<EventFrames[K]>>(resolve => {
          asked.push({
            kind,
            frame,
            answer: (more = {}) => resolve({ allow: true, frame: { ...frame, ...more } }),
            refuse: () =>
              resolve({ allow: false, failure: gatewayFailure("POLICY_DENIED", "the backend says no") }),
          });
        });
      },
      call: session => void session.send('{"type":"reply","id":1,"body":{}}'),
      cancel() {},
      drained() {},
      sessionClosed: () => void all.push("closed"),
      close: async () => {},
    },
  };
}

const others = ["connect", "leave", "disconnect"] as const;

test("frames of a room take effect in order during a call to its backend; other rooms go on", async t => {
  const { bridge: slow, asked } = bridge(others);
  const { open } = await serve(t, { settings: { bridge: slow } });
  const client = await open();
  client.say({ type: "join-room", room_id: "x", from: "A" });
  client.say({ type: "send-message", room_id: "x", message: "1", id: 1 });
  client.say({ type: "send-message", room_id: "x", message: "2", id: 2 });
  client.say({ type: "join-room", room_id: "y", from: "A", id: "y" });
  await until(() => asked.length === 2);
  assert.deepEqual(
    asked.map(({ frame }) => (frame as { room_id: string }).room_id),
    ["x", "y"],
  );
  asked[1]?.answer();
  assert.equal((await client.next()).id, "y");
  asked[0]?.answer();
  await until(() => asked.length === 3);
  assert.deepEqual(asked[2]?.frame, { type: "send-message", room_id: "x", from: "A", message: "1", id: 1 });
  asked[2]?.answer({ message: "one", from: "Ada" });
  const { message, from } = await client.next("receive-message");
  assert.deepEqual([message, from], ["one", "Ada"]);
  await until(() => asked.length === 4);
  asked[3]?.refuse();
  const { reason, id } = await client.next("error");
  assert.deepEqual([reason, id], ["POLICY_DENIED", 2]);
});

test("a socket that a backend refuses a room is not a member, and no member is notified", async t => {
  const { bridge: slow, asked } = bridge(others);
  const { open, realtime } = await serve(t, { settings: { bridge: slow } });
  const client = await open();
  client.say({ type: "join-room", room_id: "x", from: "A", id: 1 });
  await until(() => asked.length === 1);
  asked[0]?.refuse();
  assert.equal((await client.next()).message, "the backend says no");
  assert.equal(realtime.local.openRooms, 0);
});

test("frames that wait for a backend are bounded", async t => {
  const { bridge: slow, asked } = bridge(others);
  const { open } = await serve(t, { settings: { bridge: slow } });
  const client = await open();
  client.say({ type: "join-room", room_id: "x", from: "A", id: 0 });
  for (let i = 1; i <= 65; i++) client.say({ type: "presence", room_id: "x", id: i });
  const { id, reason } = await client.next();
  assert.deepEqual([id, reason], [65, "TOO_MANY_PENDING"]);
  asked[0]?.answer();
  for (let i = 0; i <= 64; i++) assert.equal((await client.next()).id, i);
  assert.equal((await client.ask({ type: "presence", room_id: "x", id: "again" })).type, "presence");
});

test("a backend gets a leave for each room and the disconnect after the calls that are under way", async t => {
  const { bridge: slow, asked, all } = bridge(["connect", "join", "leave", "disconnect"]);
  const { open, empty } = await serve(t, { settings: { bridge: slow } });
  const client = await open();
  await client.join("x", "A");
  await client.join("y", "A");
  client.say({ type: "send-message", room_id: "x", message: "late" });
  await until(() => asked.length === 1);
  client.socket.terminate();
  await empty();
  await until(() => all.filter(kind => kind === "leave").length === 1);
  assert.deepEqual(all, ["connect", "join", "join", "message", "closed", "leave"]);
  asked[0]?.answer();
  await until(() => all.includes("disconnect"));
  assert.deepEqual(all.slice(6), ["leave", "disconnect"]);
});

test("a socket that ends while its join is decided is not in the room, and its backend hears of a leave", async t => {
  const { bridge: slow, asked, all } = bridge(others);
  const { open, empty, realtime } = await serve(t, { settings: { bridge: slow } });
  const client = await open();
  client.say({ type: "join-room", room_id: "x", from: "A" });
  await until(() => asked.length === 1);
  client.socket.terminate();
  await empty();
  asked[0]?.answer();
  await until(() => all.includes("leave") && all.includes("disconnect"));
  assert.equal(realtime.local.openRooms, 0);
});

test("a connect that the backend refuses is an HTTP response", async t => {
  const { bridge: slow, asked } = bridge();
  const { open, realtime } = await serve(t, { settings: { bridge: slow } });
  const opening = open();
  await until(() => asked.length === 1);
  asked[0]?.refuse();
  await assert.rejects(opening, /403/);
  assert.equal(realtime.permits.held, 0);
});

test("calls go to the bridge, and nowhere where there is none", async t => {
  const { open } = await serve(t, { settings: { bridge: bridge(others).bridge } });
  const client = await open();
  const call = { type: "call", id: 1, method: "a.B/C", body: {} };
  assert.deepEqual(await client.ask(call), { type: "reply", id: 1, body: {} });
  const without = await serve(t);
  assert.equal((await (await without.open()).ask(call)).reason, "ROUTE_NOT_FOUND");
});

test("a backend hears of the leaves of a socket that the gateway ends", async t => {
  const { bridge: told, all } = bridge([...others, "join", "message"]);
  const { open, realtime, empty } = await serve(t, { settings: { bridge: told } });
  const client = await open();
  await client.join("x", "A");
  await client.join("y", "A");
  assert.equal(realtime.hub.disconnect({ subject: "A", reason: "bye" }), 1);
  assert.equal((await client.closed).code, 4403);
  await empty();
  await until(() => all.includes("disconnect"));
  assert.deepEqual(all.slice(3), ["closed", "leave", "leave", "disconnect"]);
});

test("a backend that has let a socket in hears of a leave where it does not get in", async t => {
  const broker = new SlowBroker();
  const { bridge: told, asked, all } = bridge(others);
  const { open } = await serve(t, { broker, settings: { bridge: told } });
  const client = await open();
  broker.failing = true;
  client.say({ type: "join-room", room_id: "x", from: "A", id: 1 });
  await until(() => asked.length === 1);
  asked[0]?.answer();
  assert.equal((await client.next()).message, "the broker is away");
  assert.deepEqual(all, ["connect", "join", "leave"]);
});

test("a backend is not called for a room more than a socket can be in", async t => {
  const { bridge: told, asked } = bridge(others);
  const { open } = await serve(t, { limits: { roomsPerConnection: 1 }, settings: { bridge: told } });
  const client = await open();
  client.say({ type: "join-room", room_id: "x", from: "A", id: 1 });
  await until(() => asked.length === 1);
  asked[0]?.answer();
  assert.equal((await client.next()).type, "ack");
  assert.equal((await client.join("y", "A")).reason, "TOO_MANY_ROOMS");
  assert.equal(asked.length, 1);
});

test("a message that a backend has allowed is published even where its sender has left meanwhile", async t => {
  const { bridge: told, asked } = bridge([...others, "join"]);
  const { open, realtime } = await serve(t, { settings: { bridge: told } });
  const [sender, other] = [await open(), await open()];
  await sender.join("x", "A");
  await other.join("x", "B");
  sender.say({ type: "send-message", room_id: "x", message: "last words" });
  await until(() => asked.length === 1);
  sender.socket.terminate();
  await until(() => realtime.local.open.size === 1);
  asked[0]?.answer();
  const { message, from } = await other.next("receive-message");
  assert.deepEqual([message, from], ["last words", "A"]);
});
