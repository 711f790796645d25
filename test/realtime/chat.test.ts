import assert from "node:assert/strict";
import { test } from "node:test";
import { type Client, serve } from "./harness.js";

test("members get joins, messages and leaves exactly as the protocol says", async t => {
  const { open } = await serve(t);
  const will = await open();
  const ada = await open();
  await will.join("general", "Will Hall");
  ada.say({ type: "join-room", room_id: "general", from: "Ada" });
  assert.deepEqual(await will.next(), { type: "join-room", room_id: "general", from: "Ada" });
  const before = Date.now() / 1000;
  ada.say({ type: "send-message", room_id: "general", from: "Ada", message: 'Hello "world"\n\u{1f600}' });
  for (const client of [will, ada]) {
    const { sent_at, seq, epoch, ...frame } = await client.next();
    assert.deepEqual(frame, {
      type: "receive-message",
      room_id: "general",
      from: "Ada",
      message: 'Hello "world"\n\u{1f600}',
    });
    assert.equal(seq, 1);
    assert.match(String(epoch), /^[0-9a-f]{12}$/);
    assert.ok(Number(sent_at) >= before && Number(sent_at) < before + 60);
  }
  ada.say({ type: "leave-room", room_id: "general", from: "Ada" });
  assert.deepEqual(await will.next(), { type: "leave-room", room_id: "general", from: "Ada" });
  await ada.settled();
  assert.deepEqual(ada.frames, []);
});

test("sent_at is in milliseconds where that is configured", async t => {
  const { open } = await serve(t, { settings: { sentAt: "milliseconds" } });
  const client = await open();
  await client.join("a", "A");
  client.say({ type: "send-message", room_id: "a", message: "x" });
  const { sent_at } = await client.next();
  assert.ok(Number.isInteger(sent_at) && Math.abs(Number(sent_at) - Date.now()) < 60_000);
});

test("a frame with an id gets an ack with the position of the message", async t => {
  const { open } = await serve(t);
  const client = await open();
  const { epoch, ...joined } = await client.join("a", "A", { id: 7 });
  assert.deepEqual(joined, { type: "ack", id: 7, room_id: "a", seq: 0 });
  assert.deepEqual(await client.ask({ type: "send-message", room_id: "a", message: "x", id: "m" }), {
    type: "ack",
    id: "m",
    room_id: "a",
    seq: 1,
    epoch,
  });
  assert.deepEqual(await client.ask({ type: "leave-room", room_id: "a", id: 8 }), {
    type: "ack",
    id: 8,
    room_id: "a",
  });
});

test("a socket that is not a member of a room can neither send to it nor leave it nor list its members", async t => {
  const { open } = await serve(t);
  const member = await open();
  const stranger = await open();
  await member.join("a", "A");
  for (const frame of [
    { type: "send-message", room_id: "a", from: "S", message: "x", id: 1 },
    { type: "leave-room", room_id: "a", from: "A", id: 2 },
    { type: "presence", room_id: "a", id: 3 },
  ]) {
    const { reason, room_id, type } = await stranger.ask(frame);
    assert.deepEqual({ type, reason, room_id }, { type: "error", reason: "NOT_A_MEMBER", room_id: "a" });
  }
  await member.settled();
  assert.deepEqual(member.frames, []);
});

test("a member cannot speak or leave under another name", async t => {
  const { open } = await serve(t);
  const client = await open();
  await client.join("a", "A");
  for (const frame of [
    { type: "send-message", room_id: "a", from: "B", message: "x", id: 1 },
    { type: "leave-room", room_id: "a", from: "B", id: 2 },
    { type: "join-room", room_id: "a", from: "B", id: 3 },
  ]) {
    assert.equal((await client.ask(frame)).reason, "FROM_MISMATCH");
  }
});

test("presence names who is in the room", async t => {
  const { open } = await serve(t);
  const [a, b, c] = [await open(), await open(), await open()];
  await a.join("x", "A");
  await b.join("x", "B");
  await c.join("x", "B");
  assert.deepEqual(await a.ask({ type: "presence", room_id: "x", id: 1 }), {
    type: "presence",
    id: 1,
    room_id: "x",
    count: 3,
    members: ["A", "B"],
  });
});

test("a socket that joins twice is one member, and the others hear of it once", async t => {
  const { open, realtime } = await serve(t);
  const [a, b] = [await open(), await open()];
  await a.join("x", "A");
  await b.join("x", "B");
  await b.join("x", "B");
  b.say({ type: "send-message", room_id: "x", message: "once" });
  assert.equal((await a.next()).type, "join-room");
  assert.equal((await a.next()).type, "receive-message");
  await b.settled();
  assert.equal(b.frames.length, 1);
  assert.equal(realtime.local.memberships, 2);
});

test("a user of several sockets comes with the first of them and leaves with the last, in small rooms and large", async t => {
  const { open } = await serve(t);
  const watching = await open();
  await watching.join("general", "Will Hall");
  // Above a few members names are counted in another way.
  for (let others = 0; others < 2; others++) {
    const [one, two] = [await open(), await open()];
    await one.join("general", "Ada");
    assert.deepEqual(await watching.next(), { type: "join-room", room_id: "general", from: "Ada" });
    await two.join("general", "Ada");
    one.socket.close();
    await one.closed;
    await two.ask({ type: "leave-room", room_id: "general", id: "left" });
    assert.deepEqual(await watching.next(), { type: "leave-room", room_id: "general", from: "Ada" });
    const crowd = others === 0 ? 20 : 0;
    for (let index = 0; index < crowd; index++) await (await open()).join("general", "Crowd");
    if (crowd > 0) assert.equal((await watching.next()).from, "Crowd");
  }
  await watching.settled();
  assert.deepEqual(watching.frames, []);
});

test("a client that reconnects gets what it missed, in order, before new messages", async t => {
  const { open } = await serve(t);
  const sender = await open();
  const first = await open();
  await sender.join("x", "S");
  const { epoch } = await first.join("x", "R");
  for (let i = 1; i <= 3; i++) sender.say({ type: "send-message", room_id: "x", message: `m${i}` });
  for (let i = 1; i <= 3; i++) await first.next("receive-message");
  first.socket.close();
  await first.closed;
  for (let i = 4; i <= 6; i++)
    await sender.ask({ type: "send-message", room_id: "x", message: `m${i}`, id: i });
  const again = await open();
  again.say({ type: "join-room", room_id: "x", from: "R", since: { epoch, seq: 3 } });
  assert.deepEqual(await again.next(), { type: "ack", room_id: "x", seq: 6, epoch, recovered: true });
  sender.say({ type: "send-message", room_id: "x", message: "m7" });
  for (let i = 4; i <= 7; i++) {
    const { seq, message } = await again.next();
    assert.deepEqual({ seq, message }, { seq: i, message: `m${i}` });
  }
});

test("a client that missed more than is kept gets the exact gap", async t => {
  const { open } = await serve(t, { history: { messages: 3 } });
  const sender = await open();
  const { epoch } = await sender.join("x", "S");
  for (let i = 1; i <= 10; i++) await sender.ask({ type: "send-message", room_id: "x", message: "m", id: i });
  const late = await open();
  late.say({ type: "join-room", room_id: "x", from: "R", since: { epoch, seq: 2 } });
  assert.deepEqual(await late.next(), { type: "ack", room_id: "x", seq: 10, epoch, recovered: false });
  assert.deepEqual(await late.next(), { type: "gap", room_id: "x", epoch, from: 3, to: 7 });
  for (const seq of [8, 9, 10]) assert.equal((await late.next()).seq, seq);
});

test("a position of another epoch, or in the future, is not recovered", async t => {
  const { open } = await serve(t);
  const client = await open();
  const { epoch } = await client.join("x", "S");
  await client.ask({ type: "send-message", room_id: "x", message: "m", id: 1 });
  for (const since of [
    { epoch: "other", seq: 0 },
    { epoch, seq: 5 },
  ]) {
    const other = await open();
    assert.deepEqual(await other.join("x", "R", { since, id: 1 }), {
      type: "ack",
      id: 1,
      room_id: "x",
      seq: 1,
      epoch,
      recovered: false,
    });
    await other.settled();
    assert.deepEqual(other.frames, []);
  }
});

test("an invalid frame gets an error that names what is wrong", async t => {
  const { open } = await serve(t);
  const client = await open();
  const cases: [string, string, RegExp][] = [
    ["{", "MALFORMED_JSON", /not valid JSON/],
    ["[]", "INVALID_VALUE", /must be a JSON object/],
    ["{}", "INVALID_VALUE", /type not provided/],
    ['{"type":"join-rom","room_id":"a"}', "UNKNOWN_TYPE", /"join-rom"; did you mean "join-room"/],
    ['{"type":"jon","room_id":"a"}', "UNKNOWN_TYPE", /"jon"; did you mean "join-room"/],
    [
      '{"type":"message","room_id":"a"}',
      "UNKNOWN_TYPE",
      /"message"; expected join-room, leave-room, send-message, publish, history, presence, call, cancel, ping, refresh$/,
    ],
    ['{"type":"__proto__"}', "UNKNOWN_TYPE", /__proto__/],
    ['{"type":7}', "UNKNOWN_TYPE", /expected a string/],
    ['{"type":"join-room","from":"A"}', "INVALID_VALUE", /room_id not provided/],
    ['{"type":"join-room","room_id":"a"}', "INVALID_VALUE", /from not provided/],
    [
      '{"type":"join-room","room_id":"a","form":"A"}',
      "UNKNOWN_FIELD",
      /"form" in join-room; did you mean "from"/,
    ],
    ['{"type":"join-room","room_id":"a","__proto__":{}}', "UNKNOWN_FIELD", /__proto__/],
    ['{"type":"join-room","room_id":"a\\u0000","from":"A"}', "INVALID_VALUE", /room_id: expected/],
    ['{"type":"join-room","room_id":"\\ud800","from":"A"}', "INVALID_VALUE", /room_id: expected/],
    [`{"type":"join-room","room_id":"${"x".repeat(129)}","from":"A"}`, "INVALID_VALUE", /room_id: expected/],
    ['{"type":"join-room","room_id":"a","from":"A","since":{"seq":1}}', "INVALID_VALUE", /since: expected/],
    ['{"type":"call","id":1,"method":"no"}', "INVALID_VALUE", /method: expected/],
  ];
  for (const [text, reason, message] of cases) {
    client.socket.send(text);
    const frame = await client.next();
    assert.equal(frame.reason, reason, text);
    assert.match(String(frame.message), message, text);
  }
});

test("messages are compressed where that is configured, and reach clients that cannot read it too", async t => {
  const { open } = await serve(t, { sockets: { deflate: true } });
  const able = await open({ perMessageDeflate: true });
  const unable = await open({ perMessageDeflate: false });
  assert.match(able.socket.extensions, /permessage-deflate/);
  assert.equal(unable.socket.extensions, "");
  await able.join("x", "A");
  await unable.join("x", "B");
  const message = "again ".repeat(2000);
  const before = bytesRead(able);
  able.say({ type: "send-message", room_id: "x", message });
  for (const client of [able, unable]) assert.equal((await client.next("receive-message")).message, message);
  assert.ok(bytesRead(able) - before < 1000, `${bytesRead(able) - before} bytes`);
});

test("frames are not compressed by default", async t => {
  const { open } = await serve(t);
  assert.equal((await open({ perMessageDeflate: true })).socket.extensions, "");
});

function bytesRead({ socket }: Client): number {
  return (socket as unknown as { _socket: { bytesRead: number } })._socket.bytesRead;
}
