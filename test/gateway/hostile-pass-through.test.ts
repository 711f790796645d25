import assert from "node:assert/strict";
import { once } from "node:events";
import { existsSync, readdirSync } from "node:fs";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { after, before, describe, test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { engineUnderTest } from "../engine.js";
import { readResponses } from "../server/response-reader.js";
import { startTestGateway, type TestGateway } from "./harness.js";

const descriptors = "/proc/self/fd";

const upgrade =
  "connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

describe("backends with invalid responses to an upgrade", {
  skip: engineUnderTest() === "uws" && "the uws engine does not pass WebSockets through",
  timeout: 60_000,
}, () => {
  /** What the backend sends for each request; it never ends a connection. */
  let response = "";
  const open = new Set<Socket>();
  const backend: Server = createServer(socket => {
    open.add(socket);
    socket.on("close", () => open.delete(socket));
    socket.on("error", () => undefined);
    socket.once("data", () => socket.write(response));
  });
  let gateway: TestGateway;
  before(async () => {
    backend.listen(0, "127.0.0.1");
    await once(backend, "listening");
    const { port } = backend.address() as AddressInfo;
    gateway = await startTestGateway(
      `
upstreams: { odd: { protocol: http, targets: ["http://127.0.0.1:${port}"], timeout: 500ms } }
http:
  limits: { request_timeout: 1s }
  proxy: [{ prefix: /odd, upstream: odd, websocket: true }]
`,
      {},
    );
  });
  after(async () => {
    await gateway.close();
    backend.close();
  });

  /** The status that a client sees, once the gateway has ended both connections. */
  async function ask(): Promise<number | undefined> {
    const socket = connect(gateway.httpPort, "127.0.0.1");
    socket.on("error", () => undefined);
    let text = "";
    socket.setEncoding("latin1");
    socket.on("data", chunk => {
      text += chunk;
    });
    socket.write(`GET /odd HTTP/1.1\r\nhost: a\r\n${upgrade}\r\n`);
    await once(socket, "close");
    await Promise.all(Array.from(open, each => once(each, "close")));
    return /^HTTP\/1\.1 (\d+)/.exec(text) === null
      ? undefined
      : readResponses(text, ["GET"]).responses[0]?.status;
  }

  for (const [what, head, status] of [
    ["the status 600", "600 Odd", 502],
    ["the status 999", "999 Odd", 502],
    ["the status 000", "000 Odd", 502],
    ["the status 099", "099 Odd", 502],
    ["a status of four digits", "1000 Odd", 502],
    ["a switch to no protocol", "101 Switching", 502],
    ["a switch to another protocol", "101 Switching\r\nconnection: upgrade\r\nupgrade: other", 502],
    ["nothing but an interim response", "102 Processing", 504],
    ["an empty refusal", "403 Forbidden", 403],
  ] as const) {
    test(`${what} becomes ${status}, and both connections end`, async () => {
      response = `HTTP/1.1 ${head}\r\n${status === 403 ? "content-length: 0\r\n" : ""}\r\n`;
      assert.equal(await ask(), status);
    });
  }

  test("a refusal whose body does not come becomes 504 within the timeout of the upstream", async () => {
    response = "HTTP/1.1 403 Forbidden\r\ncontent-length: 10\r\n\r\n";
    assert.equal(await ask(), 504);
  });

  test("a refusal whose body stalls ends both connections within the timeout of the upstream", async () => {
    response = "HTTP/1.1 403 Forbidden\r\ncontent-length: 10\r\n\r\nabc";
    assert.equal(await ask(), undefined);
  });

  test("a client that does not end its side after a refusal is cut off", {
    skip: !existsSync(descriptors),
  }, async () => {
    response = "HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n";
    const count = readdirSync(descriptors).length;
    const socket = connect({ port: gateway.httpPort, host: "127.0.0.1", allowHalfOpen: true });
    socket.write(`GET /odd HTTP/1.1\r\nhost: a\r\n${upgrade}\r\n`);
    socket.resume();
    await once(socket, "end");
    // Its own side is left.
    while (readdirSync(descriptors).length > count + 1) await turn();
    socket.destroy();
  });
});
