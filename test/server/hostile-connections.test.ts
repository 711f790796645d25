import assert from "node:assert/strict";
import { once } from "node:events";
import { existsSync, readdirSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { describe, it } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { connect as connectTls } from "node:tls";
import type { Engine, EngineOptions } from "../../src/server/engine.js";
import type { InboundRequest } from "../../src/server/inbound-request.js";
import { startFastifyEngine } from "../../src/server/node/fastify-engine.js";
import type { ResponseWriter } from "../../src/server/response-writer.js";
import { startUwsEngine } from "../../src/server/uws/uws-engine.js";
import { Authority, withoutOpenssl } from "../auth/certificates.js";
import { uwsSkipped } from "../engine.js";
import { onLoopback } from "./loopback.js";

const options: EngineOptions = {
  ...onLoopback,
  requestTimeout: 1000,
  handle: () => undefined,
};

const request = "GET /a HTTP/1.1\r\nhost: a\r\n\r\n";

function open(engine: Engine): Socket {
  const socket = connect(engine.port, "127.0.0.1");
  // Connections that are ended under somebody's hands are reset.
  socket.on("error", () => undefined);
  return socket;
}

/** Somebody waits for the body, and says nothing when it does not come. */
async function asked(request: InboundRequest): Promise<void> {
  try {
    await request.body(100);
  } catch {}
}

const descriptors = "/proc/self/fd";
const openFiles = (): number => readdirSync(descriptors).length;

/** Until the connections that were opened in between are gone on both sides. */
async function filesAgain(count: number): Promise<void> {
  while (openFiles() > count) await turn();
}

const skipUws = await uwsSkipped();

for (const [name, start, skip] of [
  ["fastify", startFastifyEngine, false],
  ["uws", startUwsEngine, skipUws],
] as const) {
  describe(`hostile connections (${name})`, { skip, timeout: 60_000 }, () => {
    it(`hostile connections (${name}) get no more replies than they read`, async () => {
      let answered = 0;
      const body = "x".repeat(60_000);
      const handle = (_request: InboundRequest, response: ResponseWriter): void => {
        answered++;
        response.send(200, [], body);
      };
      const engine = await start({ ...options, handle });
      const socket = open(engine);
      socket.pause();
      for (let sent = 0; sent < 2000 && !socket.closed; sent++) {
        socket.write(request);
        for (let turns = 0; turns < 3; turns++) await turn();
      }
      assert.ok(answered > 0 && answered < 1000, `${answered} replies of 60 kB were made`);
      socket.destroy();
      await engine.close();
    });

    it(`hostile connections (${name}) leave nothing behind when a thousand of them come and go`, {
      skip: !existsSync(descriptors),
    }, async () => {
      let handled = 0;
      let cancelled = 0;
      const handle = (request: InboundRequest): void => {
        handled++;
        request.cancellation.listen(() => void cancelled++);
        void asked(request);
      };
      const engine = await start({ ...options, handle });
      const before = openFiles();
      const parts = ["", "GET /a HT", request, "POST /a HTTP/1.1\r\nhost: a\r\ncontent-length: 9\r\n\r\nab"];
      for (let round = 0; round < 10; round++) {
        await Promise.all(
          Array.from({ length: 100 }, async (_, index) => {
            const socket = open(engine);
            await once(socket, "connect");
            socket.write(parts[index % parts.length] as string);
            for (let turns = 0; turns < 5; turns++) await turn();
            if (index % 3 === 0) socket.resetAndDestroy();
            else socket.destroy();
          }),
        );
      }
      await filesAgain(before);
      assert.ok(handled > 0);
      while (cancelled < handled) await turn();
      assert.equal(cancelled, handled);
      await engine.close();
    });

    it("lose a reply that they leave unread", { skip: !existsSync(descriptors) }, async () => {
      const body = Buffer.alloc(16 << 20);
      const engine = await start({
        ...options,
        handle: (_request, response) => response.send(200, [], body),
      });
      const before = openFiles();
      const socket = open(engine);
      socket.pause();
      socket.write(request);
      await once(socket, "readable");
      const half = before + 1;
      await filesAgain(half);
      socket.destroy();
      await filesAgain(before);
      await engine.close();
    });

    it(`hostile connections (${name}) end at once where they speak plain HTTP to TLS, and in time where they say nothing`, {
      skip: withoutOpenssl,
    }, async () => {
      const tls = new Authority("Test CA").issue("server", "/CN=localhost", "DNS.1=localhost");
      const engine = await start({ ...options, tls, handle: () => assert.fail("no request is read") });
      const plain = open(engine);
      plain.write(request);
      const silent = open(engine);
      const stalled = open(engine);
      stalled.write(Buffer.from("160301020001", "hex"));
      const established = connectTls({ port: engine.port, rejectUnauthorized: false });
      established.on("error", () => undefined);
      const all = [plain, silent, stalled, established];
      for (const socket of all) socket.resume();
      await Promise.all(all.map(socket => new Promise(resolve => socket.on("close", resolve))));
      await engine.close();
    });
  });
}
