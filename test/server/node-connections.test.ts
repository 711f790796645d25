import assert from "node:assert/strict";
import { connect, type Socket } from "node:net";
import { describe, it } from "node:test";
import { startEcho } from "../gateway/echo.js";
import { type RawHandler, send } from "../gateway/harness.js";

/** What the engine on Node.js does with connections. */
const engine = "fastify";

const get = (path: string, headers = ""): string => `GET ${path} HTTP/1.1\r\nhost: a\r\n${headers}\r\n`;

function open(port: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, "127.0.0.1", () => resolve(socket));
    socket.on("error", reject);
  });
}

/** Sends and reads until the other side closes. */
async function exchange(port: number, text: string): Promise<string> {
  const socket = await open(port);
  let reply = "";
  socket.setEncoding("latin1");
  socket.on("data", chunk => {
    reply += chunk;
  });
  socket.write(text);
  await new Promise(resolve => socket.once("close", resolve));
  return reply;
}

describe(`connections (${engine})`, () => {
  it(`connections (${engine}) that go away cancel every pipelined call at once`, async () => {
    let cancelled = 0;
    let reached = 0;
    let tell: () => void = () => undefined;
    const all = (count: () => number): Promise<void> =>
      new Promise(resolve => {
        tell = () => {
          if (count() === 5) resolve();
        };
        tell();
      });
    const hang: RawHandler = call => {
      reached += 1;
      call.on("cancelled", () => {
        cancelled += 1;
        tell();
      });
      tell();
    };
    const system = await startEcho("timeout: 60s", "", { Get: hang });
    try {
      const socket = await open(system.gateway.httpPort);
      socket.write(get("/v1/items/a").repeat(5));
      await all(() => reached);
      socket.destroy();
      await all(() => cancelled);
      await system.gateway.logged(() => system.gateway.log.filter(line => line.status === 499).length === 5);
    } finally {
      await system.close();
    }
  });

  it(`connections (${engine}) may not have endless requests under way`, async () => {
    const hang: RawHandler = () => undefined;
    const system = await startEcho("timeout: 1s", "", { Get: hang });
    try {
      const reply = await exchange(system.gateway.httpPort, get("/v1/items/a").repeat(200));
      assert.match(reply, /400 [\s\S]*requests under way/);
    } finally {
      await system.close();
    }
  });

  it(`connections (${engine}) that leave a reply unread are ended in time`, async () => {
    const large: RawHandler = (_call, reply) => {
      const text = Buffer.alloc(3_000_000, "x");
      const head = Buffer.from([10, 0xc0, 0x8d, 0xb7, 0x01]);
      reply(null, Buffer.concat([head, text]));
    };
    const yaml = "http: { limits: { request_timeout: 1s } }\nserver: { drain: 1h }";
    const system = await startEcho("", yaml, { Get: large });
    const socket = await open(system.gateway.httpPort);
    socket.pause();
    socket.write(get("/v1/items/a").repeat(3));
    await system.gateway.logged(line => line.status === 200);
    // Closing waits for replies under way: it would last the whole hour if this one were never given up.
    await system.close();
    socket.destroy();
  });

  it(`connections (${engine}) that say nothing do not delay the shutdown`, async () => {
    const system = await startEcho("", "server: { drain: 60s }");
    const silent = await open(system.gateway.httpPort);
    const half = await open(system.gateway.httpPort);
    half.write("GET /v1/items/a HTTP/1.1\r\nhost:");
    // Both are known to the gateway once a third, opened after them, has been answered.
    await send(`${system.gateway.url}/v1/items/a`);
    const ended = Promise.all(
      [silent, half].map(socket => new Promise(resolve => socket.once("close", resolve))),
    );
    await system.close();
    await ended;
  });
});

describe(`requests that only the server beneath would refuse (${engine})`, () => {
  const odd: readonly (readonly [what: string, text: string, status: number])[] = [
    [
      "a content type that is none",
      `POST /v1/items HTTP/1.1\r\nhost: a\r\ncontent-type: foo\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}`,
      415,
    ],
    [
      "an empty content type",
      `POST /v1/items HTTP/1.1\r\nhost: a\r\ncontent-type:\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}`,
      415,
    ],
    ["a QUERY without content type", `QUERY /v1/items HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n`, 405],
    ["no Host", "GET /v1/items/a HTTP/1.1\r\n\r\n", 400],
    ["a Host that is none", "GET /v1/items/a HTTP/1.1\r\nhost: \xe9\r\nconnection: close\r\n\r\n", 400],
    ["headers beyond the limit", get("/v1/items/a", `x: ${"y".repeat(5000)}\r\nconnection: close\r\n`), 431],
  ];
  for (const [what, text, status] of odd) {
    it(`${what} is ${status} with our body, and counted`, async () => {
      const system = await startEcho("", "http: { limits: { header: 4KiB } }");
      try {
        const reply = await exchange(system.gateway.httpPort, text);
        assert.match(reply, new RegExp(`^HTTP/1\\.1 ${status} [\\s\\S]*"reason":"[A-Z_]+"`));
        const { text: metrics } = await send(`${system.gateway.admin}/metrics`);
        const counted = [...metrics.matchAll(/^protogate_http_requests_total\{.*code="(\d+)".*\} (\d+)$/gm)];
        assert.deepEqual(
          counted.map(([, code, count]) => [code, count]),
          [[String(status), "1"]],
        );
      } finally {
        await system.close();
      }
    });
  }
});
