import assert from "node:assert/strict";
import { EventEmitter, once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { type AddressInfo, connect, type Socket } from "node:net";
import { after, before, describe, test } from "node:test";
import { engineUnderTest } from "../engine.js";
import { send, startTestGateway, type TestGateway } from "./harness.js";

const mebibyte = 1 << 20;

/** Tells of each request under its path, and leaves the answer to the test. */
const requests = new EventEmitter();
const backend = createServer((request, response) => {
  if (request.url === "/quick") response.end();
  else requests.emit(request.url ?? "", request, response);
});

/** Resolves when a request is over, whatever ends it. */
function closedOf(request: IncomingMessage): Promise<void> {
  request.on("error", () => undefined);
  return new Promise(resolve => request.once("close", () => resolve()));
}

describe(`pass-through that ends early (${engineUnderTest()})`, () => {
  let gateway: TestGateway;
  /** @param timeout for a request to arrive */
  const start = (timeout: string): Promise<TestGateway> =>
    startTestGateway(
      `
upstreams: { backend: { protocol: http, targets: ["http://127.0.0.1:${(backend.address() as AddressInfo).port}"], timeout: 60s } }
http:
  limits: { body: 64MiB, request_timeout: ${timeout} }
  proxy: [{ prefix: /to, upstream: backend, rewrite: / }]
`,
      {},
    );

  before(async () => {
    backend.listen(0, "127.0.0.1");
    await once(backend, "listening");
    gateway = await start("60s");
  });
  after(async () => {
    // Would wait for whatever is not over.
    await gateway.close();
    backend.closeAllConnections();
    backend.close();
  });

  /** Sends bytes on a connection of its own. */
  function open(text: string, { httpPort } = gateway): Socket {
    const socket = connect(httpPort, "127.0.0.1");
    socket.on("error", () => undefined);
    socket.write(text, "latin1");
    return socket;
  }

  async function arrived(path: string): Promise<[IncomingMessage, ServerResponse]> {
    return (await once(requests, path)) as [IncomingMessage, ServerResponse];
  }

  /** The log and the metrics say so, and nothing is under way any more. */
  async function recorded(path: string, status: number, reason: string, by = gateway): Promise<void> {
    const line = await by.logged(entry => entry.path === path);
    assert.deepEqual([line.status, line.reason], [status, reason], path);
    const { text } = await send(`${by.admin}/metrics`);
    assert.match(text, new RegExp(`protogate_http_requests_total\\{[^}]*code="${status}"`));
    assert.match(text, /protogate_http_requests_in_flight 0\n/);
  }

  for (const [what, path, head, part] of [
    ["a length", "/length", "content-length: 1000", "half"],
    ["chunks", "/chunks", "transfer-encoding: chunked", "4\r\nhalf\r\n"],
  ] as const) {
    test(`a client that leaves amid its body with ${what} ends the backend's request`, async () => {
      const arrival = arrived(path);
      const client = open(`POST /to${path} HTTP/1.1\r\nhost: a\r\n${head}\r\n\r\n${part}`);
      const [request] = await arrival;
      await once(request, "data");
      const closed = closedOf(request);
      client.destroy();
      await closed;
      assert.equal(request.complete, false);
      await recorded(`/to${path}`, 499, "CLIENT_CLOSED");
    });
  }

  test("a client that leaves while the backend thinks", async () => {
    const arrival = arrived("/thinks");
    const client = open("GET /to/thinks HTTP/1.1\r\nhost: a\r\n\r\n");
    const [, response] = await arrival;
    client.destroy();
    await recorded("/to/thinks", 499, "CLIENT_CLOSED");
    response.end();
  });

  test("a client that leaves amid its reply ends the backend's too", async () => {
    const arrival = arrived("/reply");
    const client = open("GET /to/reply HTTP/1.1\r\nhost: a\r\n\r\n");
    const [, response] = await arrival;
    response.write("half");
    await once(client, "data");
    const closed = once(response, "close");
    client.destroy();
    await closed;
    assert.equal(response.writableFinished, false);
    await recorded("/to/reply", 499, "CLIENT_CLOSED");
  });

  test("a backend that ends amid its reply ends the client's connection", async () => {
    const arrival = arrived("/cut");
    const client = open("GET /to/cut HTTP/1.1\r\nhost: a\r\n\r\n");
    const [, response] = await arrival;
    response.write("half");
    await once(client, "data");
    const closed = once(client, "close");
    response.destroy();
    await closed;
    await recorded("/to/cut", 502, "UPSTREAM_PROTOCOL");
  });

  test("requests that wait for others on their connection are over with it", async context => {
    if (engineUnderTest() === "uws") return context.skip("uWebSockets.js reads one request at a time");
    const arrivals = Promise.all([arrived("/first"), arrived("/second")]);
    const client = open(
      "GET /to/first HTTP/1.1\r\nhost: a\r\n\r\nGET /to/second HTTP/1.1\r\nhost: a\r\n\r\n",
    );
    const both = await arrivals;
    client.destroy();
    await gateway.logged(entry => entry.path === "/to/first");
    await recorded("/to/second", 499, "CLIENT_CLOSED");
    for (const [, response] of both) response.end();
  });

  test("a request whose body stops gets 408, and the backend's request ends", async context => {
    if (engineUnderTest() === "uws") return context.skip("uWebSockets.js ends such connections by itself");
    const own = await start("1s");
    const arrival = arrived("/stops");
    const client = open("POST /to/stops HTTP/1.1\r\nhost: a\r\ncontent-length: 1000\r\n\r\nhalf", own);
    const [request] = await arrival;
    const closed = closedOf(request);
    let text = "";
    client.on("data", chunk => {
      text += chunk;
    });
    await once(client, "close");
    await closed;
    assert.match(text, /^HTTP\/1\.1 408 [\s\S]*"reason":"REQUEST_TIMEOUT"/);
    await recorded("/to/stops", 408, "REQUEST_TIMEOUT", own);
    await own.close();
  });

  test("a reply that comes before the body is whole is the client's", async () => {
    const arrival = arrived("/early");
    const client = open("POST /to/early HTTP/1.1\r\nhost: a\r\ncontent-length: 1000\r\n\r\nhalf");
    const [request, response] = await arrival;
    request.on("error", () => undefined);
    response.writeHead(403, { "content-length": "2" }).end("no");
    const [chunk] = await once(client, "data");
    assert.match(String(chunk), /^HTTP\/1\.1 403 /);
    client.destroy();
    await gateway.logged(entry => entry.path === "/to/early");
  });

  test("a client that reads slowly holds its backend back, and gets all", async () => {
    const size = 64 * mebibyte;
    const part = Buffer.alloc(mebibyte / 4, "x");
    const arrival = arrived("/large");
    const client = open("GET /to/large HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
    client.pause();
    const [, response] = await arrival;
    let written = 0;
    response.writeHead(200, { "content-length": String(size) });
    const write = (): void => {
      while (written < size) {
        written += part.length;
        if (!response.write(part)) {
          response.once("drain", write);
          return;
        }
      }
      response.end();
    };
    write();
    // Time enough for all of it, were it not held back.
    for (let round = 0; round < 300; round++) await send(`${gateway.url}/to/quick`);
    assert.ok(written < size / 2, `${written} bytes are on their way`);
    let read = 0;
    client.on("data", chunk => {
      read += chunk.length;
    });
    client.resume();
    await once(client, "close");
    assert.ok(read > size);
  });

  test("a backend that reads slowly holds its client back, and gets all", async () => {
    // Buffers of the kernel on both sides, and what the gateway reads on to notice a client that leaves, are less.
    const size = 60 * mebibyte;
    const part = Buffer.alloc(mebibyte / 4, "x");
    const arrival = arrived("/upload");
    const client = open(`PUT /to/upload HTTP/1.1\r\nhost: a\r\ncontent-length: ${size}\r\n\r\n`);
    let sent = 0;
    const write = (): void => {
      while (sent < size) {
        sent += part.length;
        if (!client.write(part)) {
          client.once("drain", write);
          return;
        }
      }
    };
    write();
    const [request, response] = await arrival;
    for (let round = 0; round < 100; round++) await send(`${gateway.url}/to/quick`);
    assert.ok(sent < size * 0.75, `${sent} bytes are on their way`);
    let read = 0;
    for await (const chunk of request) read += chunk.length;
    response.end("done");
    const [chunk] = await once(client, "data");
    assert.match(String(chunk), /^HTTP\/1\.1 200 /);
    assert.equal(read, size);
    client.destroy();
  });
});
