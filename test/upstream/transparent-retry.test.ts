import assert from "node:assert/strict";
import { once } from "node:events";
import { constants, createServer, type ServerHttp2Stream } from "node:http2";
import { test } from "node:test";
import { Cancellation } from "../../src/net/cancellation.js";
import { Code } from "../../src/status/code.js";
import { callFailure } from "../../src/upstream/call/call-failure.js";
import type { CallStatus } from "../../src/upstream/channel.js";
import { listen, openChannel, recordResent, streamPath, unaryCall } from "./backend.js";

type Respond = (stream: ServerHttp2Stream, request: Buffer) => void;

interface Refusing {
  readonly address: string;
  /** Requests that came, one text a stream: all of its messages. */
  readonly requests: string[];
  close(): Promise<void>;
}

/** A server that refuses streams while `refuses` returns true for the count of streams before; responds to the others by echo. */
async function startRefusing(
  refuses: (before: number) => boolean,
  respond: Respond = echo,
): Promise<Refusing> {
  const server = createServer();
  const sessions = new Set<{ destroy(): void }>();
  const requests: string[] = [];
  let streams = 0;
  server.on("session", session => sessions.add(session));
  server.on("stream", stream => {
    stream.on("error", () => {});
    const refused = refuses(streams++);
    const chunks: Buffer[] = [];
    stream.on("data", chunk => chunks.push(Buffer.from(chunk)));
    stream.on("end", () => {
      const request = Buffer.concat(chunks);
      requests.push(request.toString("latin1"));
      if (refused) stream.close(constants.NGHTTP2_REFUSED_STREAM);
      else respond(stream, request);
    });
  });
  return {
    address: await listen(server),
    requests,
    close: async () => {
      for (const session of sessions) session.destroy();
      server.close();
      await once(server, "close");
    },
  };
}

function echo(stream: ServerHttp2Stream, request: Buffer): void {
  stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true });
  stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
  stream.end(request);
}

test("a refused call is sent again whatever the retry policy, outside of attempts, and counted", async () => {
  const server = await startRefusing(before => before < 3);
  const resent: string[] = [];
  const channel = openChannel([server.address], {}, recordResent(resent));
  const result = await channel.unary(unaryCall());
  assert.deepEqual([result.status.code, String(result.message), result.attempts], [Code.OK, "hello", 1]);
  assert.deepEqual(resent, ["refused", "refused", "refused"]);
  assert.equal(server.requests.length, 4);
  await channel.close();
  await server.close();
});

test("a call that is refused again and again is sent nine times and then fails with UNAVAILABLE", async () => {
  const server = await startRefusing(() => true);
  const resent: string[] = [];
  const channel = openChannel([server.address], {}, recordResent(resent));
  const { status, trailers, attempts } = await channel.unary(unaryCall({ timeout: 30_000 }));
  assert.deepEqual([status.code, status.origin, attempts], [Code.UNAVAILABLE, "refused", 0]);
  assert.equal(
    callFailure({ status, trailers }).message,
    "the upstream refused the call and processed none of it",
  );
  assert.match(status.message, /refused by server/);
  assert.equal(server.requests.length, 9);
  assert.equal(resent.length, 8);
  await channel.close();
  await server.close();
});

test("the deadline ends a call that waits to be sent again", async () => {
  const server = await startRefusing(() => true);
  const channel = openChannel([server.address]);
  const { status } = await channel.unary(unaryCall({ timeout: 100 }));
  assert.ok(status.code === Code.UNAVAILABLE || status.code === Code.DEADLINE_EXCEEDED, status.message);
  assert.ok(server.requests.length < 9);
  await channel.close();
  await server.close();
});

test("a call that is cancelled between two refusals is not sent again", async () => {
  const cancellation = new Cancellation();
  const server = await startRefusing(before => {
    if (before === 2) setImmediate(() => cancellation.cancel());
    return true;
  });
  const channel = openChannel([server.address]);
  const { status } = await channel.unary(unaryCall({ cancellation }));
  assert.equal(status.origin, "cancelled");
  assert.ok(server.requests.length <= 4);
  await channel.close();
  await server.close();
});

test("a stream reset with REFUSED_STREAM after its response headers is not sent again", async () => {
  const server = await startRefusing(
    () => false,
    stream => {
      stream.respond({ ":status": 200, "content-type": "application/grpc" });
      setImmediate(() => stream.close(constants.NGHTTP2_REFUSED_STREAM));
    },
  );
  const channel = openChannel([server.address]);
  const { attempts } = await channel.unary(unaryCall());
  assert.deepEqual([attempts, server.requests.length], [1, 1]);
  await channel.close();
  await server.close();
});

/** Sends `sizes` as messages and ends; resolves with the status and the bytes that came back. */
function roundTrip(channel: ReturnType<typeof openChannel>, sizes: readonly number[]) {
  return new Promise<{ status: CallStatus; sizes: number[] }>(resolve => {
    const got: number[] = [];
    const handle = channel.stream({
      path: streamPath,
      metadata: [],
      timeout: 20_000,
      cancellation: new Cancellation(),
      onMessage: message => got.push(message.length),
      onEnd: status => resolve({ status, sizes: got }),
    });
    for (const size of sizes) handle.send(Buffer.alloc(size, "m"));
    handle.end();
  });
}

test("a refused stream begins anew with all of its messages and its end", async () => {
  const server = await startRefusing(before => before < 2);
  const channel = openChannel([server.address]);
  const { status, sizes } = await roundTrip(channel, [1, 0, 30_000, 2]);
  assert.equal(status.code, Code.OK, status.message);
  assert.deepEqual(sizes, [1, 0, 30_000, 2]);
  assert.equal(new Set(server.requests).size, 1);
  await channel.close();
  await server.close();
});

test("a refused stream begins anew with one message of any size", async () => {
  const server = await startRefusing(before => before < 2);
  const channel = openChannel([server.address]);
  const { status, sizes } = await roundTrip(channel, [300_000]);
  assert.equal(status.code, Code.OK, status.message);
  assert.deepEqual([sizes, server.requests.length], [[300_000], 3]);
  await channel.close();
  await server.close();
});

test("a stream whose messages are no longer held is not sent again", async () => {
  const server = await startRefusing(() => true);
  const channel = openChannel([server.address]);
  const { status } = await roundTrip(channel, [40_000, 40_000, 1]);
  assert.deepEqual([status.code, status.origin], [Code.UNAVAILABLE, "refused"]);
  assert.equal(
    callFailure({ status, trailers: [] }).message,
    "the upstream refused the call and processed none of it; more than 65536 bytes had been sent, too many to be kept and sent again",
  );
  assert.equal(server.requests.length, 1);
  await channel.close();
  await server.close();
});

test("a connection that is lost after the request has left fails the call, which is not sent again", async () => {
  const server = await startRefusing(
    () => false,
    stream => stream.session?.destroy(),
  );
  const channel = openChannel([server.address]);
  const { status, attempts } = await channel.unary(unaryCall());
  assert.deepEqual([status.code, status.origin], [Code.UNAVAILABLE, "lost"]);
  assert.deepEqual([attempts, server.requests.length], [1, 1]);
  await channel.close();
  await server.close();
});
