import assert from "node:assert/strict";
import { test } from "node:test";
import type { BridgeConfig } from "../../../src/realtime/bridge/compile-bridge.js";
import { compileTestBridge } from "./bridge-system.js";

async function problems(realtime: Partial<BridgeConfig>, services?: string): Promise<string[]> {
  const { diagnostics } = await compileTestBridge(realtime, services);
  return diagnostics.map(
    each =>
      `${each.severity} ${each.path}: ${each.message}${each.suggestion === undefined ? "" : ` (${each.suggestion}?)`}`,
  );
}

function asked(method: string, rewrite?: ("message" | "from")[]): BridgeConfig["events"] {
  return { message: { upstream: "chat", method, on_failure: "refuse", ...(rewrite && { rewrite }) } };
}

test("methods that fit compile without a word", async () => {
  assert.deepEqual(await problems({ events: asked("chat.v1.Rooms/Send"), calls: ["chat.v1.Calls/*"] }), []);
});

test("unknown services and methods are named with what is near them", async () => {
  assert.deepEqual(
    await problems({ events: asked("chat.v1.Room/Send"), calls: ["chat.v1.Calls/Ecco", "chat.v1.Cells/*"] }),
    [
      'error realtime.events.message.method: the descriptors have no service "chat.v1.Room" (chat.v1.Rooms/Send?)',
      'error realtime.calls[0]: chat.v1.Calls has no method "Ecco" (chat.v1.Calls/Echo?)',
      'error realtime.calls[1]: no service "chat.v1.Cells" is exposed; a service that sockets call must be listed under services (chat.v1.Calls?)',
    ],
  );
  assert.deepEqual(await problems({ events: asked("chat.v1.Rooms/Sent") }), [
    'error realtime.events.message.method: chat.v1.Rooms has no method "Sent" (chat.v1.Rooms/Send?)',
  ]);
});

test("a method that streams cannot decide on events", async () => {
  assert.deepEqual(await problems({ events: asked("chat.v1.Calls/Count") }), [
    "error realtime.events.message.method: chat.v1.Calls/Count streams; expected a unary method",
  ]);
});

test("a client-streaming method is refused by name and passed over by *", async () => {
  assert.deepEqual(await problems({ calls: ["chat.v1.Calls/Upload"] }), [
    "error realtime.calls[0]: chat.v1.Calls/Upload streams from the client; sockets call unary and server-streaming methods",
  ]);
  const { plan } = await compileTestBridge({ calls: ["chat.v1.Calls/*"] });
  assert.deepEqual([...plan.calls.keys()], ["chat.v1.Calls/Echo", "chat.v1.Calls/Count"]);
});

test("fields of other types than the frame's are errors, and a request without any is a warning", async () => {
  assert.deepEqual(await problems({ events: asked("chat.v1.Rooms/Odd") }), [
    'error realtime.events.message.method: chat.v1.OddVisit.room_id cannot take the frame\'s "room_id": it must be a string',
    'error realtime.events.message.method: chat.v1.OddVisit.from cannot take the frame\'s "from": it must be a string',
  ]);
  assert.deepEqual(await problems({ events: asked("chat.v1.Rooms/Nothing") }), [
    "warning realtime.events.message.method: chat.v1.Echo has none of the fields type, room_id, from, message, id, session_id; the backend gets only the metadata of the event",
  ]);
});

test("a field that a reply is declared to rewrite must be in it", async () => {
  assert.deepEqual(await problems({ events: asked("chat.v1.Rooms/Join", ["message"]) }), [
    'error realtime.events.message.rewrite: google.protobuf.Empty has no string "message" to rewrite it with',
  ]);
});

test("a stream has a deadline only where its method or service has one", async () => {
  const plain = await compileTestBridge({ calls: ["chat.v1.Calls/*"] });
  assert.equal(plain.plan.calls.get("chat.v1.Calls/Echo")?.timeout, 5000);
  assert.equal(plain.plan.calls.get("chat.v1.Calls/Count")?.timeout, undefined);
  const own = await compileTestBridge(
    { calls: ["chat.v1.Calls/*"] },
    "[{ service: chat.v1.Calls, upstream: chat, methods: { Count: { timeout: 2s } } }]",
  );
  assert.equal(own.plan.calls.get("chat.v1.Calls/Count")?.timeout, 2000);
});
