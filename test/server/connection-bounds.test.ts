import assert from "node:assert/strict";
import { once } from "node:events";
import { existsSync, readdirSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { describe, it, mock } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import type { Engine, EngineOptions } from "../../src/server/engine.js";
import type { InboundRequest } from "../../src/server/inbound-request.js";
import { startFastifyEngine } from "../../src/server/node/fastify-engine.js";
import type { ResponseWriter } from "../../src/server/response-writer.js";
import { onLoopback } from "./loopback.js";
import { chunked, get, host } from "./odd-request.js";
import { readResponses } from "./response-reader.js";

const options: EngineOptions = {
  ...onLoopback,
  requestTimeout: 1000,
  handle: (_request, response) => response.send(200, [], "ok"),
};

function open(engine: Engine): Socket {
  const socket = connect({ port: engine.port, host: "127.0.0.1", allowHalfOpen: true });
  socket.on("error", () => undefined);
  return socket;
}

async function turns(count: number): Promise<void> {
  for (let index = 0; index < count; index++) await turn();
}

/** All that comes until the server ends its side. */
async function received(socket: Socket): Promise<string> {
  let text = "";
  socket.setEncoding("latin1");
  socket.on("data", chunk => {
    text += chunk;
  });
  await once(socket, "end");
  return text;
}

const descriptors = "/proc/self/fd";

describe("bounds on one connection (fastify)", { timeout: 60_000 }, () => {
  it("a few responses of pipelined requests wait for a client that reads none, whatever their size", async () => {
    let handled = 0;
    const body = Buffer.alloc(3 << 20, "x");
    const handle = (_request: InboundRequest, response: ResponseWriter): void => {
      handled++;
      setImmediate(() => response.send(200, [], body));
    };
    const engine = await startFastifyEngine({ ...options, requestTimeout: 60_000, handle });
    const socket = open(engine);
    socket.pause();
    socket.write(get("/a").repeat(40));
    while (handled === 0) await turn();
    await turns(500);
    // The system's buffers take a response or two.
    assert.ok(handled < 16, `${handled} requests were handled`);
    // It gets all of them once it reads.
    let size = 0;
    socket.on("data", chunk => {
      size += chunk.length;
    });
    socket.resume();
    while (size < 40 * body.length) await turns(10);
    assert.equal(handled, 40);
    socket.destroy();
    await engine.close();
  });

  it("requests behind slow ones begin after a second without a response", async () => {
    mock.timers.enable({ apis: ["setTimeout"] });
    try {
      let handled = 0;
      const engine = await startFastifyEngine({ ...options, handle: () => void handled++ });
      const socket = open(engine);
      socket.write(get("/a").repeat(20));
      while (handled < 8) await turn();
      await turns(20);
      assert.equal(handled, 8);
      mock.timers.tick(1000);
      assert.equal(handled, 16);
      mock.timers.tick(1000);
      assert.equal(handled, 20);
      socket.destroy();
      await engine.close();
    } finally {
      mock.timers.reset();
    }
  });

  for (const [what, bytes, status] of [
    ["a request that is not valid", "?\r\n\r\n", 400],
    ["a request that does not arrive in time", "GET /a HTTP/1.1\r\nhost:", 408],
    ["a head that is too large", get("/a", `x: ${"y".repeat(20_000)}\r\n`), 431],
    ["two hosts", get("/a", host), 400],
    ["a response ahead of its body", `POST /a HTTP/1.1\r\n${host}content-length: 9\r\n\r\n`, 200],
  ] as const) {
    it(`a client that does not end its side after ${what} is cut off`, {
      skip: !existsSync(descriptors),
    }, async () => {
      const engine = await startFastifyEngine(options);
      const count = readdirSync(descriptors).length;
      const socket = open(engine);
      socket.write(bytes);
      const { responses } = readResponses(await received(socket), ["GET"]);
      assert.equal(responses[0]?.status, status);
      while (readdirSync(descriptors).length > count + 1) await turn();
      socket.destroy();
      await engine.close();
    });
  }

  it("a client that is still sending when it is refused reads the refusal", async () => {
    const engine = await startFastifyEngine(options);
    const socket = open(engine);
    const text = received(socket);
    socket.write(`POST /a HTTP/1.1\r\n${host}content-length: 10000000\r\n\r\n`);
    const part = Buffer.alloc(65_536, "x");
    for (let sent = 0; sent < 9_000_000 && !socket.destroyed; sent += part.length) {
      if (!socket.write(part)) await Promise.race([once(socket, "drain"), once(socket, "close")]);
    }
    const { responses } = readResponses(await text, ["POST"]);
    assert.deepEqual([responses[0]?.status, responses[0]?.headers.get("connection")], [200, "close"]);
    socket.destroy();
    await engine.close();
  });
});

describe("requests of HTTP/1.0 (fastify)", { timeout: 60_000 }, () => {
  for (const [what, headers, body, responses] of [
    ["with a length keep their connection where they ask for it", "content-length: 2\r\n", "ab", 2],
    ["without a body keep their connection where they ask for it", "", "", 2],
    ["with chunks are answered, and nothing behind them is read", chunked, "2\r\nab\r\n0\r\n\r\n", 1],
    ["with a length and chunks are refused", `content-length: 2\r\n${chunked}`, "2\r\nab\r\n0\r\n\r\n", 1],
  ] as const) {
    it(what, async () => {
      const seen: string[] = [];
      const handle = async (request: InboundRequest, response: ResponseWriter): Promise<void> => {
        const { length } = await request.body(100);
        seen.push(`${request.path} ${length}`);
        response.send(200, [], "ok");
      };
      const engine = await startFastifyEngine({
        ...options,
        handle: (request, response) => void handle(request, response),
      });
      const socket = open(engine);
      const text = received(socket);
      socket.write(
        `POST /a HTTP/1.0\r\nconnection: keep-alive\r\n${headers}\r\n${body}GET /b HTTP/1.0\r\n\r\n`,
      );
      const got = readResponses(await text, ["POST", "GET"]).responses;
      assert.equal(got.length, responses);
      assert.equal(seen.includes("/b 0"), responses === 2);
      socket.destroy();
      await engine.close();
    });
  }
});
