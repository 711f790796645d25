import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, constants, createServer, type ServerHttp2Stream } from "node:http2";
import type { AddressInfo } from "node:net";
import { after, before, describe, it } from "node:test";
import { Client, credentials, type ServiceError } from "@grpc/grpc-js";
import { engineUnderTest } from "../engine.js";
import { encodeTicks, serveTicks, startTicksGateway } from "../streams/ticks.js";

const same = (bytes: Buffer): Buffer => bytes;

const ticks = serveTicks("", "server: { drain: 500ms }");

const withoutHttp2 = engineUnderTest() === "uws" && "uws speaks HTTP/1.1 alone";

describe("streams of gRPC", { skip: withoutHttp2 }, () => {
  let client: Client;
  before(() => {
    client = new Client(`127.0.0.1:${ticks.gateway.httpPort}`, credentials.createInsecure());
  });
  after(() => client.close());

  const watch = (request: object) =>
    client.makeServerStreamRequest("/test.v1.Ticks/Watch", same, same, encodeTicks("WatchRequest", request));

  it("response streams of gRPC reach a grpc-js client, and their status after them", async () => {
    const stream = watch({ room: "a", count: 3, fail: 9 });
    const messages: Buffer[] = [];
    stream.on("data", message => messages.push(message));
    const [error] = (await once(stream, "error")) as [ServiceError];
    assert.deepEqual([messages.length, error.code, error.details], [3, 9, "failed after 3"]);
  });

  it("response streams of gRPC are stopped by a client that does not read, and cancelled when it closes", async () => {
    ticks.backend.written = 0;
    ticks.backend.cancelled = 0;
    // grpc-js takes in what it was not asked for.
    const session = connect(ticks.gateway.url);
    const stream = session.request({
      ":method": "POST",
      ":path": "/test.v1.Ticks/Watch",
      "content-type": "application/grpc",
      te: "trailers",
    });
    stream.end(enveloped(encodeTicks("WatchRequest", { room: "a", count: 100_000, size: 10_000 })));
    await once(stream, "response");
    let before = -1;
    while (before !== ticks.backend.written) {
      before = ticks.backend.written;
      await new Promise(resolve => setTimeout(resolve, 200));
    }
    assert.ok(before < 5000, `${before} messages of 10 KB were written to a client that does not read`);
    stream.close(constants.NGHTTP2_CANCEL);
    await ticks.backend.onCancelled();
    session.destroy();
  });

  it("request streams of gRPC give one response", async () => {
    const response = await new Promise<Buffer | undefined>((resolve, reject) => {
      const stream = client.makeClientStreamRequest("/test.v1.Ticks/Send", same, same, (error, message) =>
        error === null ? resolve(message) : reject(error),
      );
      for (const seq of [1, 2, 3]) stream.write(encodeTicks("Tick", { room: "a", seq }));
      stream.end();
    });
    assert.deepEqual(response, encodeTicks("Summary", { room: "a", count: 3, bytes: 15 }));
  });

  it("a bidirectional stream gets a response to each message while the client goes on, and ends with an error of the backend", async () => {
    const stream = client.makeBidiStreamRequest("/test.v1.Ticks/Talk", same, same);
    for (const seq of [1, 2]) {
      stream.write(encodeTicks("Tick", { room: "a", seq, text: "x" }));
      const [message] = (await once(stream, "data")) as [Buffer];
      assert.deepEqual(message, encodeTicks("Tick", { room: "a", seq: seq + 1, text: "x" }));
    }
    stream.write(encodeTicks("Tick", { text: "fail" }));
    const [error] = (await once(stream, "error")) as [ServiceError];
    assert.deepEqual([error.code, error.details], [10, "stop talking"]);
  });
});

/** Length-prefixed messages of a body, with their flags. */
function envelopes(body: Buffer): [flags: number, bytes: Buffer][] {
  const found: [number, Buffer][] = [];
  for (let at = 0; at < body.length; at += 5 + body.readUInt32BE(at + 1))
    found.push([body[at] as number, body.subarray(at + 5, at + 5 + body.readUInt32BE(at + 1))]);
  return found;
}

function enveloped(bytes: Buffer): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt32BE(bytes.length, 1);
  return Buffer.concat([head, bytes]);
}

const requests = [enveloped(encodeTicks("WatchRequest", { room: "a", count: 2, fail: 5 }))];

it("a client of gRPC is let send no more than a few MiB ahead of what the backend has taken", {
  skip: withoutHttp2,
}, async () => {
  const taken = 16 << 20;
  const backend = createServer();
  const calls = once(backend, "stream") as Promise<[ServerHttp2Stream]>;
  backend.listen(0, "127.0.0.1");
  await once(backend, "listening");
  const gateway = await startTicksGateway((backend.address() as AddressInfo).port);
  const session = connect(gateway.url);
  const upload = session.request({
    ":method": "POST",
    ":path": "/test.v1.Ticks/Send",
    "content-type": "application/grpc",
    te: "trailers",
  });
  upload.on("error", () => undefined);
  const message = enveloped(encodeTicks("Tick", { text: "x".repeat(65_536) }));
  let sent = 0;
  const send = (error?: Error | null): void => {
    if (error != null) return;
    sent += message.length;
    upload.write(message, send);
  };
  upload.write(message, send);
  const [call] = await calls;
  call.on("error", () => undefined);
  let received = 0;
  let most = 0;
  for await (const chunk of call) {
    received += chunk.length;
    most = Math.max(most, sent - received);
    if (received >= taken) break;
  }
  assert.ok(most < 4 << 20, `${most} bytes were sent ahead`);
  session.destroy();
  await gateway.close();
  backend.close();
});

it("a server stream by gRPC-Web ends with its trailers in the body", async () => {
  const response = await fetch(`${ticks.gateway.url}/test.v1.Ticks/Watch`, {
    method: "POST",
    headers: { "content-type": "application/grpc-web+proto" },
    body: Buffer.concat(requests),
  });
  const parts = envelopes(Buffer.from(await response.arrayBuffer()));
  assert.equal(response.status, 200);
  assert.deepEqual(
    parts.map(([flags]) => flags),
    [0, 0, 0x80],
  );
  assert.match(String(parts[2]?.[1]), /grpc-status: ?5\r\n/);
});

it("a server stream by gRPC-Web in text is base64 of its messages and trailers", async () => {
  const response = await fetch(`${ticks.gateway.url}/test.v1.Ticks/Watch`, {
    method: "POST",
    headers: { "content-type": "application/grpc-web-text" },
    body: Buffer.concat(requests).toString("base64"),
  });
  assert.equal(response.headers.get("content-type"), "application/grpc-web-text");
  // Each piece may have padding of its own.
  const pieces = (await response.text()).match(/[^=]+=*/g) ?? [];
  const parts = envelopes(Buffer.concat(pieces.map(piece => Buffer.from(piece, "base64"))));
  assert.equal(response.status, 200);
  assert.deepEqual(
    parts.map(([flags]) => flags),
    [0, 0, 0x80],
  );
  assert.match(String(parts[2]?.[1]), /grpc-status: ?5\r\n/);
});

it("a server stream by Connect in JSON ends with an end-of-stream message that holds the error", async () => {
  const response = await fetch(`${ticks.gateway.url}/test.v1.Ticks/Watch`, {
    method: "POST",
    headers: { "content-type": "application/connect+json" },
    body: enveloped(Buffer.from('{"room":"a","count":2,"fail":5}')),
  });
  const parts = envelopes(Buffer.from(await response.arrayBuffer()));
  assert.deepEqual(
    parts.map(([flags]) => flags),
    [0, 0, 2],
  );
  assert.deepEqual(JSON.parse(String(parts[0]?.[1])), { room: "a", seq: "1", text: "tick 1" });
  assert.deepEqual(JSON.parse(String(parts[2]?.[1])).error, { code: "not_found", message: "failed after 2" });
});

it("large messages of a server stream by Connect in JSON come whole and in order, before its end", async () => {
  const response = await fetch(`${ticks.gateway.url}/test.v1.Ticks/Watch`, {
    method: "POST",
    headers: { "content-type": "application/connect+json" },
    body: enveloped(Buffer.from('{"room":"a","count":3,"size":100000,"fail":5}')),
  });
  const parts = envelopes(Buffer.from(await response.arrayBuffer()));
  assert.deepEqual(
    parts.map(([flags, bytes]) => (flags === 0 ? JSON.parse(String(bytes)).seq : flags)),
    ["1", "2", "3", 2],
  );
  assert.equal(JSON.parse(String(parts[3]?.[1])).error.code, "not_found");
});

it("a stream of requests by Connect may come in pieces that cut its envelopes", async () => {
  const body = Buffer.concat([1, 2].map(seq => enveloped(Buffer.from(`{"room":"a","seq":${seq}}`))));
  const pieces = new ReadableStream({
    async start(controller) {
      for (let at = 0; at < body.length; at += 7) {
        controller.enqueue(body.subarray(at, at + 7));
        await new Promise(resolve => setImmediate(resolve));
      }
      controller.close();
    },
  });
  const response = await fetch(`${ticks.gateway.url}/test.v1.Ticks/Send`, {
    method: "POST",
    headers: { "content-type": "application/connect+json" },
    body: pieces,
    duplex: "half",
  } as RequestInit);
  const [first] = envelopes(Buffer.from(await response.arrayBuffer()));
  assert.deepEqual(JSON.parse(String(first?.[1])).count, 2);
});

it("a stream of requests by Connect that is cut off within an envelope is an error of Connect", async () => {
  const response = await fetch(`${ticks.gateway.url}/test.v1.Ticks/Send`, {
    method: "POST",
    headers: { "content-type": "application/connect+json" },
    body: enveloped(Buffer.from('{"room":"a"}')).subarray(0, 12),
  });
  const parts = envelopes(Buffer.from(await response.arrayBuffer()));
  const [flags, end] = parts.at(-1) ?? [];
  assert.deepEqual([response.status, flags], [200, 2]);
  assert.equal(JSON.parse(String(end)).error.code, "invalid_argument");
});

it("open streams of gRPC end in band when the gateway closes", { skip: withoutHttp2 }, async () => {
  const own = await startTicksGateway(ticks.backend.port, "", "server: { drain: 300ms }");
  const client = new Client(`127.0.0.1:${own.httpPort}`, credentials.createInsecure());
  const request = encodeTicks("WatchRequest", { room: "a", count: 1, hang: true });
  const stream = client.makeServerStreamRequest("/test.v1.Ticks/Watch", same, same, request);
  await once(stream, "data");
  const failed = once(stream, "error") as Promise<[ServiceError]>;
  await own.close();
  const [error] = await failed;
  assert.equal(error.code, 14);
  client.close();
});
