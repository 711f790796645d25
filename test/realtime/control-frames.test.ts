import assert from "node:assert/strict";
import type { Socket as NetSocket } from "node:net";
import { describe, test } from "node:test";
import { socketEngineUnderTest } from "../engine.js";
import { closeCodeOf, frameOf, rawSocket, serve, until } from "./harness.js";

const ping = frameOf(0x89, Buffer.alloc(125, "p"));
const pong = frameOf(0x8a, Buffer.alloc(125, "p"));

/** Pongs among what has come. */
async function pongsUntilClosed(socket: NetSocket): Promise<number> {
  const chunks: Buffer[] = [];
  socket.on("data", chunk => chunks.push(chunk));
  await new Promise(resolve => socket.once("close", resolve));
  const bytes = Buffer.concat(chunks);
  let pongs = 0;
  for (let at = 0; at + 1 < bytes.length; at += 2 + ((bytes[at + 1] ?? 0) & 0x7f))
    if (bytes[at] === 0x8a) pongs++;
  return pongs;
}

/** Writes as fast as the other side reads, and stops when the connection is over. */
async function flood(socket: NetSocket, packet: Buffer, packets: number): Promise<void> {
  for (let i = 0; i < packets && !socket.destroyed; i++) {
    if (socket.write(packet)) continue;
    await new Promise<void>(resolve => {
      const on = (): void => {
        socket.off("drain", on);
        socket.off("close", on);
        resolve();
      };
      socket.on("drain", on);
      socket.on("close", on);
    });
  }
}

describe(`control frames (${socketEngineUnderTest()})`, () => {
  test("a few pings get pongs, and count against the rate of frames", async t => {
    const { port, metric } = await serve(t, { limits: { messagesPerSecond: 0.001, burst: 3 } });
    const socket = await rawSocket(port);
    for (let i = 0; i < 3; i++) socket.write(ping);
    socket.write(frameOf(0x81, Buffer.from('{"type":"presence","room_id":"x","id":1}')));
    let text = "";
    socket.on("data", chunk => {
      text += chunk;
    });
    await until(() => text.includes("RATE_LIMITED"));
    assert.equal(text.split("p".repeat(125)).length - 1, 3);
    assert.equal(await metric('protogate_ws_dropped_total{reason="rate_limited"}'), 1);
    socket.destroy();
  });

  test("a flood of pings is closed with 4029 after the strikes that every client has", async t => {
    const { port, metric, empty } = await serve(t, { limits: { messagesPerSecond: 0.001, burst: 10 } });
    const socket = await rawSocket(port);
    const pongs = pongsUntilClosed(socket);
    socket.write(Buffer.concat(Array.from({ length: 5000 }, () => ping)));
    // The addon sends the pongs of refused pings itself.
    assert.equal(await pongs, socketEngineUnderTest() === "uws" ? 31 : 10);
    await empty();
    assert.equal(await metric('protogate_ws_closes_total{code="4029"}'), 1);
  });

  test("a flood of unsolicited pongs is closed with 4029", async t => {
    const { port, empty } = await serve(t);
    const socket = await rawSocket(port);
    socket.write(Buffer.concat(Array.from({ length: 20 }, () => pong)));
    socket.write(frameOf(0x81, Buffer.from('{"type":"presence","room_id":"x","id":1}')));
    await new Promise(resolve => socket.once("data", resolve));
    socket.write(Buffer.concat(Array.from({ length: 5000 }, () => pong)));
    assert.equal(await closeCodeOf(socket), 4029);
    await empty();
  });

  test("a client that sends pings and reads nothing has a bounded number of pongs waiting and is closed", async t => {
    const { port, realtime, metric, empty } = await serve(t, {
      settings: { backpressure: { max: 100_000, policy: "close" } },
    });
    const deaf = await rawSocket(port);
    deaf.pause();
    let most = 0;
    const watch = setInterval(() => {
      for (const socket of realtime.local.open) most = Math.max(most, socket.buffered);
    }, 1);
    await flood(deaf, Buffer.concat(Array.from({ length: 500 }, () => ping)), 400);
    await empty();
    clearInterval(watch);
    assert.equal(await metric('protogate_ws_closes_total{code="4008"}'), 1);
    assert.ok(most < 400_000, `${most} bytes have waited`);
    deaf.destroy();
  });

  test("a client that is being ended and goes on with pings is closed without waiting for it to read", async t => {
    const { port, open, realtime, empty } = await serve(t, {
      settings: { backpressure: { max: 100_000, policy: "close" } },
    });
    const speaker = await open();
    await speaker.join("x", "S");
    const deaf = await rawSocket(port);
    deaf.write(frameOf(0x81, Buffer.from('{"type":"join-room","room_id":"x","from":"deaf"}')));
    await speaker.next("join-room");
    deaf.pause();
    const socket = [...realtime.local.open].find(each => each.subject === "deaf");
    for (let i = 0; socket?.pendingClose === undefined; i++)
      await speaker.ask({ type: "send-message", room_id: "x", message: "x".repeat(60_000), id: i });
    assert.equal(socket.pendingClose.code, 4008);
    await flood(deaf, Buffer.concat(Array.from({ length: 30 }, () => ping)), 1);
    await until(() => realtime.local.open.size === 1);
    deaf.destroy();
    speaker.socket.terminate();
    await empty();
  });

  test("close frames behind the first one, and whatever else, are not read", async t => {
    const { port, metric, empty } = await serve(t);
    const socket = await rawSocket(port);
    const close = frameOf(0x88, Buffer.from([0x03, 0xe8]));
    socket.write(
      Buffer.concat([...Array.from({ length: 1000 }, () => close), ping, frameOf(0x81, Buffer.from("{"))]),
    );
    assert.equal(await closeCodeOf(socket), 1000);
    await empty();
    assert.equal(await metric('protogate_ws_closes_total{code="1000"}'), 1);
    assert.equal(await metric('protogate_ws_dropped_total{reason="invalid"}'), 0);
  });

  test("refused frames of a client that does not read do not pile up errors", async t => {
    const { port, realtime, empty } = await serve(t);
    const deaf = await rawSocket(port);
    deaf.pause();
    const bad = frameOf(0x81, Buffer.from(`{"type":"${"x".repeat(100)}"}`));
    await flood(deaf, Buffer.concat(Array.from({ length: 1000 }, () => bad)), 20);
    await until(() => [...realtime.local.open].every(socket => socket.closed));
    for (const socket of realtime.local.open) assert.ok(socket.buffered < 100_000);
    deaf.destroy();
    await empty();
  });
});
