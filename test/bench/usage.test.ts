import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:net";
import { test } from "node:test";
import { openSockets, readUsage, residentMemory } from "../../bench/process/usage.js";

test("sockets that a process opens and closes are counted", async () => {
  const before = openSockets(process.pid);
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  assert.equal(openSockets(process.pid), before + 1);
  server.close();
  await once(server, "close");
  assert.equal(openSockets(process.pid), before);
});

test("the memory and the CPU time of a process are known", () => {
  assert.ok(residentMemory(process.pid) > process.memoryUsage().heapUsed / 2);
  assert.ok(readUsage(process.pid).cpuSeconds > 0);
});
