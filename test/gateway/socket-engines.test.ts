import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { WebSocket } from "ws";
import { startGateway } from "../../src/gateway/gateway.js";
import { uwsSkipped } from "../engine.js";
import { Client } from "../realtime/harness.js";

const skip = await uwsSkipped();

test("sockets of both engines are in one room, see each other's messages in order, and drain together", {
  skip,
}, async t => {
  const folder = mkdtempSync(join(tmpdir(), "protogate-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const file = join(folder, "gateway.yaml");
  writeFileSync(
    file,
    "listeners: { http: { address: 127.0.0.1:0 }, realtime: { address: 127.0.0.1:0 }, admin: { address: 127.0.0.1:0 } }\n" +
      "auth: { default: none }\nrealtime: { path: /ws, limits: { burst: 1000, messages_per_second: 1000 } }\n" +
      "server: { drain: 500ms }\n",
  );
  const gateway = await startGateway(file, { env: {}, logTo: { write: () => undefined } });
  const clients = [gateway.httpPort, gateway.realtimePort, gateway.httpPort].map(
    port => new Client(new WebSocket(`ws://127.0.0.1:${port}/ws`)),
  );
  for (const [i, client] of clients.entries()) {
    await client.opened;
    await client.join("x", `c${i}`);
  }
  for (let i = 0; i < 100; i++)
    clients[i % 3]?.say({ type: "send-message", room_id: "x", message: `${i}`, from: `c${i % 3}` });
  const heard = await Promise.all(
    clients.map(async client => {
      const messages: unknown[] = [];
      while (messages.length < 100) messages.push((await client.next("receive-message")).message);
      return messages;
    }),
  );
  assert.deepEqual(heard[1], heard[0]);
  assert.deepEqual(heard[2], heard[0]);
  await gateway.close();
  for (const client of clients) assert.equal((await client.closed).code, 1012);
});
