import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import { type AddressInfo, connect, type Socket } from "node:net";
import { after, before, describe, it } from "node:test";
import { engineUnderTest } from "../engine.js";
import { type EchoSystem, startEcho } from "./echo.js";
import { type RawHandler, send } from "./harness.js";

/** Requests at once of the address of all clients here. */
const concurrency = 4;

const get = "GET /v1/items/a HTTP/1.1\r\nhost: a\r\n\r\n";

/** `uws` forwards none. */
const upgrade = "a forwarded upgrade whose backend does not answer";

/** What clients send before they end their side and go on reading. */
const inputs: readonly (readonly [name: string, text: string])[] = [
  ["a request that its backend does not answer", get],
  ["two requests that their backend does not answer", get + get],
  ["a request that is answered at once", "GET /nope HTTP/1.1\r\nhost: a\r\n\r\n"],
  ["nothing", ""],
  ["half a request line", "GET /v1/ite"],
  ["half a head", "GET /v1/items/a HTTP/1.1\r\nhost:"],
  [
    "half a body",
    'POST /v1/items HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{"id":',
  ],
  [
    "half a chunk",
    'POST /v1/items HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n20\r\n{"id":',
  ],
  ["a forwarded request whose backend does not answer", "GET /legacy/slow HTTP/1.1\r\nhost: a\r\n\r\n"],
  [
    "half a forwarded body",
    "POST /legacy/slow HTTP/1.1\r\nhost: a\r\ncontent-type: text/plain\r\ncontent-length: 100\r\n\r\nhalf",
  ],
  ["a forwarded request whose response does not end", "GET /legacy/part HTTP/1.1\r\nhost: a\r\n\r\n"],
  [
    upgrade,
    "GET /legacy/slow HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n" +
      "sec-websocket-key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n",
  ],
];

const fastify = engineUnderTest() === "fastify";

describe("clients that end their side of the connection and still read", () => {
  let system: EchoSystem;
  let calls = 0;
  let forwarded = 0;
  const legacy = createServer((request, response) => {
    forwarded++;
    request.resume();
    response.on("close", () => forwarded--);
    if (request.url === "/part") response.writeHead(200, { "content-length": "100" }).write("part");
  });
  legacy.on("upgrade", (_request, socket: Socket) => {
    forwarded++;
    socket.on("error", () => socket.destroy());
    socket.on("end", () => socket.destroy());
    socket.on("close", () => forwarded--);
    socket.resume();
  });

  before(async () => {
    await once(legacy.listen(0, "127.0.0.1"), "listening");
    const hang: RawHandler = call => {
      calls++;
      call.on("cancelled", () => calls--);
    };
    const { port } = legacy.address() as AddressInfo;
    system = await startEcho(
      "timeout: 1h, rate_limit: few",
      `http: { proxy: [{ prefix: /legacy, upstream: legacy, rewrite: /, websocket: ${fastify}, rate_limit: few }] }\nrate_limits: { few: { concurrency: ${concurrency}, key: ip } }`,
      { Get: hang },
      `legacy: { protocol: http, targets: ["http://127.0.0.1:${port}"], timeout: 1h }`,
    );
  });
  after(async () => {
    await system.close();
    legacy.closeAllConnections();
    legacy.close();
  });

  for (const [name, text] of inputs.filter(([name]) => fastify || name !== upgrade))
    for (const when of ["at once", "later"])
      it(`${name}, and a FIN ${when}: the connection ends, and nothing is left of the request`, async () => {
        for (let client = 0; client < 2 * concurrency; client++) {
          const socket = connect({ port: system.gateway.httpPort, host: "127.0.0.1", allowHalfOpen: true });
          socket.on("error", () => socket.destroy());
          socket.resume();
          const closed = once(socket, "close");
          socket.write(text);
          if (when === "later") await once(socket, "connect").then(() => send(`${system.gateway.url}/nope`));
          socket.end();
          await closed;
        }
        while (calls > 0 || forwarded > 0) await new Promise(setImmediate);
        // More than the limit allows have been there; permits that are not released would refuse this one.
        while ((await send(`${system.gateway.url}/v1/items`, { method: "POST" })).status === 429);
        const { text: metrics } = await send(`${system.gateway.admin}/metrics`);
        assert.match(metrics, /^protogate_http_requests_in_flight 0$/m);
      });
});
