import assert from "node:assert/strict";
import { createServer, type Http2Server, type IncomingHttpHeaders, type ServerHttp2Stream } from "node:http2";
import { after, before, test } from "node:test";
import { gunzipSync, gzipSync } from "node:zlib";
import { Cancellation } from "../../src/net/cancellation.js";
import { Code } from "../../src/status/code.js";
import { callFailure } from "../../src/upstream/call/call-failure.js";
import type { Channel } from "../../src/upstream/channel.js";
import { listen, openChannel, startBackend, streamPath, unaryCall } from "./backend.js";
import { underTest } from "./transport-under-test.js";

/** Of a message as it stands in the body of a request. */
interface SentMessage {
  readonly flag: number;
  readonly bytes: Buffer;
}

type Respond = (stream: ServerHttp2Stream, messages: SentMessage[], headers: IncomingHttpHeaders) => void;

let server: Http2Server;
let channel: Channel;
let respond: Respond;

before(async () => {
  server = createServer();
  server.on("stream", (stream, headers) => {
    const chunks: Buffer[] = [];
    stream.on("error", () => undefined);
    stream.on("data", (chunk: Buffer) => chunks.push(chunk));
    stream.on("end", () => respond(stream, messagesOf(Buffer.concat(chunks)), headers));
  });
  channel = openChannel([await listen(server)], { compressFrom: 100, maxMessageSize: 1 << 20 });
});

after(async () => {
  await channel.close();
  server.close();
});

function messagesOf(body: Buffer): SentMessage[] {
  const messages: SentMessage[] = [];
  for (let at = 0; at < body.length; ) {
    const end = at + 5 + body.readUInt32BE(at + 1);
    messages.push({ flag: body[at] as number, bytes: body.subarray(at + 5, end) });
    at = end;
  }
  return messages;
}

function envelope(flag: number, bytes: Buffer): Buffer {
  const head = Buffer.alloc(5);
  head[0] = flag;
  head.writeUInt32BE(bytes.length, 1);
  return Buffer.concat([head, bytes]);
}

function reply(stream: ServerHttp2Stream, body: Buffer, headers: Record<string, string> = {}): void {
  stream.respond({ "content-type": "application/grpc", ...headers }, { waitForTrailers: true });
  stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
  stream.end(body);
}

/** Calls with a request of so many bytes, and gives what reached the backend. */
async function sent(size: number): Promise<{ message: SentMessage; headers: IncomingHttpHeaders }> {
  let message: SentMessage | undefined;
  let head: IncomingHttpHeaders = {};
  respond = (stream, [first], headers) => {
    message = first;
    head = headers;
    reply(stream, envelope(0, Buffer.from("ok")));
  };
  const result = await channel.unary(unaryCall({ request: Buffer.alloc(size, "x") }));
  assert.equal(result.status.code, Code.OK, result.status.message);
  assert.ok(message !== undefined);
  return { message, headers: head };
}

for (const size of [100, 5000, 300_000]) {
  test(`a request message of ${size} bytes, the minimum or more, is compressed with gzip`, async () => {
    const { message, headers } = await sent(size);
    assert.equal(headers["grpc-encoding"], "gzip");
    assert.match(String(headers["grpc-accept-encoding"]), /gzip/);
    assert.equal(message.flag, 1);
    assert.deepEqual(gunzipSync(message.bytes), Buffer.alloc(size, "x"));
  });
}

test("a request message below the minimum is sent as it is", async () => {
  const { message, headers } = await sent(99);
  assert.deepEqual(message, { flag: 0, bytes: Buffer.alloc(99, "x") });
  // grpc-js announces the encoding for all calls of a channel.
  if (underTest.transport === "lean") assert.equal(headers["grpc-encoding"], undefined);
});

test("each message of a stream is compressed or not by its own size", async () => {
  let messages: SentMessage[] = [];
  respond = (stream, all) => {
    messages = all;
    reply(stream, Buffer.alloc(0));
  };
  const sizes = [10, 20_000, 0, 200];
  await new Promise<void>(resolve => {
    const handle = channel.stream({
      path: streamPath,
      metadata: [],
      timeout: 10_000,
      cancellation: new Cancellation(),
      onMessage: () => undefined,
      onEnd: () => resolve(),
    });
    for (const size of sizes) handle.send(Buffer.alloc(size, "y"));
    handle.end();
  });
  assert.deepEqual(
    messages.map(({ flag, bytes }) => [flag, flag === 1 ? gunzipSync(bytes).length : bytes.length]),
    [
      [0, 10],
      [1, 20_000],
      [0, 0],
      [1, 200],
    ],
  );
});

test("a real server reads compressed messages of every size", async () => {
  const backend = await startBackend();
  const toBackend = openChannel([backend.address], { compressFrom: 0 });
  for (const size of [0, 1, 4096, 4097, 1_000_000]) {
    const result = await toBackend.unary(unaryCall({ request: Buffer.alloc(size, "z") }));
    assert.equal(result.status.code, Code.OK, result.status.message);
    assert.equal(result.message?.length, size);
  }
  await toBackend.close();
  backend.stop();
});

test("a compressed response is read up to the largest message, and no further", async () => {
  const send = (size: number) =>
    channel.unary(unaryCall({ request: Buffer.from(String(size)) })).then(({ status, message }) => ({
      code: status.code,
      origin: status.origin,
      size: message?.length,
    }));
  respond = (stream, [message]) =>
    reply(stream, envelope(1, gzipSync(Buffer.alloc(Number(message?.bytes), "r"))), {
      "grpc-encoding": "gzip",
    });
  assert.deepEqual(await send(1 << 20), { code: 0, origin: undefined, size: 1 << 20 });
  const tooLarge = { code: Code.RESOURCE_EXHAUSTED, origin: "size", size: undefined };
  assert.deepEqual(await send((1 << 20) + 1), tooLarge);
});

test("a message is measured against the largest one before it is compressed", async () => {
  const { status } = await channel.unary(unaryCall({ request: Buffer.alloc((1 << 20) + 1, "x") }));
  assert.equal(status.origin, "request size");
});

/** What well-known servers respond to an encoding that they do not have. */
const refusals = [
  'grpc: Decompressor is not installed for grpc-encoding "gzip"',
  "Can't find decompressor for gzip",
  "Compression algorithm 'gzip' is disabled.",
  "Content is compressed with `gzip` which isn't supported",
  "Unsupported grpc-encoding value 'gzip'. Supported encodings: identity",
];

for (const text of refusals) {
  test(`a backend that does not take gzip is a clear error: ${text}`, async () => {
    respond = refuse(text);
    const result = await channel.unary(unaryCall({ request: Buffer.alloc(200) }));
    const failure = callFailure(result);
    assert.equal(failure.reason, "UPSTREAM_ENCODING");
    assert.match(failure.message, /does not accept messages compressed with gzip/);
  });
}

test("a method that is not implemented stays UNIMPLEMENTED, compressed or not", async () => {
  respond = refuse("unknown method Unary");
  const compressed = await channel.unary(unaryCall({ request: Buffer.alloc(200) }));
  assert.equal(callFailure(compressed).code, Code.UNIMPLEMENTED);
  respond = refuse("this backend has no encoding");
  const plain = await channel.unary(unaryCall({ request: Buffer.alloc(1) }));
  // What was not compressed was not refused for it.
  if (underTest.transport === "lean") assert.equal(plain.status.origin, "backend");
});

function refuse(message: string): Respond {
  return stream =>
    stream.respond(
      {
        "content-type": "application/grpc",
        "grpc-status": String(Code.UNIMPLEMENTED),
        "grpc-message": message,
      },
      { endStream: true },
    );
}

test("a call that is cancelled while its message is compressed ends, and its connection goes on", async () => {
  const cancellation = new Cancellation();
  const call = channel.unary(unaryCall({ request: Buffer.alloc(500_000), cancellation }));
  cancellation.cancel();
  assert.equal((await call).status.origin, "cancelled");
  await sent(5000);
});
