import assert from "node:assert/strict";
import { test } from "node:test";
import { ErrorCode, FrameType } from "../../../src/h2/protocol.js";
import { Cancellation } from "../../../src/net/cancellation.js";
import { Code } from "../../../src/status/code.js";
import type { CallStatus, Channel, StreamHandle } from "../../../src/upstream/channel.js";
import { streamWindow } from "../../../src/upstream/grpc/response-stream.js";
import { openChannel, streamPath, unaryCall } from "../backend.js";
import {
  frame,
  initialHeaders,
  message,
  okTrailers,
  type RawPeer,
  response,
  settings,
  startRawServer,
  uint32,
} from "./raw-server.js";

const { Data, RstStream, Settings, GoAway, WindowUpdate, Ping } = FrameType;
const InitialWindow = 4;

/** Content of the DATA of a stream so far. */
function content(peer: RawPeer, stream: number): Buffer {
  return Buffer.concat(
    peer.frames
      .filter(({ type, stream: id }) => type === Data && id === stream)
      .map(({ payload }) => payload),
  );
}

/** How much the client has let us send so far by WINDOW_UPDATE. */
function granted(peer: RawPeer, stream: number): number {
  return peer.frames
    .filter(({ type, stream: id }) => type === WindowUpdate && id === stream)
    .reduce((sum, { payload }) => sum + payload.readUInt32BE(), 0);
}

/** Resolves once the client has taken in all that was sent to it before, and has said what it had to say. */
async function roundTrip(peer: RawPeer): Promise<void> {
  const mark = Buffer.alloc(8);
  mark.writeUInt32BE(peer.frames.length);
  peer.send(frame(Ping, 0, 0, mark));
  await peer.seen(({ type, payload }) => type === Ping && payload.equals(mark));
}

function openStream(
  channel: Channel,
  onMessage: (message: Uint8Array) => void = () => {},
): { handle: StreamHandle; ended: Promise<CallStatus> } {
  let resolve: (status: CallStatus) => void;
  const ended = new Promise<CallStatus>(done => {
    resolve = done;
  });
  const handle = channel.stream({
    path: streamPath,
    metadata: [],
    timeout: 10_000,
    cancellation: new Cancellation(),
    onMessage,
    onEnd: status => resolve(status),
  });
  return { handle, ended };
}

test("a request is sent within the stream's window, however small", async () => {
  const server = await startRawServer(peer => {
    peer.send(settings([InitialWindow, 1]));
    peer.onFrame(({ type, stream, payload, flags }) => {
      if (type !== Data) return;
      assert.ok(payload.length <= 1);
      if ((flags & 1) !== 0) peer.send(response(stream));
      else peer.send(frame(WindowUpdate, 0, stream, uint32(1)));
    });
  });
  const channel = openChannel([server.address], { transport: "lean" });
  const { status } = await channel.unary(unaryCall({ request: Buffer.from("hello") }));
  assert.equal(status.code, Code.OK, status.message);
  assert.deepEqual(content(server.peers[0]!, 1), message(Buffer.from("hello")));
  await channel.close();
  await server.close();
});

test("requests wait for the connection's window and share it", async () => {
  const size = 50_000;
  const server = await startRawServer(peer => {
    peer.send(settings([InitialWindow, 1 << 20]));
    let open = 0;
    peer.onRequest(async () => {
      if (++open < 3) return;
      const sum = () => [1, 3, 5].reduce((total, id) => total + content(peer, id).length, 0);
      await roundTrip(peer);
      await roundTrip(peer);
      assert.equal(sum(), 65_535);
      peer.send(frame(WindowUpdate, 0, 0, uint32(1 << 20)));
    });
    peer.onFrame(({ type, flags, stream }) => {
      if (type === Data && (flags & 1) !== 0) peer.send(response(stream));
    });
  });
  const channel = openChannel([server.address], { transport: "lean" });
  const request = Buffer.alloc(size, "r");
  const results = await Promise.all([1, 2, 3].map(() => channel.unary(unaryCall({ request }))));
  for (const { status } of results) assert.equal(status.code, Code.OK, status.message);
  for (const id of [1, 3, 5]) assert.deepEqual(content(server.peers[0]!, id), message(request));
  await channel.close();
  await server.close();
});

test("a send window that SETTINGS made negative stops the request until it is positive again", async () => {
  const server = await startRawServer(peer => {
    peer.send(settings([InitialWindow, 1000]));
    peer.onRequest(async stream => {
      await peer.seen(({ type }) => type === Data);
      await roundTrip(peer);
      assert.equal(content(peer, stream).length, 1000);
      peer.send(settings([InitialWindow, 0]), frame(WindowUpdate, 0, stream, uint32(1000)));
      await roundTrip(peer);
      await roundTrip(peer);
      assert.equal(content(peer, stream).length, 1000);
      peer.send(settings([InitialWindow, 100]));
      await peer.seen(({ type, payload }) => type === Data && payload.length === 100);
      peer.send(settings([InitialWindow, 100_000]));
    });
    peer.onFrame(({ type, flags, stream }) => {
      if (type === Data && (flags & 1) !== 0) peer.send(response(stream));
    });
  });
  const channel = openChannel([server.address], { transport: "lean" });
  const { status } = await channel.unary(unaryCall({ request: Buffer.alloc(5000) }));
  assert.equal(status.code, Code.OK, status.message);
  assert.equal(content(server.peers[0]!, 1).length, 5005);
  await channel.close();
  await server.close();
});

test("large requests are cut into frames of the server's SETTINGS_MAX_FRAME_SIZE", async () => {
  const server = await startRawServer(peer => {
    peer.send(settings([InitialWindow, 1 << 20], [5, 40_000]), frame(WindowUpdate, 0, 0, uint32(1 << 20)));
    peer.onFrame(({ type, flags, stream }) => {
      if (type === Data && (flags & 1) !== 0) peer.send(response(stream));
    });
  });
  const channel = openChannel([server.address], { transport: "lean" });
  await channel.unary(unaryCall({ request: Buffer.alloc(100_000) }));
  const sizes = server.peers[0]!.frames.filter(({ type }) => type === Data).map(
    ({ payload }) => payload.length,
  );
  assert.equal(Math.max(...sizes), 40_000);
  assert.equal(
    sizes.reduce((a, b) => a + b),
    100_005,
  );
  await channel.close();
  await server.close();
});

test("a stream that is not read stops its server by flow control and does not stop the other streams", async () => {
  const chunk = message(Buffer.alloc(16_000, "m"));
  let received = 0;
  let onFilled: () => void;
  const filled = new Promise<void>(resolve => {
    onFilled = resolve;
  });
  const server = await startRawServer(peer => {
    peer.send(settings());
    peer.onRequest(async stream => {
      if (stream !== 1) {
        peer.send(response(stream));
        return;
      }
      peer.send(initialHeaders(1));
      let sent = 0;
      // All that the window holds, and what becomes free meanwhile.
      while (sent + chunk.length <= streamWindow + granted(peer, 1)) {
        peer.send(frame(Data, 0, 1, chunk));
        sent += chunk.length;
        await roundTrip(peer);
        if (sent > 3 * streamWindow) break;
      }

      assert.ok(sent <= streamWindow + 2 * chunk.length, `${sent} bytes were let in`);
      peer.send(okTrailers(1));
      onFilled();
    });
  });
  const channel = openChannel([server.address], { transport: "lean" });
  const { handle, ended } = openStream(channel, () => {
    received++;
    if (received === 1) handle.pause();
  });
  handle.end();
  await (await server.first).seen(({ type }) => type === Data);
  for (let call = 0; call < 5; call++) assert.equal((await channel.unary(unaryCall())).status.code, Code.OK);
  await filled;
  assert.equal(received, 1);
  handle.resume();
  assert.equal((await ended).code, Code.OK);
  assert.ok(received > 10, `${received} messages`);
  await channel.close();
  await server.close();
});

test("the window is widened at once for a message larger than it", async () => {
  const size = 3 * 1024 * 1024;
  const server = await startRawServer(peer => {
    peer.send(settings());
    peer.onRequest(async stream => {
      const whole = message(Buffer.alloc(size, "m"));
      peer.send(initialHeaders(stream), frame(Data, 0, stream, whole.subarray(0, 16_384)));
      await peer.seen(({ type, stream: id }) => type === WindowUpdate && id === stream);
      assert.ok(streamWindow + granted(peer, stream) >= whole.length);
      for (let at = 16_384; at < whole.length; at += 16_384)
        peer.send(frame(Data, 0, stream, whole.subarray(at, at + 16_384)));
      peer.send(okTrailers(stream));
    });
  });
  const channel = openChannel([server.address], { transport: "lean" });
  const { status, message: got } = await channel.unary(unaryCall());
  assert.equal(status.code, Code.OK, status.message);
  assert.equal(got?.length, size);
  assert.ok(got?.every(byte => byte === 0x6d));
  await channel.close();
  await server.close();
});

test("a message that is announced and never sent allocates no memory for its size", async () => {
  const max = 1 << 30;
  const server = await startRawServer(peer => {
    peer.send(settings());
    const head = Buffer.concat([Buffer.from([0]), uint32(max)]);
    peer.onRequest(stream => peer.send(initialHeaders(stream), frame(Data, 0, stream, head)));
  });
  const channel = openChannel([server.address], { transport: "lean", maxMessageSize: max });
  const before = process.memoryUsage().arrayBuffers;
  const cancellations = Array.from({ length: 20 }, () => new Cancellation());
  const calls = cancellations.map(cancellation => channel.unary(unaryCall({ cancellation })));
  await (await server.first).seen(({ type, stream }) => type === WindowUpdate && stream !== 0);
  await new Promise(resolve => setImmediate(resolve));
  const grown = process.memoryUsage().arrayBuffers - before;
  assert.ok(grown < 32 << 20, `${grown} bytes`);
  for (const cancellation of cancellations) cancellation.cancel();
  await Promise.all(calls);
  await channel.close();
  await server.close();
});

test("DATA beyond the stream's window fails the call", async () => {
  const server = await startRawServer(peer => {
    peer.send(settings());
    peer.onRequest(stream => {
      if (stream !== 1) {
        peer.send(response(stream, "fine"));
        return;
      }
      peer.send(initialHeaders(1));
      // The second message is not asked for while the first is held.
      const part = frame(Data, 0, 1, message(Buffer.alloc(16_000)));
      for (let sent = 0; sent <= 2 * streamWindow; sent += 16_005) peer.send(part);
    });
  });
  const channel = openChannel([server.address], { transport: "lean" });
  const { handle, ended } = openStream(channel);
  handle.pause();
  const first = await server.first;
  const reset = await first.seen(({ type }) => type === RstStream);
  assert.equal(reset.payload.readUInt32BE(), ErrorCode.FlowControlError);
  assert.equal(String((await channel.unary(unaryCall())).message), "fine");
  handle.resume();
  const status = await ended;
  assert.deepEqual([status.code, status.origin], [Code.INTERNAL, "protocol"]);
  await channel.close();
  await server.close();
});

test("DATA of a closed stream counts in the connection's window and is granted again", async () => {
  const server = await startRawServer(peer => {
    peer.send(settings());
    peer.onRequest(stream => peer.send(initialHeaders(stream)));
  });
  const channel = openChannel([server.address], { transport: "lean" });
  const cancellation = new Cancellation();
  const call = channel.unary(unaryCall({ cancellation }));
  const peer = await server.first;
  await peer.seen(({ type }) => type === Data);
  cancellation.cancel();
  await call;
  await peer.seen(({ type }) => type === RstStream);
  const before = granted(peer, 0);
  for (let sent = 0; sent < 9 << 20; sent += 16_384) peer.send(frame(Data, 0, 1, Buffer.alloc(16_384)));
  await roundTrip(peer);
  assert.ok(granted(peer, 0) - before >= 8 << 20);
  assert.ok(!peer.frames.some(({ type }) => type === GoAway));
  await channel.close();
  await server.close();
});

test("every SETTINGS frame is acknowledged once", async () => {
  const server = await startRawServer(peer => {
    peer.send(settings(), settings([3, 100]), frame(Settings, 1, 0));
    peer.onRequest(stream => peer.send(response(stream)));
  });
  const channel = openChannel([server.address], { transport: "lean" });
  assert.equal((await channel.unary(unaryCall())).status.code, Code.OK);
  const acks = server.peers[0]!.frames.filter(({ type, flags }) => type === Settings && flags === 1);
  assert.equal(acks.length, 2);
  await channel.close();
  await server.close();
});
