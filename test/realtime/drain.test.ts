import assert from "node:assert/strict";
import { once } from "node:events";
import { test } from "node:test";
import { WebSocket } from "ws";
import { RequestOrigins } from "../../src/auth/request-origins.js";
import type { Bridge } from "../../src/realtime/bridge/bridge.js";
import { type Client, serve, until } from "./harness.js";

test("a drain closes every socket with 1012 and when to come back, one after the other", async t => {
  const { open, realtime, stop } = await serve(t);
  const clients: Client[] = [];
  for (let i = 0; i < 30; i++) {
    const client = await open();
    await client.join("x", `c${i}`);
    clients.push(client);
  }
  const left: number[] = [];
  for (const client of clients) void client.closed.then(() => left.push(realtime.local.open.size));
  stop();
  await realtime.close(2000);
  const closes = await Promise.all(clients.map(client => client.closed));
  for (const { code, reason } of closes) {
    assert.equal(code, 1012);
    const { reason: why, retry_after } = JSON.parse(reason);
    assert.equal(why, "SHUTTING_DOWN");
    assert.ok(retry_after >= 1 && retry_after <= 2);
  }
  assert.ok(new Set(left).size > 2, "they were closed all at once");
  assert.equal(realtime.local.openRooms, 0);
});

test("a gateway that drains takes no more sockets", async t => {
  const { open, realtime, url } = await serve(t);
  const client = await open();
  (client.socket as unknown as { _socket: { pause(): void } })._socket.pause();
  const drained = realtime.close(500);
  const late = new WebSocket(`${url}/ws`);
  late.on("error", () => {});
  const [, response] = await once(late, "unexpected-response");
  assert.deepEqual([response.statusCode, response.headers["retry-after"]], [503, "1"]);
  await drained;
  assert.equal(realtime.local.open.size, 0);
});

test("a client that does not read cannot delay a drain", async t => {
  const { open, realtime } = await serve(t, {
    settings: { backpressure: { max: 1024 ** 3, policy: "close" } },
  });
  const [sender, deaf] = [await open(), await open()];
  await sender.join("x", "S");
  await deaf.join("x", "D");
  (deaf.socket as unknown as { _socket: { pause(): void } })._socket.pause();
  const buffered = () => [...realtime.local.open].some(socket => socket.buffered > 100_000);
  for (let i = 0; !buffered(); i++)
    await sender.ask({ type: "send-message", room_id: "x", message: "x".repeat(60_000), id: i });
  await realtime.close(300);
  await until(() => realtime.local.open.size === 0);
});

test("a socket ends when its credential does", async t => {
  t.mock.timers.enable({ apis: ["setInterval", "Date"], now: 1_000_000 });
  const { open } = await serve(t, {
    settings: {
      authenticator: caller => ({
        provider: "test",
        subject: caller.query,
        scopes: new Set(),
        claims: {},
        metadata: [],
        expiresAt: caller.query === "short" ? 1_005_000 : undefined,
      }),
    },
  });
  const short = await open({ path: "/ws?short" });
  const long = await open({ path: "/ws?long" });
  t.mock.timers.tick(10_000);
  const { code, reason } = await short.closed;
  assert.deepEqual([code, JSON.parse(reason)], [4401, { reason: "TOKEN_EXPIRED" }]);
  await long.settled();
});

test("settings change for sockets that are open", async t => {
  const { open, realtime, url } = await serve(t);
  const client = await open();
  await client.join("a", "A");
  realtime.settings = {
    ...realtime.settings,
    origins: new RequestOrigins(["https://app.example.com"], 0),
    sentAt: "milliseconds",
    limits: { ...realtime.settings.limits, roomsPerConnection: 1 },
  };
  assert.equal((await client.join("b", "A")).reason, "TOO_MANY_ROOMS");
  client.say({ type: "send-message", room_id: "a", message: "x" });
  assert.ok(Number((await client.next("receive-message")).sent_at) > 1e12);
  await open({ origin: "https://app.example.com" });
  const refused = new WebSocket(`${url}/ws`, { origin: url.replace("ws", "http") });
  refused.on("error", () => {});
  const [, response] = await once(refused, "unexpected-response");
  assert.equal(response.statusCode, 403);
});

test("a backend hears of the end of all sockets before a drain is over", async t => {
  const told: string[] = [];
  const bridge: Bridge = {
    async event(kind, _, frame) {
      await new Promise(resolve => setImmediate(resolve));
      told.push(kind);
      return { allow: true, frame };
    },
    call() {},
    cancel() {},
    drained() {},
    sessionClosed() {},
    close: async () => void told.push("closed"),
  };
  const { open, realtime } = await serve(t, { settings: { bridge } });
  const clients = await Promise.all([open(), open()]);
  for (const client of clients) await client.join("x", "A");
  told.length = 0;
  await realtime.close(0);
  assert.deepEqual(told, ["leave", "leave", "disconnect", "disconnect", "closed"]);
});
