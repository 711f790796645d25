import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type IncomingMessage, type Server } from "node:http";
import { type AddressInfo, connect } from "node:net";
import { after, before, describe, test } from "node:test";
import { WebSocket, WebSocketServer } from "ws";
import { engineUnderTest } from "../engine.js";
import { type Backend, echo, send, startBackend, startTestGateway, type TestGateway } from "./harness.js";

const proto = `syntax = "proto3"; package t;
import "google/api/annotations.proto";
message M { string name = 1; }
service S { rpc Get(M) returns (M) { option (google.api.http) = { get: "/legacy/rpc/{name}" }; } }`;

/** An HTTP backend that tells what it was asked. */
interface Legacy {
  readonly port: number;
  readonly server: Server;
  readonly sockets: WebSocketServer;
  readonly seen: IncomingMessage[];
}

async function startLegacy(): Promise<Legacy> {
  const seen: IncomingMessage[] = [];
  const server = createServer((request, response) => {
    seen.push(request);
    if (request.url === "/slow") return;
    if (request.url === "/cut") {
      response.writeHead(200, { "content-length": "100" });
      response.write("half", () => response.destroy());
      return;
    }
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      response.writeHead(request.url === "/teapot" ? 418 : 200, {
        "x-legacy": "yes",
        "set-cookie": ["a=1", "b=2"],
      });
      const { method, url, headers } = request;
      response.end(JSON.stringify({ method, url, headers, body: Buffer.concat(chunks).toString() }));
    });
  });
  const sockets = new WebSocketServer({ server });
  sockets.on("connection", (socket, request) => {
    socket.send(JSON.stringify({ url: request.url, headers: request.headers }));
    socket.on("message", (data, binary) => socket.send(data, { binary }));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return { port: (server.address() as AddressInfo).port, server, sockets, seen };
}

describe("http.proxy", () => {
  let legacy: Legacy;
  let backend: Backend;
  let gateway: TestGateway;
  const fastify = (): boolean => engineUnderTest() === "fastify";

  before(async () => {
    legacy = await startLegacy();
    backend = await startBackend({ "/t.S/Get": echo });
    const yaml = `
descriptors: [{ protos: ./protos }]
upstreams:
  rpc: { targets: ["127.0.0.1:${backend.port}"] }
  legacy: { protocol: http, targets: ["http://127.0.0.1:${legacy.port}"], timeout: 1s }
  gone: { protocol: http, targets: ["http://127.0.0.1:1"] }
services: [{ service: t.S, upstream: rpc }]
http:
  limits: { body: 1KiB }
  proxy:
    - { prefix: /legacy, upstream: legacy, rewrite: /, websocket: ${fastify()} }
    - { prefix: /kept, upstream: legacy }
    - { prefix: /gone, upstream: gone }
`;
    gateway = await startTestGateway(yaml, { "protos/t.proto": proto });
  });
  after(async () => {
    await gateway.close();
    await backend.close();
    legacy.sockets.close();
    legacy.server.close();
    legacy.server.closeAllConnections();
  });

  test("http.proxy passes method, path, query, headers and body, and the reply back", async () => {
    const answer = await send(`${gateway.url}/legacy/a%2Fb/c?x=1&x=%20`, {
      method: "POST",
      body: "hello",
      headers: { "x-mine": "1", "x-forwarded-for": "6.6.6.6", forwarded: "for=6.6.6.6" },
    });
    assert.equal(answer.status, 200);
    const { method, url, body, headers } = JSON.parse(answer.text);
    assert.deepEqual({ method, url, body }, { method: "POST", url: "/a%2Fb/c?x=1&x=%20", body: "hello" });
    assert.equal(headers["x-mine"], "1");
    assert.equal(headers["x-forwarded-for"], "127.0.0.1");
    assert.equal(headers.forwarded, undefined);
    assert.equal(headers["x-request-id"], answer.headers.get("x-request-id"));
    assert.equal(answer.headers.get("x-legacy"), "yes");
    assert.deepEqual(answer.headers.getSetCookie(), ["a=1", "b=2"]);
  });

  test("http.proxy keeps the prefix where no replacement is configured", async () => {
    assert.equal(JSON.parse((await send(`${gateway.url}/kept/x`)).text).url, "/kept/x");
    assert.equal(JSON.parse((await send(`${gateway.url}/kept`)).text).url, "/kept");
  });

  test("a binding below the prefix comes first", async () => {
    assert.deepEqual((await send(`${gateway.url}/legacy/rpc/me`)).json, { name: "me" });
    assert.equal(JSON.parse((await send(`${gateway.url}/legacy/rpc`)).text).url, "/rpc");
  });

  test("no path leads out of the prefix", async () => {
    for (const path of ["/legacy/../x", "/legacy/%2e%2e/x", "/legacy/..%2fx", "/legacy/.%2e"]) {
      const socket = connect(gateway.httpPort, "127.0.0.1");
      socket.end(`GET ${path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n`);
      let text = "";
      for await (const chunk of socket) text += chunk;
      assert.match(text, /^HTTP\/1.1 400 /, path);
    }
    assert.equal(
      legacy.seen.some(({ url }) => url?.includes("..")),
      false,
    );
  });

  test("a backend's own status is counted as it is", async () => {
    assert.equal((await send(`${gateway.url}/legacy/teapot`)).status, 418);
    const metrics = await (await fetch(`${gateway.admin}/metrics`)).text();
    assert.match(metrics, /protogate_http_requests_total\{[^}]*route="\/legacy\/\*\*"[^}]*code="418"/);
  });

  test("a body over the limit is refused, with or without a length", async () => {
    const big = "x".repeat(2000);
    assert.equal((await send(`${gateway.url}/legacy/x`, { method: "POST", body: big })).status, 413);
    const stream = new ReadableStream({
      start(controller) {
        for (let part = 0; part < 4; part++) controller.enqueue(new TextEncoder().encode(big));
        controller.close();
      },
    });
    const init = { method: "POST", body: stream, duplex: "half" } as RequestInit;
    assert.equal((await send(`${gateway.url}/legacy/x`, init)).status, 413);
  });

  test("a backend that is gone is 503, one too slow is 504, and a response cut short fails the request", async () => {
    const gone = await send(`${gateway.url}/gone/x`);
    assert.deepEqual([gone.status, gone.json.reason], [503, "UPSTREAM_UNAVAILABLE"]);
    const line = await gateway.logged(({ path }) => path === "/gone/x");
    assert.deepEqual([line.reason, line.grpc_code], ["UPSTREAM_UNAVAILABLE", "UNAVAILABLE"]);
    const slow = await send(`${gateway.url}/legacy/slow`);
    assert.deepEqual([slow.status, slow.json.reason], [504, "UPSTREAM_TIMEOUT"]);
    await assert.rejects(send(`${gateway.url}/legacy/cut`));
    assert.equal((await send(`${gateway.url}/legacy/ok`)).status, 200);
  });

  test("HEAD has no body", async () => {
    const answer = await send(`${gateway.url}/legacy/x`, { method: "HEAD" });
    assert.deepEqual([answer.status, answer.text], [200, ""]);
  });

  test("WebSockets are passed through where the prefix says so", async context => {
    if (!fastify()) return context.skip("the uws engine does not pass WebSockets through");
    const socket = new WebSocket(`ws://127.0.0.1:${gateway.httpPort}/legacy/chat?room=1`, {
      headers: { origin: "https://a.example", authorization: "Bearer t" },
    });
    const [hello] = await once(socket, "message");
    const { url, headers } = JSON.parse(String(hello));
    assert.equal(url, "/chat?room=1");
    assert.deepEqual(
      [headers.origin, headers.authorization, headers["x-forwarded-for"]],
      ["https://a.example", "Bearer t", "127.0.0.1"],
    );
    socket.send("echo");
    assert.equal(String((await once(socket, "message"))[0]), "echo");
    socket.close(4001, "bye");
    await once(socket, "close");

    const refused = new WebSocket(`ws://127.0.0.1:${gateway.httpPort}/kept/chat`);
    const [, response] = await once(refused, "unexpected-response");
    assert.equal((response as IncomingMessage).statusCode, 404);
    refused.on("error", () => undefined);
    refused.terminate();
    const metrics = await (await fetch(`${gateway.admin}/metrics`)).text();
    assert.doesNotMatch(metrics, /code="101"/);
  });

  test("the gateway sends no pong in place of a client", async context => {
    if (!fastify()) return context.skip("the uws engine does not pass WebSockets through");
    const socket = new WebSocket(`ws://127.0.0.1:${gateway.httpPort}/legacy/chat`, { autoPong: false });
    await once(socket, "message");
    const [peer] = legacy.sockets.clients;
    let answered = 0;
    peer?.on("pong", () => answered++);
    peer?.ping("one");
    assert.equal(String((await once(socket, "ping"))[0]), "one");
    socket.send("echo");
    await once(socket, "message");
    assert.equal(answered, 0);
    socket.pong("one");
    socket.send("echo");
    await once(socket, "message");
    assert.equal(answered, 1);
    socket.terminate();
  });

  test("WebSockets outlive a reload, and a gateway does not wait for them at its end", async context => {
    if (!fastify()) return context.skip("the uws engine does not pass WebSockets through");
    const own = await startTestGateway(
      `
upstreams:
  legacy: { protocol: http, targets: ["http://127.0.0.1:${legacy.port}"] }
http: { proxy: [{ prefix: /legacy, upstream: legacy, websocket: true }] }
auth: { default: none }
server: { drain: 100ms }
`,
      {},
    );
    const socket = new WebSocket(`ws://127.0.0.1:${own.httpPort}/legacy/chat`);
    await once(socket, "message");
    await own.reload();
    await own.reload();
    socket.send("echo");
    assert.equal(String((await once(socket, "message"))[0]), "echo");
    const closed = once(socket, "close");
    await own.close();
    await closed;
  });

  test("an upgrade to anything else is passed over", async () => {
    const socket = connect(gateway.httpPort, "127.0.0.1");
    socket.write(
      "POST /legacy/x HTTP/1.1\r\nhost: a\r\nconnection: upgrade, http2-settings\r\nupgrade: h2c\r\n" +
        "http2-settings: AAMAAABkAARAAAAAAAIAAAAA\r\ncontent-length: 5\r\n\r\nhello",
    );
    let text = "";
    socket.on("data", chunk => {
      text += chunk;
      if (text.includes('"body":"hello"')) socket.end();
    });
    await once(socket, "close");
    assert.match(text, /^HTTP\/1.1 200 OK/);
    assert.match(text, /"body":"hello"/);
  });
});
