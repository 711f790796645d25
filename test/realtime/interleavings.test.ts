import assert from "node:assert/strict";
import { test } from "node:test";
import { type Client, type Json, serve, until } from "./harness.js";
import { SlowBroker } from "./slow-broker.js";

/** Makes the server's buffer for the client grow: it reads nothing until it is ended. */
function stopReading(client: Client): void {
  (client.socket as unknown as { _socket: { pause(): void } })._socket.pause();
}

test("a socket that is ended by the response to its own join is behind nowhere, and others go on", async t => {
  const { open, realtime, metric } = await serve(t, {
    settings: { backpressure: { max: 16 * 1024, policy: "close" } },
  });
  const other = await open();
  const { epoch } = await other.join("x", "O");
  for (let i = 1; i <= 50; i++)
    await other.ask({ type: "send-message", room_id: "x", message: "x".repeat(60_000), id: i });
  const greedy = await open();
  await greedy.join("x", "G");
  stopReading(greedy);
  while ((await metric('protogate_ws_slow_consumers_total{policy="close"}')) === 0) {
    for (let i = 0; i < 100; i++)
      greedy.say({ type: "join-room", room_id: "x", from: "G", since: { epoch, seq: 0 } });
    await until(() => greedy.socket.bufferedAmount === 0);
  }
  assert.equal(realtime.local.slow.size, 0);
  other.frames.length = 0;
  other.say({ type: "send-message", room_id: "x", message: "last" });
  assert.equal((await other.next("receive-message")).message, "last");
});

test("joins that wait for the broker together do not pass the limit of rooms", async t => {
  const { open, realtime } = await serve(t, {
    broker: new SlowBroker(),
    limits: { roomsPerConnection: 3 },
  });
  const client = await open();
  for (let i = 0; i < 10; i++) client.say({ type: "join-room", room_id: `room ${i}`, from: "A", id: i });
  const answers: Json[] = [];
  while (answers.length < 10) answers.push(await client.next());
  assert.equal(answers.filter(({ type }) => type === "ack").length, 3);
  assert.equal(answers.filter(({ reason }) => reason === "TOO_MANY_ROOMS").length, 7);
  assert.equal(realtime.local.memberships, 3);
  await until(() => realtime.local.openRooms === 3);
});

test("a member that resumes again while the broker is read gets all messages after its lowest position", async t => {
  const broker = new SlowBroker();
  const { open } = await serve(t, { broker });
  const client = await open();
  const { epoch } = await client.join("x", "A");
  for (let i = 1; i <= 10; i++) client.say({ type: "send-message", room_id: "x", message: `${i}`, id: i });
  for (let i = 1; i <= 10; i++) await client.next("receive-message");
  client.frames.length = 0;
  client.say({ type: "join-room", room_id: "x", from: "A", since: { epoch, seq: 8 } });
  client.say({ type: "join-room", room_id: "x", from: "A", since: { epoch, seq: 2 } });
  await client.ask({ type: "send-message", room_id: "x", message: "11", id: "last" });
  await until(() => client.frames.at(-1)?.seq === 11 && client.frames.at(-1)?.type === "receive-message");
  const got = client.frames.filter(({ type }) => type === "receive-message").map(({ seq }) => seq);
  for (let seq = 3; seq <= 11; seq++) assert.ok(got.includes(seq), `${seq} is missing of ${got}`);
});

test("a room that gets a new epoch while a member catches up goes on for it, with the gap reported", async t => {
  const broker = new SlowBroker();
  const { open, realtime } = await serve(t, { broker });
  const client = await open();
  const { epoch } = await client.join("x", "A");
  for (let i = 1; i <= 3; i++) await client.ask({ type: "send-message", room_id: "x", message: "m", id: i });
  for (let i = 1; i <= 3; i++) await client.next("receive-message");
  const asked: (() => void)[] = [];
  const read = broker.since;
  broker.since = (...of) => new Promise(resolve => asked.push(() => resolve(read(...of))));
  realtime.local.gap("x", String(epoch), 4, 6);
  await until(() => asked.length === 1);
  const anew = { epoch: "anew", seq: 1, at: Date.now() };
  realtime.local.message("x", { ...anew, text: '{"type":"receive-message","seq":1,"epoch":"anew"}' });
  asked[0]?.();
  client.frames.length = 0;
  await until(() => client.frames.some(frame => frame.epoch === "anew"));
  const told = client.frames.filter(({ type }) => type === "receive-message" || type === "gap");
  assert.deepEqual(
    told.map(({ type, epoch: of, seq, from, to }) => [
      type,
      of === epoch ? "old" : of,
      seq ?? from,
      seq ?? to,
    ]),
    [
      ["gap", "old", 4, 6],
      ["receive-message", "anew", 1, 1],
    ],
  );
  assert.equal(realtime.local.slow.size, 0);
});

test("the presence of a room has each name once and counts all of its sockets", async t => {
  const { open, realtime } = await serve(t);
  const clients = await Promise.all(Array.from({ length: 50 }, () => open()));
  for (const [i, client] of clients.entries()) await client.join("x", `c${i % 25}`);
  const [first] = clients;
  const answer = await first?.ask({ type: "presence", room_id: "x", id: 1 });
  assert.equal(answer?.count, 50);
  assert.equal(new Set(answer?.members as string[]).size, 25);
  assert.equal(realtime.local.memberships, 50);
});

test("an error while a socket ends affects no other socket", async t => {
  const { open, realtime } = await serve(t, {
    settings: {
      bridge: {
        event: (_kind, _session, frame) => ({ allow: true, frame }),
        call() {},
        cancel() {},
        drained() {},
        sessionClosed() {
          throw new Error("a fault of ours");
        },
        close: async () => {},
      },
    },
  });
  const [one, other] = [await open(), await open()];
  await one.join("x", "one");
  one.socket.terminate();
  await until(() => realtime.local.open.size === 1);
  await other.join("x", "other");
});
