import assert from "node:assert/strict";
import { once } from "node:events";
import { constants, createServer, type Http2Server, type ServerHttp2Stream } from "node:http2";
import { createServer as createNetServer, type Socket } from "node:net";
import { test } from "node:test";
import { Code } from "../../src/status/code.js";
import type { CallStatus, UnaryResult } from "../../src/upstream/channel.js";
import { listen, openChannel, unaryCall } from "./backend.js";

const maxMessageSize = 1000;

/** A gRPC frame: flag, length, bytes. */
function frame(bytes: Uint8Array, flag = 0): Buffer {
  const head = Buffer.alloc(5);
  head[0] = flag;
  head.writeUInt32BE(bytes.length, 1);
  return Buffer.concat([head, bytes]);
}

const grpcHeaders = { ":status": 200, "content-type": "application/grpc" };

/** Answers with these headers and bytes and with these trailers; without trailers the stream just ends. */
function respond(
  stream: ServerHttp2Stream,
  headers: Record<string, string | number>,
  bytes?: Uint8Array,
  trailers?: Record<string, string>,
): void {
  stream.respond(headers, { waitForTrailers: trailers !== undefined });
  if (trailers !== undefined) stream.on("wantTrailers", () => stream.sendTrailers(trailers));
  stream.end(bytes);
}

/** What a call to a server of this behaviour comes to. */
async function callTo(serve: (stream: ServerHttp2Stream) => void): Promise<UnaryResult> {
  const server = createServer();
  const sessions = new Set<{ destroy(): void }>();
  server.on("session", session => {
    session.on("error", () => {});
    sessions.add(session);
  });
  server.on("stream", stream => {
    stream.on("error", () => {});
    serve(stream);
  });
  const channel = openChannel([await listen(server)], { maxMessageSize });
  const result = await channel.unary(unaryCall());
  await channel.close();
  await shut(server, sessions);
  return result;
}

async function shut(server: Http2Server, sessions: Iterable<{ destroy(): void }>): Promise<void> {
  for (const session of sessions) session.destroy();
  server.close();
  await once(server, "close");
}

function assertStatus(status: CallStatus, code: number, origin: CallStatus["origin"], message: RegExp): void {
  assert.equal(status.code, code);
  assert.equal(status.origin, origin);
  assert.match(status.message, message);
}

interface Oddity {
  readonly name: string;
  readonly serve: (stream: ServerHttp2Stream) => void;
  readonly code: number;
  readonly origin: CallStatus["origin"];
  readonly message: RegExp;
}

const oddities: readonly Oddity[] = [
  {
    name: "an HTML page with status 200",
    serve: stream =>
      respond(
        stream,
        { ":status": 200, "content-type": "text/html" },
        Buffer.from("<!DOCTYPE html><p>welcome"),
      ),
    code: Code.INTERNAL,
    origin: "protocol",
    message: /content type "text\/html", expected application\/grpc/,
  },
  {
    name: "frames under another content type",
    serve: stream =>
      respond(stream, { ":status": 200, "content-type": "application/grpc-web" }, frame(Buffer.from("x")), {
        "grpc-status": "0",
      }),
    code: Code.INTERNAL,
    origin: "protocol",
    message: /content type "application\/grpc-web"/,
  },
  {
    name: "an empty response of another content type",
    serve: stream => respond(stream, { ":status": 200, "content-type": "application/json" }),
    code: Code.INTERNAL,
    origin: "protocol",
    message: /content type "application\/json"/,
  },
  {
    name: "HTTP 503 with a page",
    serve: stream =>
      respond(stream, { ":status": 503, "content-type": "text/html" }, Buffer.from("<html>try again</html>")),
    code: Code.UNAVAILABLE,
    origin: "http",
    message: /^Received HTTP status code 503$/,
  },
  {
    name: "HTTP 404 without a body",
    serve: stream => respond(stream, { ":status": 404 }),
    code: Code.UNIMPLEMENTED,
    origin: "http",
    message: /^Received HTTP status code 404$/,
  },
  {
    name: "HTTP 503 with a page of the content type of gRPC",
    serve: stream =>
      respond(stream, { ...grpcHeaders, ":status": 503 }, Buffer.from("<html>try again</html>")),
    code: Code.UNAVAILABLE,
    origin: "http",
    message: /^Received HTTP status code 503$/,
  },
  {
    name: "HTTP 429 with a page and trailers",
    serve: stream =>
      respond(stream, { ":status": 429, "content-type": "text/plain" }, Buffer.from("slow down"), {
        "x-t": "1",
      }),
    code: Code.UNAVAILABLE,
    origin: "http",
    message: /^Received HTTP status code 429$/,
  },
  {
    name: "HTTP 401 with trailers that lack grpc-status",
    serve: stream => respond(stream, { ...grpcHeaders, ":status": 401 }, undefined, { "x-t": "1" }),
    code: Code.UNAUTHENTICATED,
    origin: "http",
    message: /^Received HTTP status code 401$/,
  },
  {
    name: "a message and no trailers",
    serve: stream => respond(stream, grpcHeaders, frame(Buffer.from("x"))),
    code: Code.INTERNAL,
    origin: "protocol",
    message: /Call ended without gRPC status/,
  },
  {
    name: "trailers without grpc-status",
    serve: stream => respond(stream, grpcHeaders, frame(Buffer.from("x")), { "x-other": "1" }),
    code: Code.UNKNOWN,
    origin: "protocol",
    message: /^Received HTTP status code 200$/,
  },
  {
    name: "a grpc-status that is no number",
    serve: stream => respond(stream, grpcHeaders, frame(Buffer.from("x")), { "grpc-status": "fine" }),
    code: Code.INTERNAL,
    origin: "protocol",
    message: /no valid status/,
  },
  {
    name: "a negative grpc-status",
    serve: stream => respond(stream, grpcHeaders, frame(Buffer.from("x")), { "grpc-status": "-1" }),
    code: Code.INTERNAL,
    origin: "protocol",
    message: /no valid status/,
  },
  {
    name: "OK without a message",
    serve: stream => respond(stream, grpcHeaders, undefined, { "grpc-status": "0" }),
    code: Code.INTERNAL,
    origin: "protocol",
    message: /has no message/,
  },
  {
    name: "OK with half a message",
    serve: stream =>
      respond(stream, grpcHeaders, frame(Buffer.from("abc")).subarray(0, 6), { "grpc-status": "0" }),
    code: Code.INTERNAL,
    origin: "protocol",
    message: /has no message|ends within a message/,
  },
  {
    name: "two messages to a unary call",
    serve: stream =>
      respond(stream, grpcHeaders, Buffer.concat([frame(Buffer.from("a")), frame(Buffer.from("b"))]), {
        "grpc-status": "0",
      }),
    code: Code.INTERNAL,
    origin: "protocol",
    message: /more than one message/,
  },
  {
    name: "a compressed frame without a compression",
    serve: stream => respond(stream, grpcHeaders, frame(Buffer.from("x"), 1), { "grpc-status": "0" }),
    code: Code.INTERNAL,
    origin: "protocol",
    message: /no valid status|compressed with no grpc-encoding/,
  },
  {
    name: "a gzip frame that is none",
    serve: stream =>
      respond(stream, { ...grpcHeaders, "grpc-encoding": "gzip" }, frame(Buffer.from("not gzip"), 1), {
        "grpc-status": "0",
      }),
    code: Code.INTERNAL,
    origin: "protocol",
    message: /Failed to decompress/,
  },
  {
    name: "a message that says it is larger than allowed",
    serve: stream => {
      stream.respond(grpcHeaders);
      stream.write(frame(Buffer.alloc(maxMessageSize + 1)));
    },
    code: Code.RESOURCE_EXHAUSTED,
    origin: "size",
    message: /larger than max \(1001 vs 1000\)/,
  },
  {
    name: "a reset with INTERNAL_ERROR",
    serve: stream => stream.close(constants.NGHTTP2_INTERNAL_ERROR),
    code: Code.INTERNAL,
    origin: "protocol",
    message: /RST_STREAM with code 2/,
  },
  {
    name: "a reset with CANCEL that nobody asked for",
    serve: stream => stream.close(constants.NGHTTP2_CANCEL),
    code: Code.CANCELLED,
    origin: "http",
    message: /Call cancelled/,
  },
  {
    name: "a reset with ENHANCE_YOUR_CALM",
    serve: stream => stream.close(constants.NGHTTP2_ENHANCE_YOUR_CALM),
    code: Code.RESOURCE_EXHAUSTED,
    origin: "http",
    message: /Bandwidth exhausted/,
  },
  {
    name: "a connection that ends under the call",
    serve: stream => stream.session?.destroy(),
    code: Code.UNAVAILABLE,
    origin: "lost",
    message: /./,
  },
  {
    name: "a connection that ends after the initial metadata",
    serve: stream => {
      stream.respond(grpcHeaders);
      stream.write(frame(Buffer.from("x")), () => stream.session?.destroy());
    },
    code: Code.UNAVAILABLE,
    origin: "lost",
    message: /./,
  },
];

for (const { name, serve, code, origin, message } of oddities) {
  test(`${name} fails the call with code ${code} and origin ${origin}`, async () => {
    const { status, message: bytes } = await callTo(serve);
    assertStatus(status, code, origin, message);
    assert.equal(bytes, undefined);
  });
}

test("a content type with subtype or parameters is gRPC", async () => {
  for (const type of ["application/grpc+proto", "application/grpc;charset=utf-8"]) {
    const { status, message } = await callTo(stream =>
      respond(stream, { ":status": 200, "content-type": type }, frame(Buffer.from("x")), {
        "grpc-status": "0",
      }),
    );
    assert.equal(status.code, Code.OK);
    assert.equal(String(message), "x");
  }
});

test("a trailers-only response is the backend's, codes above 16 included", async () => {
  const { status, trailers } = await callTo(stream => {
    stream.respond(
      { ...grpcHeaders, "grpc-status": "1501", "grpc-message": "token%20expired", "x-more": "1" },
      { endStream: true },
    );
  });
  assert.deepEqual(status, { code: 1501, message: "token expired", origin: "backend" });
  assert.equal(new Map(trailers).get("x-more"), "1");
});

test("a call under way finishes after GOAWAY", async () => {
  const { status, message } = await callTo(stream => {
    stream.session?.goaway(constants.NGHTTP2_NO_ERROR);
    setImmediate(() => respond(stream, grpcHeaders, frame(Buffer.from("x")), { "grpc-status": "0" }));
  });
  assert.equal(status.code, Code.OK);
  assert.equal(String(message), "x");
});

test("response metadata that is not ASCII does not fail the call", async () => {
  const { status } = await callTo(stream =>
    respond(stream, { ...grpcHeaders, "x-name": "caf\u00e9" }, frame(Buffer.from("x")), {
      "grpc-status": "0",
    }),
  );
  assert.equal(status.code, Code.OK);
});

/** What a call to a TCP server of this behaviour comes to. */
async function callToSocket(talk: (socket: Socket) => void, timeout: number): Promise<UnaryResult> {
  const sockets = new Set<Socket>();
  const server = createNetServer(socket => {
    sockets.add(socket);
    socket.on("error", () => {});
    talk(socket);
  });
  const channel = openChannel([await listen(server)]);
  const result = await channel.unary(unaryCall({ timeout }));
  await channel.close();
  for (const socket of sockets) socket.destroy();
  server.close();
  await once(server, "close");
  return result;
}

test("a server that does not speak HTTP/2 cannot be connected to", async () => {
  const { status } = await callToSocket(socket => socket.end("SSH-2.0-OpenSSH_9.6\r\n"), 10_000);
  assertStatus(status, Code.UNAVAILABLE, "connect", /No connection established/);
});

test("a server that closes connections at once cannot be connected to", async () => {
  const { status } = await callToSocket(socket => socket.destroy(), 10_000);
  assertStatus(status, Code.UNAVAILABLE, "connect", /No connection established/);
});

test("a call to a server that accepts and sends nothing ends with its deadline", async () => {
  const { status } = await callToSocket(() => {}, 50);
  assertStatus(status, Code.DEADLINE_EXCEEDED, "deadline", /within 50 ms/);
});
