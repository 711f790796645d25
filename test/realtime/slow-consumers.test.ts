import assert from "node:assert/strict";
import { test } from "node:test";
import { type Client, type Json, serve, until } from "./harness.js";

const big = "x".repeat(8000);

interface Account {
  readonly lost: readonly number[];
  readonly got: readonly number[];
}

/** What a client knows of messages 1 to `last`: each came in order, or is in a gap, and none is both. */
function accountOf(frames: readonly Json[], last: number): Account {
  const got: number[] = [];
  const lost: number[] = [];
  let next = 1;
  for (const frame of frames) {
    if (frame.type === "receive-message") {
      assert.equal(frame.seq, next);
      got.push(next++);
    } else if (frame.type === "gap") {
      assert.equal(frame.from, next);
      for (; next <= Number(frame.to); next++) lost.push(next);
    }
  }
  assert.equal(next, last + 1);
  return { got, lost };
}

/** Publishes from `first` to `last`, a turn of the event loop for each. */
async function publish(sender: Client, first: number, last: number): Promise<void> {
  for (let i = first; i <= last; i++)
    await sender.ask({ type: "send-message", room_id: "x", message: big, id: i });
}

/** Makes the server's buffer for the client grow: it reads nothing until it is resumed. */
function stopReading(client: Client): void {
  // Without it the client's own side would buffer without end.
  (client.socket as unknown as { _socket: { pause(): void } })._socket.pause();
}

function readOn(client: Client): void {
  (client.socket as unknown as { _socket: { resume(): void } })._socket.resume();
}

test("a client that does not read is closed with 4008, which it gets behind what was sent, and can resume", async t => {
  const { open, realtime, metric } = await serve(t, {
    settings: { backpressure: { max: 64 * 1024, policy: "close" } },
    history: { messages: 10_000 },
  });
  const sender = await open();
  const slow = await open();
  const { epoch } = await sender.join("x", "S");
  await slow.join("x", "slow");
  stopReading(slow);
  let sent = 0;
  while ((await metric('protogate_ws_slow_consumers_total{policy="close"}')) === 0) {
    await publish(sender, sent + 1, sent + 50);
    sent += 50;
  }
  assert.equal(realtime.local.memberships, 1);
  readOn(slow);
  const { code, reason } = await slow.closed;
  assert.equal(code, 4008);
  assert.deepEqual(JSON.parse(reason), { reason: "SLOW_CONSUMER", resume: "since" });
  const messages = slow.frames.filter(frame => frame.type === "receive-message");
  const seq = messages.length;
  assert.deepEqual(
    messages.map(frame => frame.seq),
    Array.from({ length: seq }, (_, i) => i + 1),
  );
  const again = await open();
  assert.equal((await again.join("x", "slow", { since: { epoch, seq } })).recovered, true);
  for (let next = seq + 1; next <= sent; next++)
    assert.equal((await again.next("receive-message")).seq, next);
});

test("with policy drop a client that reads again gets what it missed, or the exact gap, and then new messages", async t => {
  const { open, realtime, metric } = await serve(t, {
    settings: { backpressure: { max: 64 * 1024, policy: "drop" } },
    history: { messages: 20 },
  });
  const sender = await open();
  const slow = await open();
  await sender.join("x", "S");
  await slow.join("x", "slow");
  let sent = 0;
  for (let round = 0; round < 3; round++) {
    stopReading(slow);
    while (realtime.local.slow.size === 0) {
      await publish(sender, sent + 1, sent + 50);
      sent += 50;
    }
    await publish(sender, sent + 1, sent + 100);
    sent += 100;
    readOn(slow);
    await until(() => realtime.local.slow.size === 0);
  }
  await publish(sender, sent + 1, ++sent);
  await until(() => slow.frames.at(-1)?.seq === sent);
  const { lost, got } = accountOf(slow.frames, sent);
  assert.ok(lost.length > 0 && got.length > 0);
  assert.equal(await metric('protogate_ws_dropped_total{reason="slow_consumer"}'), lost.length);
  assert.equal(realtime.local.memberships, 2);
});

test("messages that are still kept are not lost with policy drop", async t => {
  const { open, realtime, metric } = await serve(t, {
    settings: { backpressure: { max: 64 * 1024, policy: "drop" } },
    history: { messages: 100_000, maxBytes: 1024 ** 3 },
  });
  const sender = await open();
  const slow = await open();
  await sender.join("x", "S");
  await slow.join("x", "slow");
  stopReading(slow);
  let sent = 0;
  while (realtime.local.slow.size === 0) {
    await publish(sender, sent + 1, sent + 50);
    sent += 50;
  }
  await publish(sender, sent + 1, sent + 200);
  sent += 200;
  readOn(slow);
  await until(() => slow.frames.at(-1)?.seq === sent);
  assert.equal(accountOf(slow.frames, sent).got.length, sent);
  assert.equal(await metric('protogate_ws_dropped_total{reason="slow_consumer"}'), 0);
});

test("the buffer of a socket stays below its limit and that of its rooms", async t => {
  const max = 128 * 1024;
  const rooms = 8;
  const { open, realtime } = await serve(t, {
    settings: { backpressure: { max, policy: "drop" } },
    limits: { roomsPerConnection: rooms },
  });
  const sender = await open();
  const slow = await open();
  for (let room = 0; room < rooms; room++) {
    await sender.join(`${room}`, "S");
    await slow.join(`${room}`, "slow");
  }
  stopReading(slow);
  let most = 0;
  const socket = [...realtime.local.open].find(
    each => [...each.rooms.values()][0]?.members.get(each) === "slow",
  );
  for (let i = 0; i < 2000; i++) {
    sender.say({ type: "send-message", room_id: `${i % rooms}`, message: big });
    if (i % 10 === 0) await sender.settled();
    most = Math.max(most, socket?.buffered ?? 0);
  }
  await sender.settled();
  assert.ok(most > 0 && most <= 16_384 + max + 32 * 16_384, `${most} bytes`);
  assert.equal(realtime.local.slow.size, 1);
});

test("frames that wait for many members are stored once; a member that reads on gets all of them in order", async t => {
  const { open, realtime, metric } = await serve(t, {
    settings: { backpressure: { max: 4 * 1024 ** 2, policy: "close" } },
    history: { messages: 0 },
  });
  const sender = await open();
  const slow = await Promise.all(Array.from({ length: 20 }, () => open()));
  await sender.join("x", "S");
  for (const [i, client] of slow.entries()) await client.join("x", `slow ${i}`);
  for (const client of slow) {
    await client.settled();
    client.frames.length = 0;
    stopReading(client);
  }
  let sent = 0;
  while (realtime.local.slow.size < slow.length) {
    await publish(sender, sent + 1, sent + 50);
    sent += 50;
  }
  for (let i = 0; i < 5; i++) {
    const visitor = await open();
    await visitor.join("x", `visitor ${i}`);
    await publish(sender, sent + 1, sent + 50);
    sent += 50;
    visitor.say({ type: "leave-room", room_id: "x" });
    await visitor.settled();
  }
  const own = [...realtime.local.open].reduce((sum, { buffered }) => sum + buffered, 0);
  assert.ok(own < slow.length * 64 * 1024, `${own} bytes`);
  for (const client of slow) readOn(client);
  await publish(sender, sent + 1, ++sent);
  for (const client of slow) {
    await until(() => client.frames.at(-1)?.seq === sent);
    assert.equal(accountOf(client.frames, sent).got.length, sent);
    const visits = client.frames.flatMap(({ type, from }) =>
      type === "receive-message" ? [] : [type, from],
    );
    const expected = Array.from({ length: 5 }, (_, i) => [
      "join-room",
      `visitor ${i}`,
      "leave-room",
      `visitor ${i}`,
    ]);
    assert.deepEqual(visits, expected.flat());
  }
  assert.equal(realtime.local.slow.size, 0);
  assert.equal(await metric("protogate_ws_replayed_total"), 0);
  assert.equal(realtime.local.room("x")?.backlog, undefined);
});

test("many that are too slow are not ended all at once", async t => {
  const { open, realtime, metric } = await serve(t, {
    settings: { backpressure: { max: 64 * 1024, policy: "close" } },
  });
  const sender = await open();
  await sender.join("x", "S");
  const slow = await Promise.all(Array.from({ length: 100 }, () => open()));
  for (const [i, client] of slow.entries()) await client.join("x", `slow ${i}`);
  for (const client of slow) stopReading(client);
  let before = realtime.local.memberships;
  let most = 0;
  while ((await metric('protogate_ws_slow_consumers_total{policy="close"}')) < slow.length) {
    sender.say({ type: "send-message", room_id: "x", message: "x".repeat(60_000) });
    await sender.settled();
    const { memberships } = realtime.local;
    most = Math.max(most, before - memberships);
    before = memberships;
  }
  assert.ok(most > 0 && most <= 64, `${most} at once`);
});

test("a client that sends requests and never reads the responses is closed whatever the policy", async t => {
  const { open, metric, empty } = await serve(t, {
    settings: { backpressure: { max: 32 * 1024, policy: "drop" } },
  });
  const greedy = await open();
  const member = "m".repeat(100);
  await greedy.join("x", member);
  stopReading(greedy);
  while ((await metric('protogate_ws_slow_consumers_total{policy="close"}')) === 0) {
    for (let i = 0; i < 1000; i++) greedy.say({ type: "presence", room_id: "x" });
    await until(() => greedy.socket.bufferedAmount === 0);
  }
  readOn(greedy);
  assert.equal((await greedy.closed).code, 4008);
  await empty();
});

/** Seq of a message, read from its end: to parse a thousand copies of each would be most of the test. Undefined for fillers and notices. */
function seqOf(data: unknown): number | undefined {
  if ((data as Buffer).length > 1000) return undefined;
  const tail = (data as Buffer).subarray(-80).toString();
  const seq = /,"seq":(\d+),"epoch"/.exec(tail)?.[1];
  return seq === undefined ? undefined : Number(seq);
}

test("among 1,000 members the 200 that do not read are closed, and the others get every message", async t => {
  const { open, metric, realtime, empty } = await serve(t, {
    settings: { backpressure: { max: 256 * 1024, policy: "close" } },
    history: { messages: 10 },
  });
  const clients: { readonly client: Client; readonly seqs: number[] }[] = [];
  for (let i = 0; i < 1000; i++) {
    const client = await open();
    const seqs: number[] = [];
    client.socket.removeAllListeners("message");
    client.socket.on("message", data => {
      const seq = seqOf(data);
      if (seq !== undefined) seqs.push(seq);
    });
    client.say({ type: "join-room", room_id: "x", from: `c${i}` });
    clients.push({ client, seqs });
  }
  const slow = clients.filter((_, i) => i % 5 === 0);
  const fast = clients.filter((_, i) => i % 5 !== 0);
  await until(() => realtime.local.memberships === 1000);
  const sender = await open();
  await sender.join("x", "S");
  // What fills the buffers of the slow ones, so that the others need not read as much.
  for (const { client } of slow) client.say({ type: "join-room", room_id: "filler", from: "slow" });
  await sender.join("filler", "S");
  await until(() => realtime.local.memberships === 1002 + slow.length);
  for (const { client } of slow) stopReading(client);
  let sent = 0;
  while ((await metric('protogate_ws_slow_consumers_total{policy="close"}')) < slow.length) {
    sender.say({ type: "send-message", room_id: "filler", message: "x".repeat(60_000) });
    await sender.ask({ type: "send-message", room_id: "x", message: "x".repeat(200), id: ++sent });
    await until(() => fast.every(({ seqs }) => seqs.at(-1) === sent));
  }
  const all = Array.from({ length: sent }, (_, i) => i + 1);
  for (const { seqs } of fast) assert.deepEqual(seqs, all);
  assert.equal(realtime.local.memberships, fast.length + 2);
  for (const { client } of slow) readOn(client);
  const codes = await Promise.all(slow.map(async ({ client }) => (await client.closed).code));
  assert.deepEqual(new Set(codes), new Set([4008]));
  for (const { seqs } of slow) assert.deepEqual(seqs, all.slice(0, seqs.length));
  for (const { client } of fast) client.socket.terminate();
  sender.socket.terminate();
  await empty();
});
