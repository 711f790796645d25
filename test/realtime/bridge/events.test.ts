import assert from "node:assert/strict";
import { createServer, type Socket } from "node:net";
import { after, test } from "node:test";
import { Metadata, status } from "@grpc/grpc-js";
import type { Identity } from "../../../src/auth/identity.js";
import type { EventFrames, EventOutcome } from "../../../src/realtime/bridge/bridge.js";
import type { BridgeConfig, EventConfig } from "../../../src/realtime/bridge/compile-bridge.js";
import { type BridgeSystem, startBridge, testSession } from "./bridge-system.js";
import { type RoomsBackend, startHangingServer, startRoomsBackend, type Unary } from "./rooms-backend.js";

const closing: (() => Promise<void>)[] = [];
after(async () => {
  for (const close of closing.reverse()) await close();
});

function asking(method: string, more: Partial<EventConfig> = {}): EventConfig {
  return { upstream: "chat", method: `chat.v1.Rooms/${method}`, on_failure: "refuse", ...more };
}

async function system(
  events: BridgeConfig["events"],
  handlers: Readonly<Record<string, Unary>> = {},
  limits: Partial<BridgeConfig["bridge"]> = {},
): Promise<BridgeSystem & { backend: RoomsBackend }> {
  const backend = await startRoomsBackend(handlers);
  const bridge = { concurrency: 100, queue: 100, streams: 100, calls_per_connection: 16, ...limits };
  const started = await startBridge({ events, bridge }, backend.port);
  closing.push(backend.close, started.close);
  return { ...started, backend };
}

function post(message: string, id?: number): EventFrames["message"] {
  const frame = { type: "send-message", room_id: "general", from: "jdoe", message } as const;
  return id === undefined ? frame : { ...frame, id };
}

function refusal(verdict: EventOutcome): { reason: string; message: string; code: number } {
  assert.equal(verdict.allow, false);
  const { reason, message, code } = (verdict as EventOutcome & { allow: false }).failure;
  return { reason, message, code };
}

test("an event without a configured backend is allowed at once", async () => {
  const { bridge } = await system({ join: asking("Join") });
  assert.deepEqual(bridge.event("message", testSession(), post("hi")), { allow: true, frame: post("hi") });
});

test("a frame is bound by proto and JSON names, and what the request lacks is left out", async () => {
  const { bridge, backend } = await system({
    join: asking("Join"),
    message: asking("Send"),
    disconnect: asking("Disconnect"),
    leave: asking("Record"),
  });
  const session = testSession();
  await bridge.event("join", session, { type: "join-room", room_id: "general", from: "jdoe", id: 7 });
  await bridge.event("message", session, post("hi", 8));
  await bridge.event("disconnect", session, { type: "disconnect", from: "jdoe", code: 1006 });
  await bridge.event("leave", session, { type: "leave-room", room_id: "general", from: "jdoe" });
  assert.deepEqual(
    backend.seen.map(each => each.request),
    [
      { room_id: "general", from: "jdoe", session_id: session.id, id: "7" },
      { roomId: "general", from: "jdoe", message: "hi" },
      { from: "jdoe", code: 1006 },
      {
        fields: {
          type: { stringValue: "leave-room" },
          room_id: { stringValue: "general" },
          from: { stringValue: "jdoe" },
          session_id: { stringValue: session.id },
        },
      },
    ],
  );
});

test("the backend gets the caller, its address and the request id", async () => {
  const { bridge, backend } = await system({ connect: asking("Connect") });
  const identity: Identity = {
    provider: "users",
    subject: "jdoe",
    scopes: new Set(),
    claims: {},
    metadata: [["x-user-id", "42"]],
    expiresAt: undefined,
  };
  await bridge.event("connect", testSession("jdoe", identity), { type: "connect", from: "jdoe" });
  const { "x-user-id": user, "x-request-id": request, "x-forwarded-for": from } = backend.seen[0]!.metadata;
  assert.deepEqual([user, request, from], ["42", "req-1", "192.0.2.7"]);
});

test("a reply rewrites the message, and neither room nor sender", async () => {
  const { bridge } = await system(
    { message: asking("Send") },
    {
      Send: (request, reply) =>
        reply(null, { message: `${request.message}!`, room_id: "other", from: "mallory" }),
    },
  );
  const verdict = await bridge.event("message", testSession(), post("hi", 3));
  assert.deepEqual(verdict, { allow: true, frame: post("hi!", 3) });
});

test("an empty text without presence leaves the message as it is; one with presence empties it", async () => {
  const { bridge } = await system(
    { message: asking("Send") },
    { Send: (_, reply) => reply(null, { message: "" }) },
  );
  assert.deepEqual(await bridge.event("message", testSession(), post("hi")), {
    allow: true,
    frame: post("hi"),
  });
  const other = await system(
    { message: asking("Name", { rewrite: ["message", "from"] }) },
    { Name: (_, reply) => reply(null, { message: "", from: "Will Hall" }) },
  );
  assert.deepEqual(await other.bridge.event("message", testSession(), post("hi")), {
    allow: true,
    frame: { ...post(""), from: "Will Hall" },
  });
});

test("a status refuses with its code, reason and message", async () => {
  const { bridge, metric } = await system(
    { join: asking("Join") },
    {
      Join: (_, reply) =>
        reply({ code: status.PERMISSION_DENIED, details: "members only", metadata: new Metadata() }),
    },
  );
  const verdict = await bridge.event("join", testSession(), {
    type: "join-room",
    room_id: "vip",
    from: "jdoe",
  });
  assert.deepEqual(refusal(verdict), { reason: "PERMISSION_DENIED", message: "members only", code: 7 });
  const counted = 'protogate_ws_bridge_calls_total{event="join",code="PERMISSION_DENIED"}';
  assert.equal(await metric(counted), 1);
  assert.equal(await metric('protogate_ws_bridge_call_duration_seconds_count{event="join"}'), 1);
  assert.equal(await metric("protogate_ws_bridge_calls_in_flight"), 0);
});

test("a backend that hangs costs an event its timeout and no more", async () => {
  const backend = await startHangingServer("hi");
  const { bridge, close } = await startBridge(
    { events: { message: asking("Send", { timeout: 30 }) } },
    backend.port,
  );
  closing.push(backend.close, close);
  const verdict = await bridge.event("message", testSession(), post("hi"));
  assert.equal(refusal(verdict).reason, "UPSTREAM_TIMEOUT");
});

test("a backend that is gone refuses, or allows where the configuration says so", async () => {
  const free = await system({});
  await free.backend.close();
  const refusing = await startBridge({ events: { join: asking("Join") } }, free.backend.port);
  const allowing = await startBridge(
    { events: { join: asking("Join", { on_failure: "allow" }) } },
    free.backend.port,
  );
  closing.push(refusing.close, allowing.close);
  const frame = { type: "join-room", room_id: "general", from: "jdoe" } as const;
  assert.equal(
    refusal(await refusing.bridge.event("join", testSession(), frame)).reason,
    "UPSTREAM_UNAVAILABLE",
  );
  assert.deepEqual(await allowing.bridge.event("join", testSession(), frame), { allow: true, frame });
  assert.equal(await allowing.metric('protogate_ws_bridge_calls_total{event="join",code="UNAVAILABLE"}'), 1);
});

test("on_failure: allow does not overrule a backend that refuses an event", async () => {
  const { bridge } = await system(
    { join: asking("Join", { on_failure: "allow" }) },
    { Join: (_, reply) => reply({ code: status.NOT_FOUND, details: "no room", metadata: new Metadata() }) },
  );
  const verdict = await bridge.event("join", testSession(), {
    type: "join-room",
    room_id: "x",
    from: "jdoe",
  });
  assert.equal(refusal(verdict).reason, "NOT_FOUND");
});

test("an event whose backend dies during the call is refused", async () => {
  const sockets: Socket[] = [];
  const server = createServer(socket => {
    sockets.push(socket);
    socket.on("error", () => undefined);
    socket.once("data", () => socket.destroy());
  });
  await new Promise<void>(resolve => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  assert.ok(address !== null && typeof address === "object");
  const started = await startBridge({ events: { message: asking("Send", { timeout: 2000 }) } }, address.port);
  closing.push(async () => {
    await started.close();
    server.close();
  });
  const { code } = refusal(await started.bridge.event("message", testSession(), post("hi")));
  assert.ok([4, 13, 14].includes(code), `code ${code}`);
});

test("calls beyond the bound wait in line, and beyond the line they are refused", async () => {
  const open: (() => void)[] = [];
  const { bridge, backend } = await system(
    { message: asking("Send") },
    { Send: (_, reply) => open.push(() => reply(null, {})) },
    { concurrency: 2, queue: 1 },
  );
  const verdicts = ["a", "b", "c"].map(text => bridge.event("message", testSession(), post(text)));
  await backend.reached(2);
  const fourth = await bridge.event("message", testSession(), post("d"));
  assert.equal(refusal(fourth).reason, "TOO_MANY_CALLS");
  assert.equal(backend.seen.length, 2);
  open[0]?.();
  await backend.reached(3);
  for (const answer of open) answer();
  assert.deepEqual(
    (await Promise.all(verdicts)).map(verdict => verdict.allow),
    [true, true, true],
  );
});

test("one socket cannot hold all permits of a backend", async () => {
  const open: (() => void)[] = [];
  const { bridge, backend } = await system(
    { message: asking("Send") },
    { Send: (_, reply) => open.push(() => reply(null, {})) },
    { concurrency: 10, queue: 10 },
  );
  const greedy = testSession();
  const verdicts = Array.from({ length: 50 }, (_, i) => bridge.event("message", greedy, post(`${i}`)));
  await backend.reached(8);
  const other = bridge.event("message", testSession(), post("other"));
  await backend.reached(9);
  assert.equal(backend.seen[8]?.request.message, "other");
  let done = 0;
  const all = [...verdicts, other].map(verdict => Promise.resolve(verdict).then(() => done++));
  while (done < 51) {
    for (const answer of open.splice(0)) answer();
    await new Promise(resolve => setImmediate(resolve));
  }
  await Promise.all(all);
});

test("a bridge that closes gives up its calls to a backend that hangs, and those that wait for a permit", async () => {
  const { bridge, backend } = await system(
    { message: asking("Send", { timeout: 600_000 }) },
    { Send: () => {} },
    { concurrency: 2 },
  );
  const verdicts = ["a", "b", "c"].map(text => bridge.event("message", testSession(), post(text)));
  await backend.reached(2);
  await bridge.close();
  assert.deepEqual(
    (await Promise.all(verdicts)).map(verdict => verdict.allow),
    [false, false, false],
  );
});
