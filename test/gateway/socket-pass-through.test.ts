import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type IncomingMessage, type Server } from "node:http";
import { type AddressInfo, connect, type Socket } from "node:net";
import { after, before, describe, test } from "node:test";
import { WebSocket, WebSocketServer } from "ws";
import { engineUnderTest } from "../engine.js";
import { startTestGateway, type TestGateway } from "./harness.js";

const mebibyte = 1 << 20;

/** A backend that takes sockets below `/ok`, and refuses or ignores others. */
function startBackend(): { readonly server: Server; readonly sockets: WebSocketServer } {
  const server = createServer((_request, response) => response.end("plain"));
  const sockets = new WebSocketServer({
    noServer: true,
    perMessageDeflate: true,
    maxPayload: 64 * mebibyte,
    handleProtocols: offered => (offered.has("chat") ? "chat" : false),
  });
  server.on("upgrade", (request, socket, head) => {
    socket.on("error", () => undefined);
    if (request.url?.startsWith("/ok") === true)
      sockets.handleUpgrade(request, socket, head, peer => sockets.emit("connection", peer, request));
    else if (request.url === "/no")
      socket.end(
        "HTTP/1.1 409 Conflict\r\nx-why: full\r\nconnection: x-hop\r\nx-hop: 1\r\ncontent-length: 4\r\n\r\nfull",
      );
    else if (request.url === "/garbage") socket.end("hello\r\n\r\n");
  });
  return { server, sockets };
}

describe("WebSockets that are passed through", {
  skip: engineUnderTest() === "uws" && "the uws engine does not pass WebSockets through",
}, () => {
  const { server, sockets } = startBackend();
  let gateway: TestGateway;

  before(async () => {
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    gateway = await startTestGateway(
      `
upstreams:
  chat: { protocol: http, targets: ["http://127.0.0.1:${(server.address() as AddressInfo).port}"], timeout: 1s }
  gone: { protocol: http, targets: ["http://127.0.0.1:1"] }
http:
  proxy:
    - { prefix: /to, upstream: chat, rewrite: /, websocket: true }
    - { prefix: /gone, upstream: gone, websocket: true }
server: { drain: 100ms }
`,
      {},
    );
  });
  after(async () => {
    await gateway.close();
    sockets.close();
    server.close();
    server.closeAllConnections();
  });

  const url = (path: string): string => `ws://127.0.0.1:${gateway.httpPort}${path}`;

  /** Both ends of a new socket. */
  async function pair(path = "/to/ok", protocols: string[] = []): Promise<[WebSocket, WebSocket]> {
    const connected = once(sockets, "connection");
    const client = new WebSocket(url(path), protocols, { maxPayload: 64 * mebibyte });
    const [peer] = (await connected) as [WebSocket];
    for (const socket of [client, peer]) socket.on("error", () => undefined);
    if (client.readyState !== WebSocket.OPEN) await once(client, "open");
    return [client, peer];
  }

  /** The answer to an upgrade that was no success. */
  async function refused(path: string): Promise<{ response: IncomingMessage; text: string }> {
    const client = new WebSocket(url(path));
    client.on("error", () => undefined);
    const [, response] = (await once(client, "unexpected-response")) as [unknown, IncomingMessage];
    let text = "";
    for await (const chunk of response) text += chunk;
    client.terminate();
    return { response, text };
  }

  test("close with the code and reason that either side gives, and none where none is given", async () => {
    for (const turned of [false, true]) {
      for (const [code, reason] of [
        [1000, ""],
        [1001, "away"],
        [3000, "é"],
        [4999, "x".repeat(123)],
      ] as const) {
        const both = await pair();
        const [one, other] = turned ? both.reverse() : both;
        const closed = Promise.all([once(one as WebSocket, "close"), once(other as WebSocket, "close")]);
        one?.close(code, reason);
        for (const [seen, why] of await closed) assert.deepEqual([seen, String(why)], [code, reason]);
      }
    }
    const [client, peer] = await pair();
    const closed = once(peer, "close");
    client.close();
    assert.equal((await closed)[0], 1005);
  });

  test("pings go to the other side, and its pongs back", async () => {
    const [client, peer] = await pair();
    for (const [from, to] of [
      [client, peer],
      [peer, client],
    ] as const) {
      const seen = Promise.all([once(to, "ping"), once(from, "pong")]);
      from.ping("one");
      for (const [data] of await seen) assert.equal(String(data), "one");
    }
    client.terminate();
  });

  test("a subprotocol is the backend's choice", async () => {
    const [client] = await pair("/to/ok", ["other", "chat"]);
    assert.equal(client.protocol, "chat");
    client.terminate();
  });

  test("a token among the subprotocols goes on as a header, and the client has its subprotocol", async () => {
    const connected = once(sockets, "connection");
    const client = new WebSocket(url("/to/ok"), ["bearer", "abc"]);
    const [, request] = (await connected) as [WebSocket, IncomingMessage];
    await once(client, "open");
    assert.equal(client.protocol, "bearer");
    assert.equal(request.headers.authorization, "Bearer abc");
    assert.equal(request.headers["sec-websocket-protocol"], undefined);
    client.terminate();
  });

  test("messages of any size pass whole, both ways, and the first at once", async () => {
    const large = Buffer.alloc(24 * mebibyte, "x");
    const [client, peer] = await pair();
    for (const [from, to] of [
      [client, peer],
      [peer, client],
    ] as const) {
      const seen = once(to, "message");
      from.send(large);
      assert.ok(large.equals((await seen)[0] as Buffer));
    }
    client.terminate();
    const connected = once(sockets, "connection");
    const eager = connect(gateway.httpPort, "127.0.0.1");
    eager.write(
      Buffer.concat([
        Buffer.from(
          "GET /to/ok HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n" +
            "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        ),
        Buffer.from([0x81, 0x82, 0, 0, 0, 0, 0x68, 0x69]),
      ]),
    );
    const [first] = (await connected) as [WebSocket];
    assert.equal(String((await once(first, "message"))[0]), "hi");
    eager.destroy();
  });

  test("a side that does not read holds the other back", async () => {
    for (const turned of [false, true]) {
      const both = await pair();
      const [from, to] = (turned ? both.reverse() : both) as [WebSocket, WebSocket];
      to.pause();
      const part = Buffer.alloc(mebibyte);
      for (let count = 0; count < 64; count++) from.send(part);
      // As many turns as would bring all of it across.
      for (let round = 0; round < 5; round++) {
        const [client] = await pair();
        client.terminate();
      }
      assert.ok(from.bufferedAmount > 32 * mebibyte, `${from.bufferedAmount} bytes wait`);
      let seen = 0;
      const all = new Promise<void>(resolve => {
        to.on("message", () => {
          if (++seen === 64) resolve();
        });
      });
      to.resume();
      await all;
      from.terminate();
    }
  });

  test("a side that dies takes the other with it", async () => {
    for (const turned of [false, true]) {
      const both = await pair();
      const [one, other] = (turned ? both.reverse() : both) as [WebSocket, WebSocket];
      const closed = once(other, "close");
      (one as unknown as { _socket: Socket })._socket.resetAndDestroy();
      assert.equal((await closed)[0], 1006);
    }
  });

  test("the client gets the response that the backend sends instead of an upgrade", async () => {
    const { response, text } = await refused("/to/no");
    assert.deepEqual([response.statusCode, response.headers["x-why"], text], [409, "full", "full"]);
    assert.equal(response.headers["x-hop"], undefined);
    assert.ok(response.headers["x-request-id"]);
    const line = await gateway.logged(({ path }) => path === "/to/no");
    assert.equal(line.status, 409);
  });

  test("a backend that is gone, says nothing or no HTTP is 503, 504 and 502", async () => {
    for (const [path, status, reason] of [
      ["/gone/x", 503, "UPSTREAM_UNAVAILABLE"],
      ["/to/silent", 504, "UPSTREAM_TIMEOUT"],
      ["/to/garbage", 502, "UPSTREAM_PROTOCOL"],
      ["/to/..%2fx", 400, "MALFORMED_PATH"],
    ] as const) {
      const { response, text } = await refused(path);
      assert.deepEqual([response.statusCode, JSON.parse(text).reason], [status, reason], path);
      if (status === 400) continue;
      const line = await gateway.logged(entry => entry.path === path);
      assert.deepEqual([line.status, line.reason], [status, reason]);
    }
  });

  test("a client that leaves before the response to its upgrade is logged as 499 CLIENT_CLOSED", async () => {
    const asked = once(server, "upgrade");
    const client = new WebSocket(url("/to/never"));
    client.on("error", () => undefined);
    const [, backend] = (await asked) as [unknown, Socket];
    const ended = once(backend, "end");
    client.terminate();
    backend.resume();
    await ended;
    backend.destroy();
    const line = await gateway.logged(({ path }) => path === "/to/never");
    assert.deepEqual([line.status, line.reason], [499, "CLIENT_CLOSED"]);
  });

  test("hundreds at once talk, and leave nothing behind", async () => {
    const clients = await Promise.all(
      Array.from({ length: 300 }, async (_, index) => {
        const client = new WebSocket(url(`/to/ok?${index}`));
        await once(client, "open");
        return client;
      }),
    );
    assert.equal(sockets.clients.size, 300);
    for (const peer of sockets.clients) peer.on("message", data => peer.send(data));
    await Promise.all(
      clients.map(async (client, index) => {
        const answer = once(client, "message");
        client.send(String(index));
        assert.equal(String((await answer)[0]), String(index));
      }),
    );
    const gone = Promise.all(Array.from(sockets.clients, peer => once(peer, "close")));
    for (const client of clients) client.terminate();
    await gone;
    assert.equal(sockets.clients.size, 0);
  });
});
