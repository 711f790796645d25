import assert from "node:assert/strict";
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { after, before, describe, test } from "node:test";
import protobuf from "protobufjs";
import { Cancellation } from "../../../src/net/cancellation.js";
import { Code } from "../../../src/status/code.js";
import type { CallStatus, Channel } from "../../../src/upstream/channel.js";
import { fetchDescriptors } from "../../../src/upstream/reflection/reflection.js";
import { buildPeer, type Peer, startPeer, whyNoGo } from "../../peers/go-peer.js";
import { listen, openChannel, streamPath, unaryCall, until } from "../backend.js";

const lean = { transport: "lean", maxMessageSize: 64 << 20 } as const;

/** Sends these messages, each when the one before was answered `copies` times, and gathers what comes. */
function converse(channel: Channel, path: string, messages: readonly Buffer[], copies: number) {
  const got: Buffer[] = [];
  return new Promise<{ status: CallStatus; got: Buffer[] }>(resolve => {
    let next = 0;
    const send = () => {
      const message = messages[next++];
      if (message === undefined) handle.end();
      else handle.send(message);
    };
    const handle = channel.stream({
      path,
      metadata: [],
      timeout: 30_000,
      cancellation: new Cancellation(),
      onMessage: bytes => {
        got.push(Buffer.from(bytes));
        if (got.length % copies === 0) send();
      },
      onEnd: status => resolve({ status, got }),
    });
    send();
  });
}

describe("grpc-go", { skip: (await whyNoGo()) ?? false }, () => {
  let program: string;
  let peer: Peer;
  let channel: Channel;
  before(async () => {
    program = await buildPeer();
    peer = await startPeer(program, "v1");
    channel = openChannel([`127.0.0.1:${peer.port}`], lean);
  });
  after(async () => {
    await channel.close();
    await peer.close();
  });

  const echo = (blob: Uint8Array) => protobuf.Writer.create().uint32(58).bytes(blob).finish();

  test("grpc-go responds to concurrent calls", async () => {
    const calls = Array.from({ length: 500 }, () =>
      channel.unary(unaryCall({ path: "/grpc.health.v1.Health/Check", request: Buffer.alloc(0) })),
    );
    for (const { status, message } of await Promise.all(calls)) {
      assert.equal(status.code, Code.OK, status.message);
      assert.deepEqual([...(message ?? [])], [8, 1]);
    }
  });

  test("grpc-go receives and sends messages near its limit of 4 MiB concurrently", async () => {
    const blob = Buffer.alloc((4 << 20) - 100, "b");
    const calls = Array.from({ length: 8 }, () =>
      channel.unary(unaryCall({ path: "/peer.v1.PeerService/Echo", request: echo(blob), timeout: 60_000 })),
    );
    for (const { status, message } of await Promise.all(calls)) {
      assert.equal(status.code, Code.OK, status.message);
      assert.ok((message?.length ?? 0) > blob.length);
      assert.ok(Buffer.from(message ?? []).includes(blob.subarray(0, 1000)));
    }
  });

  test("grpc-go refuses larger messages with its own error", async () => {
    const { status } = await channel.unary(
      unaryCall({ path: "/peer.v1.PeerService/Echo", request: echo(Buffer.alloc(5 << 20)) }),
    );
    assert.deepEqual([status.code, status.origin], [Code.RESOURCE_EXHAUSTED, "backend"]);
  });

  test("grpc-go responds UNIMPLEMENTED to an unknown method", async () => {
    const { status } = await channel.unary(unaryCall({ path: "/peer.v1.PeerService/None" }));
    assert.deepEqual([status.code, status.origin], [Code.UNIMPLEMENTED, "backend"]);
  });

  test("grpc-go reflects over a bidirectional stream", async () => {
    const { services } = await fetchDescriptors(channel, { timeout: 10_000 });
    assert.ok(services.includes("peer.v1.PeerService"), services.join());
  });

  test("grpc-go is called again after a restart", async () => {
    const own = await startPeer(program, "none");
    const other = openChannel([`127.0.0.1:${own.port}`], lean);
    const check = unaryCall({ path: "/grpc.health.v1.Health/Check", request: Buffer.alloc(0) });
    assert.equal((await other.unary(check)).status.code, Code.OK);
    await own.close();
    await until(() => other.state()[0]?.state !== "ready");
    assert.deepEqual((await other.unary(check)).status.origin, "connect");
    await other.close();
  });
});

const noPython =
  spawnSync("python3", ["-c", "import grpc"]).status === 0 ? false : "python3 with grpcio is not installed";

describe("Python grpcio", { skip: noPython }, () => {
  let child: ChildProcess;
  let channel: Channel;
  before(async () => {
    child = spawn("python3", [join(import.meta.dirname, "python-server.py")], {
      stdio: ["pipe", "pipe", "inherit"],
    });
    const [port] = await once(createInterface(child.stdout!), "line");
    channel = openChannel([`127.0.0.1:${port}`], lean);
  });
  after(async () => {
    await channel.close();
    child.stdin?.end();
    await once(child, "exit");
  });

  test("grpcio responds with metadata of both kinds", async () => {
    const metadata = [["x-raw-bin", new Uint8Array([0, 255, 3])]] as const;
    const result = await channel.unary(unaryCall({ metadata }));
    assert.equal(String(result.message), "hello");
    assert.deepEqual(new Map(result.headers).get("x-head-bin"), Buffer.from([0, 255, 3]));
    assert.equal(new Map(result.trailers).get("x-tail"), "t");
  });

  test("grpcio compresses with gzip", async () => {
    const request = Buffer.alloc(300_000, "compress me ");
    const { status, message } = await channel.unary(unaryCall({ request, metadata: [["x-gzip", "1"]] }));
    assert.equal(status.code, Code.OK, status.message);
    assert.deepEqual(message, request);
  });

  test("grpcio fails with a status, text beyond ASCII and details", async () => {
    const { status, trailers } = await channel.unary(unaryCall({ metadata: [["x-fail", "1"]] }));
    assert.deepEqual(status, { code: Code.NOT_FOUND, message: "nicht da: täglich", origin: "backend" });
    assert.deepEqual(new Map(trailers).get("grpc-status-details-bin"), Buffer.from([8, 5]));
  });

  test("grpcio receives and sends messages of 10 MiB", async () => {
    const request = Buffer.alloc(10 << 20, "large");
    const { status, message } = await channel.unary(unaryCall({ request, timeout: 30_000 }));
    assert.equal(status.code, Code.OK, status.message);
    assert.ok(message !== undefined && request.equals(message));
  });

  test("grpcio streams in both directions", async () => {
    const messages = Array.from({ length: 50 }, (_, index) => Buffer.alloc(index * 1000, "s"));
    const { status, got } = await converse(channel, streamPath, messages, 3);
    assert.equal(status.code, Code.OK, status.message);
    assert.deepEqual(
      got.map(({ length }) => length),
      messages.flatMap(({ length }) => [length, length, length]),
    );
  });

  test("grpcio responds to concurrent calls", async () => {
    const results = await Promise.all(Array.from({ length: 300 }, () => channel.unary(unaryCall())));
    for (const { status } of results) assert.equal(status.code, Code.OK, status.message);
  });
});

const noNghttpd = spawnSync("nghttpd", ["--version"]).status === 0 ? false : "nghttpd is not installed";

describe("nghttpd", { skip: noNghttpd }, () => {
  let folder: string;
  let child: ChildProcess;
  let channel: Channel;
  before(async () => {
    folder = mkdtempSync(join(tmpdir(), "protogate-nghttpd-"));
    writeFileSync(join(folder, "page"), "x".repeat(100_000));
    // It takes no port 0: one that was free a moment ago is most likely free still.
    const probe = createServer();
    const address = await listen(probe);
    probe.close();
    await once(probe, "close");
    const port = address.split(":")[1] ?? "";
    const args = [
      "--no-tls",
      "--address=127.0.0.1",
      `--htdocs=${folder}`,
      "--max-concurrent-streams=3",
      "--padding=100",
      port,
    ];
    child = spawn("nghttpd", args, { stdio: "ignore" });
    channel = openChannel([address], { ...lean, balancing: "pick_first" });
    // The call fails where it does not listen yet; the transport tries again by itself.
    await channel.unary(unaryCall());
    await until(() => channel.state()[0]?.state === "ready");
  });
  after(async () => {
    await channel.close();
    child.kill();
    await once(child, "exit");
    rmSync(folder, { recursive: true });
  });

  test("nghttpd: responses without gRPC are mapped by their HTTP status, with padding and few concurrent streams", async () => {
    const calls = Array.from({ length: 100 }, () => channel.unary(unaryCall({ path: "/none" })));
    for (const { status } of await Promise.all(calls))
      assert.deepEqual(status, {
        code: Code.UNIMPLEMENTED,
        message: "Received HTTP status code 404",
        origin: "http",
      });
  });

  test("nghttpd: a page instead of a gRPC response fails with its content type", async () => {
    const { status } = await channel.unary(unaryCall({ path: "/page", request: Buffer.alloc(200_000) }));
    assert.deepEqual([status.code, status.origin], [Code.INTERNAL, "protocol"]);
    assert.match(status.message, /content type/);
  });
});
