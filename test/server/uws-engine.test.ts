import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import { describe, it } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import type { Engine, EngineOptions } from "../../src/server/engine.js";
import {
  BodyTimeoutError,
  BodyTooLargeError,
  type InboundRequest,
} from "../../src/server/inbound-request.js";
import type { ResponseWriter } from "../../src/server/response-writer.js";
import { startUwsEngine } from "../../src/server/uws/uws-engine.js";
import { uwsSkipped } from "../engine.js";
import { onLoopback } from "./loopback.js";

/** A request with its response. */
type Exchange = readonly [request: InboundRequest, response: ResponseWriter];

const options: EngineOptions = {
  ...onLoopback,
  handle: () => undefined,
};

function start(handle: EngineOptions["handle"], more: Partial<EngineOptions> = {}): Promise<Engine> {
  return startUwsEngine({ ...options, ...more, handle });
}

/** A promise and what settles it. */
function signal<T>(): { readonly promise: Promise<T>; readonly give: (value: T) => void } {
  let give: (value: T) => void = () => undefined;
  const promise = new Promise<T>(resolve => {
    give = resolve;
  });
  return { promise, give };
}

function open(engine: Engine, text: string): Socket {
  const socket = connect(engine.port, "127.0.0.1");
  socket.setEncoding("latin1");
  socket.write(text);
  return socket;
}

/** All that comes back until the server ends the connection. */
async function untilClosed(socket: Socket): Promise<string> {
  let text = "";
  socket.on("data", chunk => {
    text += chunk;
  });
  socket.on("error", () => undefined);
  // `once` would reject where the connection is reset.
  await new Promise(resolve => socket.on("close", resolve));
  return text;
}

const head = "HTTP/1.1\r\nhost: a\r\n";
const last = `${head}connection: close\r\n\r\n`;

describe("the uws engine", { skip: await uwsSkipped() }, () => {
  describe("replies", () => {
    it("a response of the uws engine has several headers of one name, and bytes above ASCII as they are", async () => {
      const cookies: [string, string][] = [
        ["set-cookie", "a=1"],
        ["set-cookie", "b=\xe9"],
      ];
      const engine = await start((_request, response) => response.send(200, cookies, "ok"));
      const text = await untilClosed(open(engine, `GET / ${last}`));
      assert.match(text, /\r\nset-cookie: a=1\r\nset-cookie: b=\xe9\r\n/);
      await engine.close();
    });

    it("a response of the uws engine has headers of every length, one reply after the other", async () => {
      const engine = await start((request, response) =>
        response.send(200, [["x", "v".repeat(Number(request.query))]], ""),
      );
      for (const length of [0, 10, 1000, 5000, 20_000, 10, 6000, 0]) {
        const text = await untilClosed(open(engine, `GET /?${length} ${last}`));
        assert.equal(/\r\nx: (v*)\r\n/.exec(text)?.[1]?.length, length);
      }
      await engine.close();
    });

    it("a response of the uws engine leaves out headers whose value would begin another line", async () => {
      const engine = await start((_request, response) => response.send(200, [["x", "1\r\ny: 2"]], "ok"));
      const text = await untilClosed(open(engine, `GET / ${last}`));
      assert.doesNotMatch(text, /\r\n[xy]:/);
      await engine.close();
    });

    it("a response of the uws engine ends the connection with the last one: what follows it is not served", async () => {
      const seen: string[] = [];
      const engine = await start((request, response) => {
        seen.push(request.path);
        response.send(200, [], "ok");
      });
      const text = await untilClosed(open(engine, `GET /a ${last}GET /b ${head}\r\nGET /c ${head}\r\n`));
      assert.deepEqual(seen, ["/a"]);
      assert.doesNotMatch(text, /200.*200/s);
      await engine.close();
    });

    it("a response of the uws engine counts the body for HEAD and sends none", async () => {
      const engine = await start((_request, response) => response.send(200, [], "h\xe9llo"));
      const text = await untilClosed(open(engine, `HEAD / ${last}`));
      assert.match(text, /\r\ncontent-length: 6\r\n/i);
      assert.match(text, /\r\n\r\n$/);
      await engine.close();
    });

    it("a response of the uws engine has neither body nor length with 204, also where the connection ends with it", async () => {
      const engine = await start((_request, response) => response.send(204, [["x", "1"]], ""));
      const close = `connection: close\r\n`;
      for (const lines of [close, `${close}content-length: 2\r\n`]) {
        const text = await untilClosed(open(engine, `POST / ${head}${lines}\r\n`));
        assert.match(text, /^HTTP\/1\.1 204 [^\r]*\r\nx: 1\r\n/);
        assert.match(text, /\r\nconnection: close\r\n/i);
        assert.match(text, /\r\n\r\n$/);
        assert.doesNotMatch(text, /content-length|transfer-encoding/i);
      }
      await engine.close();
    });

    it("a response of the uws engine sends what a slow reader takes bit by bit, whole", async () => {
      const body = Buffer.alloc(16 << 20, "0123456789");
      const engine = await start((_request, response) => response.send(200, [], body));
      const socket = connect(engine.port, "127.0.0.1");
      socket.pause();
      socket.write(`GET / ${last}`);
      await once(socket, "readable");
      const chunks: Buffer[] = [];
      for await (const chunk of socket) chunks.push(chunk as Buffer);
      const received = Buffer.concat(chunks);
      assert.ok(received.subarray(received.indexOf("\r\n\r\n") + 4).equals(body));
      await engine.close();
    });

    it("a response of the uws engine does nothing once the peer has gone", async () => {
      const arrived = signal<Exchange>();
      const engine = await start((...exchange) => arrived.give(exchange));
      const socket = open(engine, `GET / ${head}\r\n`);
      const [request, response] = await arrived.promise;
      const cancelled = new Promise<void>(resolve => request.cancellation.listen(resolve));
      socket.destroy();
      await cancelled;
      response.send(200, [], "late");
      assert.equal(request.remoteAddress, "");
      await engine.close();
    });
  });

  describe("bodies", () => {
    it("bodies on the uws engine are kept until they are read, and then come whole", async () => {
      const arrived = signal<Exchange>();
      const engine = await start((...exchange) => arrived.give(exchange));
      const body = "x".repeat(3 << 20);
      const reply = fetch(`http://127.0.0.1:${engine.port}/`, { method: "POST", body });
      const [request, response] = await arrived.promise;
      for (let turns = 0; turns < 50; turns++) await turn();
      assert.equal((await request.body(4 << 20)).length, body.length);
      response.send(200, [], "ok");
      assert.equal((await reply).status, 200);
      await engine.close();
    });

    it("empty bodies on the uws engine are there at once", async () => {
      const engine = await start((request, response) =>
        response.send(200, [], String(request.body(1) instanceof Uint8Array)),
      );
      assert.match(await untilClosed(open(engine, `GET / ${last}`)), /true$/);
      await engine.close();
    });

    it("bodies on the uws engine that are announced too large are refused before they come", async () => {
      const engine = await start(async (request, response) => {
        await assert.rejects(async () => request.body(10), BodyTooLargeError);
        response.send(413, [], "no");
      });
      const text = await untilClosed(open(engine, `POST / ${head}content-length: 11\r\n\r\n`));
      assert.match(text, /^HTTP\/1\.1 413 [\s\S]*connection: close/i);
      await engine.close();
    });

    it("bodies on the uws engine that do not arrive in time are given up", async () => {
      const engine = await start(
        async (request, response) => {
          await assert.rejects(async () => request.body(10), BodyTimeoutError);
          response.send(408, [], "slow");
        },
        { requestTimeout: 50 },
      );
      const text = await untilClosed(open(engine, `POST / ${head}content-length: 5\r\n\r\nab`));
      assert.match(text, /^HTTP\/1\.1 408 [\s\S]*connection: close/i);
      await engine.close();
    });
  });

  it("the uws engine ends connections whose head never ends", async () => {
    const engine = await start(() => undefined);
    const socket = open(engine, `GET / ${head}`);
    const drip = setInterval(() => socket.write("x: y\r\n"), 500);
    await untilClosed(socket);
    clearInterval(drip);
    await engine.close();
  });

  it("the uws engine finishes requests under way before it is closed, and ends idle connections", async () => {
    const arrived = signal<Exchange>();
    const engine = await start((...exchange) => arrived.give(exchange));
    const idle = untilClosed(open(engine, ""));
    const busy = untilClosed(open(engine, `GET / ${head}\r\n`));
    const [, response] = await arrived.promise;
    const closed = engine.close();
    await turn();
    response.send(200, [["connection", "close"]], "done");
    assert.match(await busy, /done$/);
    await idle;
    await closed;
  });

  it("destroying the uws engine ends the requests that are under way", async () => {
    const arrived = signal<Exchange>();
    const engine = await start((...exchange) => arrived.give(exchange));
    const busy = untilClosed(open(engine, `GET / ${head}\r\n`));
    const [request] = await arrived.promise;
    const closed = engine.close();
    engine.destroy();
    await closed;
    assert.equal(request.cancellation.cancelled, true);
    assert.equal(await busy, "");
  });

  it("the uws engine says why it cannot listen", async () => {
    const taken = createServer().listen(0, "127.0.0.1");
    await once(taken, "listening");
    const address = taken.address();
    const port = typeof address === "object" ? (address?.port ?? 0) : 0;
    await assert.rejects(
      start(() => undefined, { port }),
      { code: "EADDRINUSE" },
    );
    taken.close();
  });

  it("the uws engine counts what it refuses", async () => {
    const reasons: string[] = [];
    const engine = await start(() => undefined, { refused: ({ reason }) => reasons.push(reason) });
    await untilClosed(open(engine, `FOO / ${head}\r\n`));
    await untilClosed(open(engine, `GET / ${head}x: ${"y".repeat(15_000)}\r\n\r\n`));
    assert.deepEqual(reasons, ["MALFORMED_REQUEST", "HEADERS_TOO_LARGE"]);
    await engine.close();
  });
});
