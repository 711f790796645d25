import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { Cancellation } from "../../src/net/cancellation.js";
import { Code } from "../../src/status/code.js";
import type { CallStatus, Channel, Metadata } from "../../src/upstream/channel.js";
import { openChannel, unaryCall, until } from "../upstream/backend.js";
import { buildCppPeer, type CppPeer, startCppPeer } from "./cpp-peer.js";

const folder = mkdtempSync(join(tmpdir(), "protogate-cpp-"));
const file = join(folder, "peer");
const missing = await buildCppPeer(file);

interface Stream {
  readonly path?: string;
  readonly metadata?: Metadata;
  readonly messages: readonly Uint8Array[];
}

/** Opens a stream, sends the messages as fast as it takes them, and gathers what comes. */
function converse(channel: Channel, { path = "/peer/Echo", metadata = [], messages }: Stream) {
  const got: Uint8Array[] = [];
  return new Promise<{ status: CallStatus; got: Uint8Array[]; trailers: Metadata }>(resolve => {
    let next = 0;
    const feed = (): void => {
      while (next < messages.length) if (!handle.send(messages[next++]!)) return;
      handle.end();
    };
    const handle = channel.stream({
      path,
      metadata,
      timeout: 30_000,
      cancellation: new Cancellation(),
      onMessage: message => got.push(message),
      onDrain: feed,
      onEnd: (status, trailers) => resolve({ status, got, trailers }),
    });
    feed();
  });
}

describe("a C++ backend", { skip: missing ?? false }, () => {
  let peer: CppPeer;
  let channel: Channel;
  before(async () => {
    peer = await startCppPeer(file);
    channel = openChannel([peer.address], { transport: "lean", maxMessageSize: 64 << 20 });
  });
  after(async () => {
    await channel.close();
    await peer.close();
    rmSync(folder, { recursive: true });
  });

  const call = (path: string, metadata: Metadata = [], more: Partial<Parameters<typeof unaryCall>[0]> = {}) =>
    channel.unary(unaryCall({ path, metadata, ...more }));

  test("a C++ backend responds to concurrent calls", async () => {
    const results = await Promise.all(Array.from({ length: 500 }, () => call("/peer/Echo")));
    for (const { status, message } of results) {
      assert.equal(status.code, Code.OK, status.message);
      assert.equal(String(message), "hello");
    }
  });

  test("a C++ backend receives and sends metadata of both kinds", async () => {
    const bytes = Buffer.from([0, 255, 3]);
    const { headers, trailers } = await call("/peer/Echo", [["x-echo-bin", bytes]]);
    assert.deepEqual(new Map(headers).get("x-echo-bin"), bytes);
    assert.equal(new Map(headers).get("x-peer"), "cpp");
    assert.equal(new Map(trailers).get("x-tail"), "t");
  });

  test("a C++ backend fails with a code, text beyond ASCII and details", async () => {
    const details = Buffer.from([8, 5]);
    const { status, message, trailers } = await call("/peer/Echo", [
      ["x-code", "5"],
      ["x-message", "nicht da: 100%"],
      ["x-details-bin", details],
    ]);
    assert.deepEqual(status, { code: Code.NOT_FOUND, message: "nicht da: 100%", origin: "backend" });
    assert.equal(message, undefined);
    assert.deepEqual(new Map(trailers).get("grpc-status-details-bin"), details);
  });

  test("a C++ backend fails with every code, and codes beyond gRPC's own are kept", async () => {
    for (const code of [...Array.from({ length: 16 }, (_, index) => index + 1), 17, 1501, 20_001]) {
      const { status } = await call("/peer/Echo", [["x-code", String(code)]]);
      assert.deepEqual([status.code, status.origin], [code, "backend"]);
    }
  });

  test("a C++ backend compresses with gzip", async () => {
    const request = Buffer.alloc(300_000, "compress me ");
    const { status, message } = await call("/peer/Echo", [["x-gzip", "1"]], { request });
    assert.equal(status.code, Code.OK, status.message);
    assert.ok(message !== undefined && request.equals(message));
  });

  test("a C++ backend receives and sends messages of 16 MiB concurrently", async () => {
    const request = Buffer.alloc(16 << 20, "large");
    const results = await Promise.all(
      Array.from({ length: 4 }, () => call("/peer/Echo", [], { request, timeout: 60_000 })),
    );
    for (const { status, message } of results) {
      assert.equal(status.code, Code.OK, status.message);
      assert.ok(message !== undefined && request.equals(message));
    }
  });

  test("a C++ backend streams responses", async () => {
    const metadata = [["x-copies", "5000"]] as const;
    const { status, got } = await converse(channel, { metadata, messages: [Buffer.alloc(100, "m")] });
    assert.equal(status.code, Code.OK, status.message);
    assert.equal(got.length, 5000);
  });

  test("a C++ backend receives a client stream", async () => {
    const messages = Array.from({ length: 500 }, () => Buffer.alloc(10_000, "m"));
    const { status, got } = await converse(channel, { path: "/peer/Count", messages });
    assert.equal(status.code, Code.OK, status.message);
    assert.deepEqual(got.map(String), ["500 5000000"]);
  });

  test("a C++ backend streams in both directions, compressed or not", async () => {
    const messages = Array.from({ length: 50 }, (_, index) => Buffer.alloc(index * 1000, "s"));
    for (const metadata of [
      [["x-copies", "3"]],
      [
        ["x-copies", "3"],
        ["x-gzip", "1"],
      ],
    ] as const) {
      const { status, got } = await converse(channel, { metadata, messages });
      assert.equal(status.code, Code.OK, status.message);
      assert.deepEqual(
        got.map(({ length }) => length),
        messages.flatMap(({ length }) => [length, length, length]),
      );
    }
  });

  test("a C++ backend fails a stream after its messages", async () => {
    const metadata = [["x-code", "10"]] as const;
    const messages = [Buffer.from("a"), Buffer.from("b")];
    const { status, got, trailers } = await converse(channel, { metadata, messages });
    assert.deepEqual([status.code, status.origin], [Code.ABORTED, "backend"]);
    assert.deepEqual(got.map(String), ["a", "b"]);
    assert.equal(new Map(trailers).get("x-tail"), "t");
  });

  test("a C++ backend receives the deadline of a call", async () => {
    const { message } = await call("/peer/Deadline", [], { timeout: 5_000 });
    const left = Number(message);
    assert.ok(left > 0 && left <= 5_000, String(left));
  });

  test("a C++ backend notices deadlines and cancellations", async () => {
    const silent = [["x-silent", "1"]] as const;
    const cancelled = async () => Number((await call("/peer/Cancelled")).message);
    const before = await cancelled();
    const late = await call("/peer/Echo", silent, { timeout: 50 });
    // Whichever of both clocks is first.
    assert.equal(late.status.code, Code.DEADLINE_EXCEEDED);
    const cancellation = new Cancellation();
    const given = call("/peer/Echo", silent, { cancellation });
    await call("/peer/Echo");
    cancellation.cancel();
    assert.equal((await given).status.code, Code.CANCELLED);
    for (let told = before; told < before + 2; ) told = await cancelled();
    await until(() => channel.state()[0]?.pending === 0);
  });
});
