import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { WebSocket } from "ws";
import { startGateway } from "../../src/gateway/gateway.js";
import { Client } from "../realtime/harness.js";

// A process of its own: what has been loaded once cannot be missing any more.
Object.defineProperty(process, "arch", { value: "mips" });

test("where the addon cannot be loaded sockets are served all the same, and one log line names the engine", async () => {
  const folder = mkdtempSync(join(tmpdir(), "protogate-"));
  const file = join(folder, "gateway.yaml");
  writeFileSync(
    file,
    "listeners: { http: { address: 127.0.0.1:0 }, realtime: { address: 127.0.0.1:0 }, admin: { address: 127.0.0.1:0 } }\n" +
      "auth: { default: none }\nrealtime: { path: /ws }\nserver: { drain: 100ms }\n",
  );
  const lines: Record<string, unknown>[] = [];
  const gateway = await startGateway(file, {
    env: {},
    logTo: { write: line => void lines.push(JSON.parse(line)) },
  });
  try {
    const about = lines.filter(({ engine }) => engine === "portable");
    assert.equal(about.length, 1);
    assert.match(
      String(about[0]?.msg),
      /^WebSockets are served by the portable engine, which is slower: uWebSockets\.js cannot be loaded on \w+ mips.*\(ABI \d+\)/,
    );
    const clients: Client[] = [];
    for (const port of [gateway.httpPort, gateway.realtimePort]) {
      const client = new Client(new WebSocket(`ws://127.0.0.1:${port}/ws`));
      await client.opened;
      await client.join("x", `on ${port}`);
      clients.push(client);
    }
    const [first, second] = clients;
    second?.say({ type: "send-message", room_id: "x", message: "hello" });
    assert.equal((await first?.next("receive-message"))?.message, "hello");
    for (const client of clients) client.socket.terminate();
  } finally {
    await gateway.close();
    rmSync(folder, { recursive: true });
  }
});

test("an HTTP listener whose engine is to be uws is a mistake in the configuration there", async () => {
  const folder = mkdtempSync(join(tmpdir(), "protogate-"));
  const file = join(folder, "gateway.yaml");
  writeFileSync(
    file,
    "listeners: { http: { address: 127.0.0.1:0, engine: uws }, admin: { address: 127.0.0.1:0 } }\n",
  );
  try {
    await assert.rejects(
      startGateway(file, { env: {}, logTo: { write: () => undefined } }),
      /gateway\.yaml:1:\d+.*the HTTP engine uws cannot be loaded on \w+ mips.*use `listeners\.http\.engine: fastify`/s,
    );
  } finally {
    rmSync(folder, { recursive: true });
  }
});
