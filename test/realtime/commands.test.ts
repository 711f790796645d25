import assert from "node:assert/strict";
import { test } from "node:test";
import { createRoomsApi } from "../../src/realtime/api/rooms-api.js";
import type { Bridge, EventKind } from "../../src/realtime/bridge/bridge.js";
import { roomKindsOf } from "../../src/realtime/rooms/room-kinds.js";
import { serve, until } from "./harness.js";

/** A bridge that allows everything and keeps what it was asked. */
function recordingBridge(asked: string[]): Bridge {
  return {
    event: (kind: EventKind, _session, frame) => {
      asked.push("room_id" in frame ? `${kind} ${frame.room_id}` : kind);
      return { allow: true, frame };
    },
    call: () => undefined,
    cancel: () => undefined,
    drained: () => undefined,
    sessionClosed: () => undefined,
    close: async () => undefined,
  };
}

test("a server makes a user's sockets members of a room, and takes them out of it", async t => {
  const asked: string[] = [];
  const { open, realtime } = await serve(t, { settings: { bridge: recordingBridge(asked) } });
  const api = createRoomsApi(() => realtime.hub);
  const [ann, bob] = [await open(), await open()];
  await ann.join("lobby", "Ann");
  await bob.join("lobby", "Bob");
  asked.length = 0;
  assert.equal(await api.subscribe({ subject: "Ann" }, "team"), 1);
  const { epoch, ...joined } = await ann.next("joined");
  assert.deepEqual(joined, { type: "joined", room_id: "team", seq: 0 });
  assert.equal(epoch, realtime.local.room("team")?.epoch);
  // It is no client that asks: backends decide on clients.
  assert.deepEqual(asked, []);
  await realtime.hub.publish({ room: "team", from: "s", message: "m" });
  assert.equal((await ann.next("receive-message")).room_id, "team");
  assert.equal(await api.subscribe({ subject: "Ann" }, "team"), 1);
  assert.equal(await api.unsubscribe({ subject: "Ann" }, "team", "moved", undefined), 1);
  assert.deepEqual(await ann.next("left"), { type: "left", room_id: "team", reason: "moved" });
  assert.deepEqual(asked, ["leave team"]);
  assert.equal(ann.frames.filter(({ type }) => type === "joined").length, 0);
  assert.equal(await api.unsubscribe({ subject: "Ann" }, "team", undefined, undefined), 0);
});

test("a user who is banned from a room cannot join it until the ban is over, and can join others", async t => {
  const { open, realtime } = await serve(t);
  const api = createRoomsApi(() => realtime.hub);
  const client = await open();
  await client.join("lobby", "Ann");
  assert.equal(await api.unsubscribe({ subject: "Ann" }, "lobby", "spam", 60), 1);
  await client.next("left");
  const refused = await client.join("lobby", "Ann");
  assert.deepEqual([refused.reason, refused.retry_after], ["BANNED", 60]);
  assert.equal((await client.join("other", "Ann")).type, "ack");
  const now = Date.now();
  t.mock.method(Date, "now", () => now + 61_000);
  assert.equal((await client.join("lobby", "Ann")).type, "ack");
});

test("a server sends to a user or to one session, in no room", async t => {
  const { open, realtime } = await serve(t);
  const api = createRoomsApi(() => realtime.hub);
  const [one, two, other] = [await open(), await open(), await open()];
  for (const client of [one, two]) await client.join("lobby", "Ann");
  await other.join("lobby", "Bob");
  const sent = await api.send({ subject: "Ann" }, "shop", {
    event: "order",
    data: '{"id":9007199254740993}',
  });
  assert.equal(sent, 2);
  for (const client of [one, two]) {
    const { sent_at: _, ...frame } = await client.next("direct-message");
    const data = JSON.parse('{"id":9007199254740993}');
    assert.deepEqual(frame, { type: "direct-message", from: "shop", event: "order", data });
  }
  const { session } = (await realtime.hub.members("lobby"))[0] ?? { session: "" };
  assert.equal(await api.send({ session }, "shop", { message: "hi" }), 1);
  assert.equal((await one.next("direct-message")).message, "hi");
  await other.settled();
  assert.deepEqual(
    other.frames.filter(({ type }) => type === "direct-message"),
    [],
  );
});

test("signals of other nodes are carried out here, and a wrong one is reported", async t => {
  const { open, realtime } = await serve(t);
  const api = createRoomsApi(() => realtime.hub);
  const client = await open();
  await client.join("lobby", "Ann");
  const command = { do: "subscribe", who: { subject: "Ann" }, room: "team" };
  realtime.local.signal(JSON.stringify({ command }));
  await until(() => realtime.local.room("team")?.members.size === 1);
  for (const [asked, problem] of [
    [() => api.subscribe({}, "team"), /expected either subject or session/],
    [() => api.subscribe({ subject: "a" }, ""), /room not provided/],
    [
      () => api.unsubscribe({ session: "s" }, "team", undefined, 60),
      /ban_seconds: a session does not come back/,
    ],
    [() => api.unsubscribe({ subject: "s" }, "team", undefined, 3601), /an integer from 1 to 3600/],
    [() => api.unsubscribe({ subject: "s" }, "team", "x".repeat(124), undefined), /at most 123 bytes/],
    [() => api.send({ subject: "s" }, "shop", {}), /message not provided/],
  ] as const)
    await assert.rejects(asked, problem);
});

test("a user's sockets are in the room that is theirs, and in those that the connect event names", async t => {
  const bridge: Bridge = {
    ...recordingBridge([]),
    event: (kind, _session, frame) => ({
      allow: true,
      frame: kind === "connect" ? { ...frame, rooms: ["team", "", "user-ann"] } : frame,
    }),
  };
  const section = { rooms: true, history: { messages: 10, ttl: 60_000, max_bytes: 1 << 20 } };
  const { open, realtime } = await serve(t, {
    settings: {
      bridge,
      kinds: roomKindsOf({ ...section, user_room: "user-{subject}" }),
      authenticator: caller => ({
        provider: "test",
        subject: caller.header("x-user") ?? "",
        scopes: new Set(),
        claims: {},
        metadata: [],
        expiresAt: undefined,
      }),
    },
  });
  const ann = await open({ headers: { "x-user": "ann" } });
  const rooms = [(await ann.next("joined")).room_id, (await ann.next("joined")).room_id];
  assert.deepEqual(rooms, ["user-ann", "team"]);
  await realtime.hub.publish({ room: "user-ann", from: "s", message: "m" });
  assert.equal((await ann.next("receive-message")).room_id, "user-ann");
  const bob = await open({ headers: { "x-user": "bob" } });
  const refused = await bob.ask({ type: "join-room", room_id: "user-ann", id: 1 });
  assert.equal(refused.reason, "NOT_ALLOWED_IN_ROOM");
});
