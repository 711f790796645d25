import assert from "node:assert/strict";
import { once } from "node:events";
import type { IncomingMessage } from "node:http";
import { type TestContext, test } from "node:test";
import { Metadata, status } from "@grpc/grpc-js";
import { WebSocket } from "ws";
import type { BridgeConfig } from "../../../src/realtime/bridge/compile-bridge.js";
import { type Json, serve, type TestServer, until } from "../harness.js";
import { type BridgeSystem, bridgeDefaults, startBridge } from "./bridge-system.js";
import {
  type RoomsBackend,
  type Streaming,
  startHangingServer,
  startRoomsBackend,
  type Unary,
} from "./rooms-backend.js";

interface System extends TestServer {
  readonly backend: RoomsBackend;
  readonly calls: BridgeSystem;
}

interface Setup {
  readonly events?: BridgeConfig["events"];
  readonly unary?: Readonly<Record<string, Unary>>;
  readonly streams?: Readonly<Record<string, Streaming>>;
  readonly limits?: Partial<BridgeConfig["bridge"]>;
}

/** Sockets, the bridge and a real backend behind it. */
async function start(t: TestContext, { events = {}, unary, streams, limits }: Setup): Promise<System> {
  const backend = await startRoomsBackend(unary, streams);
  const bridge = { ...bridgeDefaults.bridge, ...limits };
  const calls = await startBridge({ events, bridge, calls: ["chat.v1.Calls/*"] }, backend.port);
  const served = await serve(t, { settings: { bridge: calls.bridge } });
  t.after(async () => {
    await calls.close();
    await backend.close();
  });
  return { ...served, backend, calls };
}

const asking = (method: string, timeout = 5000) =>
  ({ upstream: "chat", method: `chat.v1.Rooms/${method}`, on_failure: "refuse", timeout }) as const;

const refusing =
  (code: number, details: string): Unary =>
  (_, reply) =>
    reply({ code, details, metadata: new Metadata() });

function call(id: number, method: string, body: string): string {
  return `{"type":"call","id":${id},"method":"chat.v1.Calls/${method}","body":${body}}`;
}

test("a socket calls a method, and every digit arrives both ways", async t => {
  const { open } = await start(t, { unary: { Echo: (request, reply) => reply(null, request) } });
  const client = await open();
  client.socket.send(call(7, "Echo", '{"big":9007199254740993,"list":[9223372036854775807]}'));
  assert.deepEqual(await client.next(), {
    type: "reply",
    id: 7,
    body: { big: "9007199254740993", list: ["9223372036854775807"] },
  });
  client.say({ type: "call", id: 8, method: "chat.v1.Hidden/Get", body: {} });
  const { reason, id } = await client.next("error");
  assert.deepEqual([reason, id], ["METHOD_NOT_CALLABLE", 8]);
});

test("a backend refuses a join, rewrites a message, and gets leaves and disconnects", async t => {
  const { open, backend } = await start(t, {
    events: {
      join: asking("Join"),
      message: asking("Send"),
      leave: asking("Leave"),
      disconnect: asking("Disconnect"),
    },
    unary: {
      Join: (request, reply) =>
        request.room_id === "vip"
          ? reply({ code: status.PERMISSION_DENIED, details: "members only", metadata: new Metadata() })
          : reply(null, {}),
      Send: (request, reply) => reply(null, { message: String(request.message).toUpperCase() }),
    },
  });
  const client = await open();
  const refused = await client.join("vip", "jdoe");
  assert.deepEqual(
    [refused.type, refused.reason, refused.message],
    ["error", "PERMISSION_DENIED", "members only"],
  );
  await client.join("general", "jdoe");
  client.say({ type: "send-message", room_id: "general", from: "jdoe", message: "hello" });
  assert.equal((await client.next("receive-message")).message, "HELLO");
  client.say({ type: "send-message", room_id: "vip", from: "jdoe", message: "hello" });
  assert.equal((await client.next("error")).reason, "NOT_A_MEMBER");
  client.socket.close(4321);
  await until(() => backend.seen.length >= 5);
  assert.deepEqual(
    backend.seen.map(({ method }) => method),
    ["Join", "Join", "Send", "Leave", "Disconnect"],
  );
  assert.deepEqual([backend.seen[3]?.request.room_id, backend.seen[4]?.request.code], ["general", 4321]);
});

test("a backend that refuses a connect keeps the socket from opening", async t => {
  const { url } = await start(t, {
    events: { connect: asking("Connect") },
    unary: { Connect: refusing(status.PERMISSION_DENIED, "closed today") },
  });
  const socket = new WebSocket(`${url}/ws`);
  socket.on("error", () => undefined);
  const [, answer] = (await once(socket, "unexpected-response")) as [unknown, IncomingMessage];
  assert.equal(answer.statusCode, 403);
  const [body] = (await once(answer, "data")) as [Buffer];
  assert.match(body.toString(), /closed today/);
});

test("a backend that hangs costs error frames, and neither the socket nor others", async t => {
  const backend = await startHangingServer("stuck");
  const calls = await startBridge({ events: { message: asking("Send", 1500) } }, backend.port);
  const { open } = await serve(t, { settings: { bridge: calls.bridge } });
  t.after(async () => {
    await calls.close();
    await backend.close();
  });
  const [stuck, other] = [await open(), await open()];
  await stuck.join("a", "jdoe");
  await other.join("a", "hsue");
  const answer = stuck.ask({ type: "send-message", room_id: "a", from: "jdoe", message: "stuck", id: 1 });
  other.say({ type: "send-message", room_id: "a", from: "hsue", message: "through" });
  assert.equal((await other.next("receive-message")).message, "through");
  assert.equal((await answer).reason, "UPSTREAM_TIMEOUT");
  stuck.say({ type: "send-message", room_id: "a", from: "jdoe", message: "again" });
  assert.equal((await other.next("receive-message")).message, "again");
});

test("a frame whose backend dies during the call gets an error frame", async t => {
  const { open, backend } = await start(t, {
    events: { message: asking("Send", 2000) },
    unary: { Send: () => undefined },
  });
  const client = await open();
  await client.join("a", "jdoe");
  const answer = client.ask({ type: "send-message", room_id: "a", from: "jdoe", message: "x", id: 1 });
  await backend.reached(1);
  await backend.close();
  const { type, reason } = await answer;
  assert.equal(type, "error");
  assert.match(String(reason), /^UPSTREAM_|^UNAVAILABLE$/);
});

test("messages of one socket and room keep their order, however long the backend takes for each", async t => {
  const held: (() => void)[] = [];
  const { open, backend } = await start(t, {
    events: { message: asking("Send") },
    unary: { Send: (_, reply) => held.push(() => reply(null, {})) },
  });
  const client = await open();
  await client.join("a", "jdoe");
  const texts = Array.from({ length: 10 }, (_, index) => `m${index}`);
  for (const message of texts) client.say({ type: "send-message", room_id: "a", from: "jdoe", message });
  for (let seen = 1; seen <= texts.length; seen++) {
    await backend.reached(seen);
    held.shift()?.();
  }
  const got: unknown[] = [];
  while (got.length < texts.length) got.push((await client.next("receive-message")).message);
  assert.deepEqual(got, texts);
});

test("a stream to a client that does not read waits at the backend, and then arrives whole", async t => {
  let written = 0;
  // More than sockets and HTTP/2 hold on the way.
  const total = 1500;
  const pad = "x".repeat(20_000);
  const { open } = await start(t, {
    unary: { Echo: (request, reply) => reply(null, request) },
    streams: {
      Count: stream => {
        const more = (): void => {
          while (written < total) {
            if (!stream.write({ value: ++written, pad })) {
              stream.once("drain", more);
              return;
            }
          }
          stream.end();
        };
        more();
      },
    },
  });
  const [slow, other] = [await open(), await open()];
  slow.socket.send(call(1, "Count", "{}"));
  await slow.next("event");
  slow.socket.pause();
  let before = -1;
  let still = 0;
  while (still < 50) {
    await other.ask({ type: "call", id: `e${before}-${still}`, method: "chat.v1.Calls/Echo", body: {} });
    still = written === before ? still + 1 : 0;
    before = written;
  }
  assert.ok(written < total, `the backend wrote all ${written} to a client that reads nothing`);
  slow.socket.resume();
  const values: unknown[] = [1];
  for (;;) {
    const frame = await slow.next();
    if (frame.type !== "event") {
      assert.deepEqual(frame, { type: "end", id: 1 });
      break;
    }
    values.push((frame.body as Json).value);
  }
  assert.deepEqual(
    values,
    Array.from({ length: total }, (_, index) => index + 1),
  );
});

test("a cancel frame and the close of a socket cancel its calls at the backend", async t => {
  let cancelled = 0;
  const { open, backend, calls } = await start(t, {
    streams: {
      Count: stream => {
        stream.on("cancelled", () => {
          cancelled++;
        });
      },
    },
  });
  const client = await open();
  for (const id of [1, 2, 3]) client.socket.send(call(id, "Count", "{}"));
  await backend.reached(3);
  client.say({ type: "cancel", id: 2 });
  const { id, reason } = await client.next("error");
  assert.deepEqual([id, reason], [2, "CALL_CANCELLED"]);
  await until(() => cancelled === 1);
  client.socket.terminate();
  await until(() => cancelled === 3);
  while ((await calls.metric("protogate_ws_bridge_calls_in_flight")) > 0) {
    await new Promise(resolve => setImmediate(resolve));
  }
});
