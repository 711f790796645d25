import assert from "node:assert/strict";
import { test } from "node:test";
import { deflateSync, gzipSync } from "node:zlib";
import { Flag, FrameType } from "../../../src/h2/protocol.js";
import { Cancellation } from "../../../src/net/cancellation.js";
import { Code } from "../../../src/status/code.js";
import type { Metadata, UnaryResult } from "../../../src/upstream/channel.js";
import { percentDecode } from "../../../src/upstream/grpc/stream-outcome.js";
import { openChannel, streamPath, unaryCall } from "../backend.js";
import { block, frame, initialBlock, message, okTrailers, settings, startRawServer } from "./raw-server.js";

const { Data, Headers } = FrameType;
const end = Flag.EndHeaders | Flag.EndStream;
const maxMessageSize = 100_000;

/** The result of a call with this response. */
async function callTo(...says: readonly Buffer[]): Promise<UnaryResult> {
  const server = await startRawServer(peer => {
    peer.send(settings());
    peer.onRequest(() => peer.send(...says));
  });
  const channel = openChannel([server.address], { transport: "lean", maxMessageSize });
  const result = await channel.unary(unaryCall());
  await channel.close();
  await server.close();
  return result;
}

function gzipHeaders(): Buffer {
  return frame(
    Headers,
    Flag.EndHeaders,
    1,
    Buffer.concat([initialBlock, block([["grpc-encoding", "gzip"]])]),
  );
}

function trailersOnly(...fields: readonly (readonly [string, string])[]): Buffer {
  return frame(Headers, end, 1, Buffer.concat([initialBlock, block(fields)]));
}

test("a gzip message is decompressed, and an uncompressed one beside it passes as it is", async () => {
  const text = "y".repeat(50_000);
  const { status, message: got } = await callTo(
    gzipHeaders(),
    frame(Data, 0, 1, message(gzipSync(text), 1)),
    okTrailers(1),
  );
  assert.equal(status.code, Code.OK, status.message);
  assert.equal(String(got), text);
  const plain = await callTo(gzipHeaders(), frame(Data, 0, 1, message(Buffer.from("p"))), okTrailers(1));
  assert.equal(String(plain.message), "p");
});

test("a message of exactly the maximum size passes, compressed or not; one byte more fails the call", async () => {
  for (const [size, code] of [
    [maxMessageSize, Code.OK],
    [maxMessageSize + 1, Code.RESOURCE_EXHAUSTED],
  ] as const) {
    const bytes = Buffer.alloc(size, "z");
    const compressed = await callTo(
      gzipHeaders(),
      frame(Data, 0, 1, message(gzipSync(bytes), 1)),
      okTrailers(1),
    );
    assert.equal(compressed.status.code, code, compressed.status.message);
    assert.equal(compressed.message?.length, code === Code.OK ? size : undefined);
    const framed = message(bytes);
    const frames = [];
    for (let at = 0; at < framed.length; at += 16_384)
      frames.push(frame(Data, 0, 1, framed.subarray(at, at + 16_384)));
    const plain = await callTo(frame(Headers, Flag.EndHeaders, 1, initialBlock), ...frames, okTrailers(1));
    assert.equal(plain.status.code, code, plain.status.message);
    if (code !== Code.OK) assert.deepEqual([plain.status.origin, compressed.status.origin], ["size", "size"]);
  }
});

test("a gzip bomb fails the call with RESOURCE_EXHAUSTED and is never inflated as a whole", async () => {
  const bomb = gzipSync(Buffer.alloc(64 << 20)).subarray();
  const { status } = await callTo(gzipHeaders(), ...pieces(message(bomb, 1)), okTrailers(1));
  assert.deepEqual([status.code, status.origin], [Code.RESOURCE_EXHAUSTED, "size"]);
  assert.match(status.message, /decompresses to a size larger than max/);
});

function pieces(bytes: Buffer): Buffer[] {
  const frames = [];
  for (let at = 0; at < bytes.length; at += 16_384)
    frames.push(frame(Data, 0, 1, bytes.subarray(at, at + 16_384)));
  return frames;
}

test("a message that is zlib and not gzip, or cut short, fails the call", async () => {
  for (const bytes of [deflateSync("x"), gzipSync("hello").subarray(0, 12), Buffer.alloc(0)]) {
    const { status } = await callTo(gzipHeaders(), frame(Data, 0, 1, message(bytes, 1)), okTrailers(1));
    assert.deepEqual([status.code, status.origin], [Code.INTERNAL, "protocol"]);
  }
});

test("compressed and plain messages of a stream arrive in order, also when the reader pauses", async () => {
  const texts = Array.from({ length: 30 }, (_, index) => `${index}`.repeat(index * 50 + 1));
  const frames = texts.map((text, index) =>
    frame(Data, 0, 1, index % 3 === 0 ? message(Buffer.from(text)) : message(gzipSync(text), 1)),
  );
  const server = await startRawServer(peer => {
    peer.send(settings());
    peer.onRequest(() => peer.send(gzipHeaders(), ...frames, okTrailers(1)));
  });
  const channel = openChannel([server.address], { transport: "lean" });
  const got: string[] = [];
  const status = await new Promise(resolve => {
    const handle = channel.stream({
      path: streamPath,
      metadata: [],
      timeout: 10_000,
      cancellation: new Cancellation(),
      onMessage: bytes => {
        got.push(String(bytes));
        if (got.length % 4 !== 0) return;
        handle.pause();
        setImmediate(() => handle.resume());
      },
      onEnd: resolve,
    });
    handle.end();
  });
  assert.deepEqual(status, { code: 0, message: "", origin: undefined });
  assert.deepEqual(got, texts);
  await channel.close();
  await server.close();
});

test("response metadata keeps order, repeated names and binary values, padded or not, also joined by commas", async () => {
  const sent = [
    ["x-a", "1"],
    ["x-b", "2, 3"],
    ["x-a", "4"],
    ["x-raw-bin", "/w=="],
    ["x-raw-bin", "/wA,AAE="],
    ["grpc-status-details-bin", "CAU"],
    ["__proto__", "gone"],
    ["content-length", "0"],
  ] as const;
  const { trailers } = await callTo(trailersOnly(["grpc-status", "5"], ...sent));
  const expected: Metadata = [
    ["x-a", "1"],
    ["x-b", "2, 3"],
    ["x-a", "4"],
    ["x-raw-bin", Buffer.from([255])],
    ["x-raw-bin", Buffer.from([255, 0])],
    ["x-raw-bin", Buffer.from([0, 1])],
    ["grpc-status-details-bin", Buffer.from([8, 5])],
  ];
  assert.deepEqual(trailers, expected);
});

for (const [value, code, origin] of [
  ["0", Code.INTERNAL, "protocol"],
  ["5", Code.NOT_FOUND, "backend"],
  ["16", Code.UNAUTHENTICATED, "backend"],
  ["17", 17, "backend"],
  ["999999999", 999_999_999, "backend"],
  ["05", Code.NOT_FOUND, "backend"],
  ["9999999999", Code.INTERNAL, "protocol"],
  ["-1", Code.INTERNAL, "protocol"],
  ["1.5", Code.INTERNAL, "protocol"],
  ["OK", Code.INTERNAL, "protocol"],
  ["", Code.INTERNAL, "protocol"],
] as const) {
  test(`grpc-status "${value}" without a message is code ${code} of origin ${origin}`, async () => {
    const { status } = await callTo(trailersOnly(["grpc-status", value]));
    assert.deepEqual([status.code, status.origin], [code, origin]);
  });
}

for (const [http, code, origin] of [
  [400, Code.INTERNAL, "protocol"],
  [401, Code.UNAUTHENTICATED, "http"],
  [403, Code.PERMISSION_DENIED, "http"],
  [404, Code.UNIMPLEMENTED, "http"],
  [429, Code.UNAVAILABLE, "http"],
  [502, Code.UNAVAILABLE, "http"],
  [503, Code.UNAVAILABLE, "http"],
  [504, Code.UNAVAILABLE, "http"],
  [200, Code.UNKNOWN, "protocol"],
  [204, Code.UNKNOWN, "protocol"],
  [302, Code.UNKNOWN, "protocol"],
  [418, Code.UNKNOWN, "protocol"],
  [500, Code.UNKNOWN, "protocol"],
] as const) {
  test(`HTTP status ${http} without grpc-status is code ${code}`, async () => {
    const { status } = await callTo(frame(Headers, end, 1, block([[":status", String(http)]])));
    assert.deepEqual(status, { code, message: `Received HTTP status code ${http}`, origin });
  });
}

test("grpc-status takes precedence over the HTTP status of a gRPC response", async () => {
  const fields = block([
    [":status", "503"],
    ["content-type", "application/grpc"],
    ["grpc-status", "7"],
  ]);
  const { status } = await callTo(frame(Headers, end, 1, fields));
  assert.deepEqual(status, { code: Code.PERMISSION_DENIED, message: "", origin: "backend" });
});

test("grpc-message is percent-decoded, and malformed escapes stay as they are", () => {
  for (const [text, decoded] of [
    ["plain", "plain"],
    ["t%C3%A4glich%20100%25", "täglich 100%"],
    ["%e2%82%ac", "€"],
    ["50% off", "50% off"],
    ["%", "%"],
    ["%4", "%4"],
    ["%zz%41", "%zzA"],
    ["%ff", "\ufffd"],
  ] as const)
    assert.equal(percentDecode(text), decoded);
});
