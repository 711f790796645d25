import assert from "node:assert/strict";
import { once } from "node:events";
import { test } from "node:test";
import { WebSocket } from "ws";
import { socketEngineUnderTest } from "../engine.js";
import { closeCodeOf, frameOf, rawSocket, serve, until } from "./harness.js";

const text = 0x81;
/** Of what breaks RFC 6455. */
const takenByUws = new Set(["no mask", "a message within another", "a close code of nobody"]);
const join = Buffer.from('{"type":"join-room","room_id":"x","from":"raw"}');

test("unreadable frames get errors, and close their own socket alone when they go on", async t => {
  const { open, metric } = await serve(t);
  const [good, bad] = [await open(), await open()];
  await good.join("x", "good");
  for (let i = 0; i < 25; i++) bad.socket.send("{");
  const { code, reason } = await bad.closed;
  assert.equal(code, 4400);
  assert.deepEqual(JSON.parse(reason), { reason: "TOO_MANY_BAD_FRAMES" });
  assert.equal(bad.frames.length, 21);
  assert.ok(bad.frames.every(frame => frame.reason === "MALFORMED_JSON"));
  await good.settled();
  assert.equal(await metric('protogate_ws_closes_total{code="4400"}'), 1);
  assert.equal(await metric('protogate_ws_dropped_total{reason="invalid"}'), 21);
});

test("a binary frame gets an error", async t => {
  const { open } = await serve(t);
  const client = await open();
  client.socket.send(Buffer.from('{"type":"join-room","room_id":"x","from":"A"}'));
  assert.equal((await client.next()).reason, "BINARY_FRAME");
  await client.join("x", "A");
});

test("a message in fragments, with a ping between them, is one message", async t => {
  const { open, port, realtime } = await serve(t);
  const member = await open();
  await member.join("x", "M");
  const socket = await rawSocket(port);
  for (const [i, byte] of join.entries()) {
    const last = i === join.length - 1 ? 0x80 : 0;
    socket.write(frameOf(last | (i === 0 ? 1 : 0), Buffer.from([byte])));
    if (i === 5) socket.write(frameOf(0x89, Buffer.from("ping")));
  }
  assert.deepEqual(await member.next(), { type: "join-room", room_id: "x", from: "raw" });
  socket.destroy();
  await until(() => realtime.local.memberships === 1);
});

test("a message above the limit ends its socket alone, in one frame or in many", async t => {
  const { open, port, empty } = await serve(t, { sockets: { messageLimit: 1024 } });
  const other = await open();
  await other.join("x", "O");
  const large = await open();
  await large.join("x", "L");
  large.socket.send("x".repeat(1025));
  assert.deepEqual(await large.closed, { code: 1009, reason: '{"reason":"MESSAGE_TOO_LARGE"}' });
  assert.deepEqual((await other.next()).type, "join-room");
  assert.deepEqual(await other.next(), { type: "leave-room", room_id: "x", from: "L" });
  const raw = await rawSocket(port);
  for (let i = 0; i < 11; i++) raw.write(frameOf(i === 0 ? 1 : i === 10 ? 0x80 : 0, Buffer.alloc(100, "x")));
  assert.equal(await closeCodeOf(raw), 1009);
  const huge = await rawSocket(port);
  huge.write(frameOf(text, Buffer.alloc(5000, "x")));
  assert.equal(await closeCodeOf(huge), socketEngineUnderTest() === "portable" ? 1009 : 1006);
  await other.settled();
  other.socket.terminate();
  await empty();
});

test("a violation of RFC 6455 ends its socket alone, with the close code for it", async t => {
  const { open, port, empty } = await serve(t);
  const other = await open();
  await other.join("x", "O");
  const broken: readonly [name: string, code: number, frames: Buffer][] = [
    ["invalid UTF-8", 1007, frameOf(text, Buffer.from([0x22, 0xc3, 0x28, 0x22]))],
    ["a surrogate in UTF-8", 1007, frameOf(text, Buffer.from([0xed, 0xa0, 0x80]))],
    ["a reserved bit", 1002, frameOf(text | 0x40, join)],
    ["another reserved bit", 1002, frameOf(text | 0x10, join)],
    ["a reserved opcode", 1002, frameOf(0x83, join)],
    ["a reserved opcode of a control frame", 1002, frameOf(0x8b, join)],
    ["a continuation of nothing", 1002, frameOf(0x80, join)],
    ["a message within another", 1002, Buffer.concat([frameOf(0x01, join), frameOf(text, join)])],
    ["a ping in fragments", 1002, frameOf(0x09, Buffer.from("x"))],
    ["a ping of 126 bytes", 1002, frameOf(0x89, Buffer.alloc(126))],
    ["a close frame of one byte", 1002, frameOf(0x88, Buffer.from([3]))],
    ["a close code of nobody", 1002, frameOf(0x88, Buffer.from([3, 237]))],
    ["a close reason that is not UTF-8", 1007, frameOf(0x88, Buffer.from([3, 232, 0xff]))],
    ["a length of 2^63", 1009, Buffer.from([text, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])],
    ["no mask", 1002, Buffer.concat([frameOf(text, join, false), Buffer.alloc(4)])],
  ];
  for (const [name, expected, bytes] of broken) {
    // The addon ends some of them without a code and takes others as good: what it does is in docs/reference/engines.md.
    if (socketEngineUnderTest() === "uws" && takenByUws.has(name)) continue;
    const socket = await rawSocket(port);
    socket.write(frameOf(text, join));
    socket.write(bytes);
    const code = await closeCodeOf(socket);
    if (socketEngineUnderTest() === "portable") assert.equal(code, expected, name);
    else assert.ok([1002, 1005, 1006, 1007, 1009].includes(code), `${name}: ${code}`);
  }
  await other.settled();
  other.socket.terminate();
  await empty();
});

test("a frame that is not masked is not read as what it seems to say", async t => {
  const { port, realtime } = await serve(t);
  const socket = await rawSocket(port);
  // uWebSockets.js does not look at the bit: it takes four bytes for a mask, and what comes out is no JSON.
  socket.write(Buffer.concat([frameOf(text, join, false), Buffer.alloc(4)]));
  const [answer] = (await once(socket, "data")) as [Buffer];
  assert.match(answer.toString(), socketEngineUnderTest() === "uws" ? /MALFORMED_JSON/ : /PROTOCOL_ERROR/);
  assert.equal(realtime.local.memberships, 0);
  socket.destroy();
});

test("a socket that ends without a word leaves its rooms", async t => {
  const { open, port, empty } = await serve(t);
  const other = await open();
  await other.join("x", "O");
  const socket = await rawSocket(port);
  socket.write(frameOf(text, join));
  assert.equal((await other.next()).type, "join-room");
  socket.resetAndDestroy();
  assert.deepEqual(await other.next(), { type: "leave-room", room_id: "x", from: "raw" });
  other.socket.close();
  await other.closed;
  await empty();
});

test("clients that never respond to a ping are gone after the idle timeout, and none of them before", async t => {
  const idleTimeout = 8000;
  const { open, port, metric, empty } = await serve(t, { sockets: { idleTimeout } });
  const alive = await open();
  await alive.join("x", "alive");
  const silences: Promise<number>[] = [];
  // At several phases of the timers that end them.
  for (let phase = 0; phase < 4; phase++) {
    const socket = await rawSocket(port);
    const since = performance.now();
    const joining = JSON.stringify({ type: "join-room", room_id: "x", from: `raw${phase}` });
    socket.write(frameOf(text, Buffer.from(joining)));
    assert.equal((await alive.next()).type, "join-room");
    silences.push(once(socket.resume(), "close").then(() => performance.now() - since));
    await new Promise(resolve => setTimeout(resolve, 900));
  }
  // The timers of the addon jitter by some milliseconds.
  for (const silence of await Promise.all(silences)) assert.ok(silence >= idleTimeout - 200, `${silence} ms`);
  for (const _ of silences) assert.equal((await alive.next()).type, "leave-room");
  assert.equal(await metric('protogate_ws_closes_total{code="1006"}'), 4);
  await alive.settled();
  alive.socket.terminate();
  await empty();
});

test("a flood gets errors and is then closed with 4029; other sockets are not delayed", async t => {
  const { open, metric, empty } = await serve(t, { limits: { messagesPerSecond: 1, burst: 10 } });
  const other = await open();
  await other.join("x", "O");
  const flood = await open();
  for (let i = 0; i < 5000; i++)
    flood.say({ type: "send-message", room_id: "x", from: "F", message: "x", id: i });
  assert.equal((await flood.closed).code, 4029);
  const [first, ...rest] = flood.frames.filter(frame => frame.reason === "RATE_LIMITED");
  assert.equal(first?.id, 10);
  assert.equal(first?.retry_after, 1);
  assert.ok(rest.length >= 20 && rest.length <= 25);
  assert.equal(await metric('protogate_ws_closes_total{code="4029"}'), 1);
  await other.settled();
  other.socket.terminate();
  await empty();
});

test("a storm of joins and leaves ends where it began", async t => {
  const { open, realtime, empty, metric } = await serve(t);
  const clients = await Promise.all(Array.from({ length: 20 }, () => open()));
  for (let round = 0; round < 25; round++) {
    for (const [i, client] of clients.entries()) {
      client.say({ type: "join-room", room_id: `room ${(round + i) % 7}`, from: `c${i}` });
      if (round % 2 === i % 2) client.say({ type: "leave-room", room_id: `room ${(round + i) % 7}` });
    }
  }
  for (const [i, client] of clients.entries()) if (i % 3 === 0) client.socket.terminate();
  const left = clients.filter((_, i) => i % 3 !== 0);
  for (const client of left) await client.settled();
  for (const client of left) client.socket.close();
  await empty();
  assert.equal(await metric("protogate_ws_members"), 0);
  assert.equal(await metric("protogate_ws_rooms"), 0);
  // The places of seven rooms, which outlive their last members for a while.
  const kept = await metric("protogate_ws_history_bytes");
  assert.ok(Number(kept) <= 7 * 512, `${kept} bytes are kept`);
  assert.equal(realtime.local.slow.size, 0);
});

test("a socket can be in 1,000 rooms, is refused one more, and leaves them all at its end", async t => {
  const { open, realtime, empty } = await serve(t, { limits: { roomsPerConnection: 1000 } });
  const client = await open();
  const other = await open();
  await other.join("room 500", "O");
  for (let i = 0; i < 1000; i++) client.say({ type: "join-room", room_id: `room ${i}`, from: "A" });
  assert.equal((await client.join("one more", "A")).reason, "TOO_MANY_ROOMS");
  assert.equal(realtime.local.memberships, 1001);
  for (let i = 0; i < 1000; i++) client.say({ type: "send-message", room_id: `room ${i}`, message: `${i}` });
  for (let i = 0; i < 1000; i++) assert.equal((await client.next("receive-message")).message, `${i}`);
  client.socket.terminate();
  assert.equal((await other.next("leave-room")).from, "A");
  other.socket.terminate();
  await empty();
});

test("sockets that close while a message is on its way to them affect no other socket", async t => {
  const { open, empty } = await serve(t);
  const keeper = await open();
  await keeper.join("x", "K");
  for (let round = 0; round < 20; round++) {
    const others = await Promise.all(Array.from({ length: 10 }, () => open()));
    for (const [i, other] of others.entries())
      other.say({ type: "join-room", room_id: "x", from: `${round} ${i}` });
    for (const other of others) await other.settled();
    keeper.say({ type: "send-message", room_id: "x", message: "x".repeat(50_000) });
    for (const [i, other] of others.entries()) {
      if (i % 2 === 0) other.socket.terminate();
      else other.socket.close(1000, "bye");
    }
    keeper.say({ type: "send-message", room_id: "x", message: "y" });
    await keeper.settled();
  }
  keeper.socket.terminate();
  await empty();
});

test("a handle that outlives its socket does nothing", async t => {
  const { open, realtime, empty } = await serve(t);
  const client = await open();
  await client.join("x", "A");
  const [socket] = realtime.local.open;
  assert.ok(socket !== undefined);
  client.socket.terminate();
  await empty();
  assert.equal(socket.send("{}"), false);
  assert.equal(socket.closed, true);
  assert.equal(socket.buffered, 0);
  assert.equal(socket.unsubscribe("x"), false);
  socket.subscribe("x");
  socket.end(1000, "");
  socket.terminate();
  realtime.local.open.end(socket, 1000, "");
  realtime.local.drained(socket);
  realtime.chat.receive(socket, '{"type":"join-room","room_id":"x","from":"A"}', 1);
  assert.equal(realtime.local.openRooms, 0);
});

test("no more sockets are opened than the limit allows, and a closed one frees its permit at once", async t => {
  const { open, url, metric } = await serve(t, { limits: { connections: 2 } });
  const [first] = [await open(), await open()];
  const refused = new WebSocket(`${url}/ws`);
  const [, response] = await once(refused, "unexpected-response");
  assert.equal(response.statusCode, 503);
  assert.equal(await metric('protogate_ws_upgrades_total{result="too_many"}'), 1);
  first?.socket.close();
  await first?.closed;
  await open();
});
