import assert from "node:assert/strict";
import { test } from "node:test";
import { ErrorCode, Flag, FrameType } from "../../../src/h2/protocol.js";
import { Cancellation } from "../../../src/net/cancellation.js";
import { Code } from "../../../src/status/code.js";
import { parseTarget } from "../../../src/upstream/balancing/target.js";
import type { UnaryResult } from "../../../src/upstream/channel.js";
import { openSocket } from "../../../src/upstream/connect.js";
import { CallStream } from "../../../src/upstream/grpc/call-stream.js";
import { ClientConnection } from "../../../src/upstream/grpc/connection.js";
import { RequestHeads } from "../../../src/upstream/grpc/request-head.js";
import type { StreamOutcome } from "../../../src/upstream/transport.js";
import { hex } from "../../h2/bytes.js";
import { openChannel, unaryCall, until } from "../backend.js";
import {
  firstDiffers,
  frame,
  goAway,
  initialHeaders,
  message,
  okTrailers,
  respondToAll,
  response,
  settings,
  startRawServer,
} from "./raw-server.js";

const { Data, Headers, RstStream, Ping } = FrameType;
const MaxConcurrentStreams = 3;
const MaxHeaderListSize = 6;

const lean = { transport: "lean" } as const;

function text({ status, message }: UnaryResult): string {
  return status.code === Code.OK ? String(message) : `${status.code} ${status.origin}: ${status.message}`;
}

test("after GOAWAY streams above the last one go to another endpoint, the others finish, and new calls get a new connection", async () => {
  const elsewhere = await startRawServer(respondToAll);
  const server = await startRawServer(
    firstDiffers(peer => {
      peer.onRequest(async stream => {
        if (stream !== 5) return;
        peer.send(goAway(3));
        peer.send(response(1, "first"), response(3, "second"));
      });
    }),
  );
  const channel = openChannel([server.address, elsewhere.address], { ...lean, balancing: "pick_first" });
  const results = await Promise.all([1, 2, 3].map(() => channel.unary(unaryCall())));
  assert.deepEqual(results.map(text), ["first", "second", "connection 0"]);
  assert.equal(elsewhere.peers.length, 1);
  assert.deepEqual(
    results.map(({ attempts }) => attempts),
    [1, 1, 1],
  );
  await server.peers[0]!.closed;
  assert.equal(text(await channel.unary(unaryCall())), "connection 1");
  await channel.close();
  await Promise.all([server.close(), elsewhere.close()]);
});

test("a call above GOAWAY's last stream is sent again on a new connection of the only endpoint", async () => {
  const server = await startRawServer(peer => {
    if (peer.index > 0) respondToAll(peer);
    else {
      peer.send(settings());
      peer.onRequest(() => peer.send(goAway(0, ErrorCode.EnhanceYourCalm, "too_many_pings")));
    }
  });
  const channel = openChannel([server.address], { ...lean, keepalive: { time: 10_000, timeout: 10_000 } });
  const result = await channel.unary(unaryCall());
  assert.deepEqual([text(result), result.attempts], ["connection 1", 1]);
  assert.equal(server.peers.length, 2);
  await channel.close();
  await server.close();
});

test("a graceful GOAWAY in two steps loses no call", async () => {
  const server = await startRawServer(
    firstDiffers(peer => {
      peer.onRequest(stream => {
        peer.send(goAway(0x7fff_ffff));
        setImmediate(() => peer.send(goAway(stream), response(stream, "last")));
      });
    }),
  );
  const channel = openChannel([server.address], lean);
  assert.equal(text(await channel.unary(unaryCall())), "last");
  assert.equal(text(await channel.unary(unaryCall())), "connection 1");
  await channel.close();
  await server.close();
});

test("calls beyond MAX_CONCURRENT_STREAMS open up to eight connections, then wait for a free stream", async () => {
  let open = 0;
  const waiting: (() => void)[] = [];
  const server = await startRawServer(peer => {
    peer.send(settings([MaxConcurrentStreams, 2]));
    let here = 0;
    peer.onRequest(stream => {
      here++;
      open++;
      assert.ok(here <= 2, `${here} streams on one connection`);
      waiting.push(() => {
        here--;
        peer.send(response(stream));
      });
    });
  });
  const channel = openChannel([server.address], lean);
  const calls = Array.from({ length: 40 }, () => channel.unary(unaryCall()));
  await until(() => open === 16);
  assert.equal(server.peers.length, 8);
  while (open < 40 || waiting.length > 0) {
    for (const release of waiting.splice(0)) release();
    await new Promise(resolve => setImmediate(resolve));
  }
  for (const result of await Promise.all(calls)) assert.equal(text(result), "x");
  assert.equal(server.peers.length, 8);
  await channel.close();
  await server.close();
});

test("a call that waits for a stream can be cancelled and is never sent", async () => {
  const requests: number[] = [];
  const server = await startRawServer(peer => {
    peer.send(settings([MaxConcurrentStreams, 0]));
    peer.onRequest(stream => {
      requests.push(stream);
      peer.send(response(stream, "now"));
    });
  });
  const channel = openChannel([server.address], lean);
  const cancellation = new Cancellation();
  const cancelled = channel.unary(unaryCall({ cancellation }));
  const waiting = channel.unary(unaryCall());
  const first = await server.first;
  await until(() => channel.state()[0]?.state === "ready");
  cancellation.cancel();
  assert.equal((await cancelled).status.origin, "cancelled");
  first.send(settings([MaxConcurrentStreams, 1]));
  assert.equal(text(await waiting), "now");
  assert.equal(requests.length, 1);
  await channel.close();
  await server.close();
});

test("a call that no connection takes waits until its deadline, and new connections are opened with growing pauses", async () => {
  const server = await startRawServer(peer => {
    peer.send(settings([MaxConcurrentStreams, 0]));
    setImmediate(() => peer.send(goAway(0)));
  });
  const channel = openChannel([server.address], lean);
  const { status } = await channel.unary(unaryCall({ timeout: 2_000 }));
  assert.deepEqual([status.code, status.origin], [Code.DEADLINE_EXCEEDED, "deadline"]);
  assert.equal(channel.state()[0]?.state, "failing");
  assert.ok(server.peers.length <= 8, `${server.peers.length} connections`);
  await channel.close();
  await server.close();
});

for (const [what, first] of [
  ["HTTP/1.1", Buffer.from("HTTP/1.1 400 Bad Request\r\n\r\n")],
  ["an ack of settings", frame(FrameType.Settings, Flag.Ack, 0)],
  ["a ping", frame(Ping, 0, 0, Buffer.alloc(8))],
] as const) {
  test(`a server that begins with ${what} cannot be connected to`, async () => {
    const server = await startRawServer(peer => peer.send(first));
    const channel = openChannel([server.address], lean);
    const { status } = await channel.unary(unaryCall());
    assert.deepEqual([status.code, status.origin], [Code.UNAVAILABLE, "connect"]);
    assert.match(status.message, /does not speak HTTP\/2/);
    await channel.close();
    await server.close();
  });
}

test("a PING is acknowledged with its payload", async () => {
  const payload = hex("0102030405060708");
  const server = await startRawServer(peer => {
    peer.send(settings(), frame(Ping, 0, 0, payload));
    peer.onRequest(async stream => {
      await peer.seen(({ type, flags, payload: got }) => type === Ping && flags === 1 && got.equals(payload));
      peer.send(response(stream));
    });
  });
  const channel = openChannel([server.address], lean);
  assert.equal(text(await channel.unary(unaryCall())), "x");
  await channel.close();
  await server.close();
});

test("a connection lives while its pings are acknowledged, and is closed with its calls when they are not", async () => {
  let pings = 0;
  const server = await startRawServer(peer => {
    peer.send(settings());
    peer.onFrame(({ type, payload }) => {
      if (type !== Ping) return;
      pings++;
      if (pings <= 3) peer.send(frame(Ping, Flag.Ack, 0, payload));
    });
  });
  const channel = openChannel([server.address], { ...lean, keepalive: { time: 20, timeout: 500 } });
  const { status } = await channel.unary(unaryCall());
  assert.deepEqual([status.code, status.origin], [Code.UNAVAILABLE, "lost"]);
  assert.match(status.message, /no acknowledgement of a ping within 500 ms/);
  assert.ok(pings >= 4, `${pings} pings`);
  await channel.close();
  await server.close();
});

test("a cancelled call is reset with CANCEL, and its late response is ignored", async () => {
  const server = await startRawServer(peer => {
    peer.send(settings());
    peer.onRequest(async stream => {
      if (stream === 1) {
        peer.send(initialHeaders(1));
        await peer.seen(({ type }) => type === RstStream);
        peer.send(frame(Data, 0, 1, message(Buffer.from("late"))), okTrailers(1));
      } else peer.send(response(stream, "fine"));
    });
  });
  const channel = openChannel([server.address], lean);
  const cancellation = new Cancellation();
  const call = channel.unary(unaryCall({ cancellation }));
  const first = await server.first;
  await first.seen(({ type }) => type === Headers);
  cancellation.cancel();
  assert.equal((await call).status.origin, "cancelled");
  const reset = await first.seen(({ type }) => type === RstStream);
  assert.equal(reset.payload.readUInt32BE(), ErrorCode.Cancel);
  assert.equal(text(await channel.unary(unaryCall())), "fine");
  assert.equal(server.peers.length, 1);
  await channel.close();
  await server.close();
});

test("a response before the end of the request ends the call, and the rest of the request is not sent", async () => {
  const server = await startRawServer(peer => {
    peer.send(settings([4, 10]));
    peer.onRequest(stream => peer.send(response(stream, "early")));
  });
  const channel = openChannel([server.address], lean);
  assert.equal(text(await channel.unary(unaryCall({ request: Buffer.alloc(1000) }))), "early");
  const reset = await (await server.first).seen(({ type }) => type === RstStream);
  assert.equal(reset.payload.readUInt32BE(), ErrorCode.NoError);
  await channel.close();
  await server.close();
});

test("metadata larger than the server's SETTINGS_MAX_HEADER_LIST_SIZE fails the call before it is sent", async () => {
  let requests = 0;
  const server = await startRawServer(peer => {
    peer.send(settings([MaxHeaderListSize, 2000]));
    peer.onRequest(stream => {
      requests++;
      peer.send(response(stream));
    });
  });
  const channel = openChannel([server.address], lean);
  const { status } = await channel.unary(unaryCall({ metadata: [["x-large", "v".repeat(2000)]] }));
  assert.deepEqual([status.code, status.origin], [Code.RESOURCE_EXHAUSTED, "request"]);
  assert.equal(text(await channel.unary(unaryCall())), "x");
  assert.equal(requests, 1);
  const huge = await channel.unary(unaryCall({ metadata: [["x-huge", "v".repeat(70_000)]] }));
  assert.equal(huge.status.origin, "request");
  await channel.close();
  await server.close();
});

test("metadata larger than a frame is sent in CONTINUATION frames", async () => {
  const server = await startRawServer(respondToAll);
  const channel = openChannel([server.address], lean);
  const metadata = [
    ["x-a", "a".repeat(20_000)],
    ["x-b", "b".repeat(20_000)],
  ] as const;
  assert.equal(text(await channel.unary(unaryCall({ metadata }))), "connection 0");
  const { frames } = server.peers[0]!;
  const start = frames.findIndex(({ type }) => type === Headers);
  const run = frames.slice(start, start + 3);
  assert.deepEqual(
    run.map(({ type }) => type),
    [1, 9, 9],
  );
  assert.deepEqual(
    run.map(({ flags }) => flags),
    [0, 0, Flag.EndHeaders],
  );
  assert.equal(Buffer.concat(run.map(({ payload }) => payload)).includes("b".repeat(20_000)), true);
  await channel.close();
  await server.close();
});

test("a connection whose stream ids run out takes no new calls, and those under way finish", async () => {
  const server = await startRawServer(peer => {
    peer.send(settings());
    peer.onRequest(stream => peer.send(response(stream)));
  });
  const target = parseTarget(server.address);
  assert.ok(target.kind === "address");
  const heads = new RequestHeads({ secure: false, authority: "a", userAgent: "u" });
  let draining = 0;
  let onReady: () => void = () => {};
  const ready = new Promise<void>(resolve => {
    onReady = resolve;
  });
  const host = {
    onReady,
    onRoom: () => {},
    onDraining: () => {
      draining++;
    },
    onRefused: () => {},
    onTooManyPings: () => {},
    onClosed: () => {},
  };
  const connection = new ClientConnection(
    handlers => openSocket(target.address, target, undefined, handlers),
    undefined,
    host,
    0x7fff_ffff - 2 ** 21,
  );
  await ready;
  const ending = await new Promise<StreamOutcome>(resolve => {
    const call = { path: "/a/b", metadata: [], timeout: undefined, previousAttempts: 0 };
    const listener = { onHeaders: () => {}, onMessage: () => {}, onWritten: () => {}, onEnd: resolve };
    const stream = new CallStream(call, listener, 1000, heads.block("/a/b"), 100);
    connection.adopt(stream);
    stream.send(Buffer.from("x"));
    stream.end();
    stream.read();
  });
  assert.equal(ending.status.code, Code.OK);
  assert.equal(draining, 1);
  await server.peers[0]!.closed;
  await server.close();
});
