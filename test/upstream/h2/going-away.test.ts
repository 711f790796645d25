import assert from "node:assert/strict";
import { test } from "node:test";
import { ErrorCode, Flag, FrameType, max31 } from "../../../src/h2/protocol.js";
import { Cancellation } from "../../../src/net/cancellation.js";
import { Code } from "../../../src/status/code.js";
import type { CallStatus } from "../../../src/upstream/channel.js";
import { openChannel, recordResent, streamPath, unaryCall, until } from "../backend.js";
import {
  firstDiffers,
  frame,
  goAway,
  initialHeaders,
  response,
  settings,
  startRawServer,
  uint32,
} from "./raw-server.js";

const lean = { transport: "lean" } as const;
const maxConcurrentStreams = 3;

function refuse(stream: number): Buffer {
  return frame(FrameType.RstStream, 0, stream, uint32(ErrorCode.RefusedStream));
}

test("closes the connection when the server sends GOAWAY with an error but stays open; responses until then count", async () => {
  const server = await startRawServer(peer => {
    peer.send(settings());
    peer.onRequest(stream => {
      if (peer.index > 0) peer.send(response(stream, "another connection"));
      if (stream !== 3) return;
      const payload = Buffer.concat([uint32(3), uint32(ErrorCode.CompressionError)]);
      peer.send(frame(FrameType.GoAway, 0, 0, payload), response(1, "meanwhile"));
    });
  });
  const channel = openChannel([server.address], { transport: "lean" });
  const calls = [1, 2].map(() => channel.unary(unaryCall({ timeout: 30_000 })));
  const [completed, dropped] = await Promise.all(calls);
  assert.equal(String(completed?.message), "meanwhile");
  assert.deepEqual(dropped?.status, {
    code: Code.UNAVAILABLE,
    message: "Connection dropped: the upstream went away (GOAWAY, code 9) and did not close the connection",
    origin: "lost",
  });
  assert.equal(String((await channel.unary(unaryCall())).message), "another connection");
  await channel.close();
  await server.close();
});

test("a second GOAWAY with a lower last stream lets further calls be sent again", async () => {
  const server = await startRawServer(
    firstDiffers(peer => {
      peer.onRequest(stream => {
        if (stream !== 7) return;
        peer.send(goAway(5));
        setImmediate(() => peer.send(goAway(1), response(1, "processed")));
      });
    }),
  );
  const channel = openChannel([server.address], lean);
  const results = await Promise.all([1, 2, 3, 4].map(() => channel.unary(unaryCall())));
  assert.deepEqual(
    results.map(({ message }) => String(message)),
    ["processed", "connection 1", "connection 1", "connection 1"],
  );
  await channel.close();
  await server.close();
});

test("a call above the last stream of GOAWAY is sent again more often than one that is refused", async () => {
  // Five addresses, since one that only ever goes away is connected to with growing pauses.
  let goingAway = 10;
  const servers = await Promise.all(
    Array.from({ length: 5 }, () =>
      startRawServer(peer => {
        peer.send(settings());
        peer.onRequest(stream => peer.send(goingAway-- > 0 ? goAway(0) : response(stream, "taken")));
      }),
    ),
  );
  const resent: string[] = [];
  const channel = openChannel(
    servers.map(({ address }) => address),
    lean,
    recordResent(resent),
  );
  const { status, message } = await channel.unary(unaryCall({ timeout: 60_000 }));
  assert.equal(String(message), "taken", status.message);
  assert.deepEqual(resent, Array(10).fill("goaway"));
  await channel.close();
  for (const server of servers) await server.close();
});

test("the deadline ends a call that every connection goes away from", async () => {
  const server = await startRawServer(peer => {
    peer.send(settings());
    peer.onRequest(() => peer.send(goAway(0)));
  });
  const channel = openChannel([server.address], lean);
  const { status } = await channel.unary(unaryCall({ timeout: 300 }));
  assert.ok(status.code === Code.UNAVAILABLE || status.code === Code.DEADLINE_EXCEEDED, status.message);
  await channel.close();
  await server.close();
});

test("a stream refused by a connection that goes away counts as one above its last stream", async () => {
  const server = await startRawServer(
    firstDiffers(peer => {
      peer.onRequest(stream => peer.send(goAway(max31), refuse(stream)));
    }),
  );
  const resent: string[] = [];
  const channel = openChannel([server.address], lean, recordResent(resent));
  assert.equal(String((await channel.unary(unaryCall())).message), "connection 1");
  assert.deepEqual(resent, ["goaway"]);
  await channel.close();
  await server.close();
});

test("a stream whose request is not complete when GOAWAY covers it goes on where it is", async () => {
  const server = await startRawServer(
    firstDiffers(peer => {
      peer.onRequest(stream => {
        if (stream === 3) peer.send(goAway(1));
      });
      peer.onFrame(({ type, flags, stream }) => {
        if (type === FrameType.Data && stream === 1 && (flags & Flag.EndStream) !== 0)
          peer.send(response(stream, "carried on"));
      });
    }),
  );
  const channel = openChannel([server.address], lean);
  const messages: string[] = [];
  let ended: (status: CallStatus) => void = () => {};
  const outcome = new Promise<CallStatus>(resolve => {
    ended = resolve;
  });
  const upload = channel.stream({
    path: streamPath,
    metadata: [],
    timeout: 30_000,
    cancellation: new Cancellation(),
    onMessage: message => messages.push(String(message)),
    onEnd: status => ended(status),
  });
  upload.send(Buffer.from("begun"));
  const peer = await server.first;
  await peer.seen(({ type }) => type === FrameType.Data);
  assert.equal(String((await channel.unary(unaryCall())).message), "connection 1");
  upload.send(Buffer.from("more"));
  upload.end();
  assert.equal((await outcome).code, Code.OK);
  assert.deepEqual(messages, ["carried on"]);
  await channel.close();
  await server.close();
});

test("a call with response headers is not sent again, even above the last stream of GOAWAY", async () => {
  const server = await startRawServer(
    firstDiffers(peer => {
      peer.onRequest(stream => peer.send(initialHeaders(stream), goAway(0)));
    }),
  );
  const channel = openChannel([server.address], lean);
  const { status, attempts } = await channel.unary(unaryCall());
  assert.deepEqual([status.code, status.origin, attempts], [Code.UNAVAILABLE, "lost", 1]);
  await channel.close();
  await server.close();
});

test("a call refused on a connection with others under way is sent again on another connection", async () => {
  const streams: number[] = [];
  const server = await startRawServer(peer => {
    peer.send(settings());
    peer.onRequest(stream => {
      streams.push(peer.index);
      if (peer.index > 0) peer.send(response(stream, "elsewhere"));
      else if (stream !== 1) peer.send(refuse(stream));
    });
  });
  const channel = openChannel([server.address], lean);
  const first = channel.unary(unaryCall());
  await until(() => streams.length === 1);
  assert.equal(String((await channel.unary(unaryCall())).message), "elsewhere");
  assert.deepEqual(streams, [0, 0, 1]);
  // The connection that refused comes last from now on.
  assert.equal(String((await channel.unary(unaryCall())).message), "elsewhere");
  server.peers[0]!.send(response(1, "late"));
  assert.equal(String((await first).message), "late");
  await channel.close();
  await server.close();
});

test("a refused call is sent again on the same connection when no other can be opened", async () => {
  let refused = 0;
  const server = await startRawServer(peer => {
    if (peer.index > 0) {
      peer.socket.destroy();
      return;
    }
    peer.send(settings());
    peer.onRequest(stream => {
      if (refused++ === 0) peer.send(refuse(stream));
      else peer.send(response(stream, "taken"));
    });
  });
  const channel = openChannel([server.address], lean);
  assert.equal(String((await channel.unary(unaryCall())).message), "taken");
  await channel.close();
  await server.close();
});

test("a server that closes with calls under way gets no further calls, and calls it may have processed are not repeated", async () => {
  const requests: number[] = [];
  const server = await startRawServer(
    firstDiffers(peer => {
      peer.onRequest(stream => {
        requests.push(stream);
        if (stream === 3) peer.socket.end();
      });
    }),
  );
  const channel = openChannel([server.address], lean);
  const lost = await Promise.all([1, 2].map(() => channel.unary(unaryCall())));
  for (const { status, attempts } of lost)
    assert.deepEqual([status.code, status.origin, attempts], [Code.UNAVAILABLE, "lost", 1]);
  assert.equal(String((await channel.unary(unaryCall())).message), "connection 1");
  assert.deepEqual(requests, [1, 3]);
  await channel.close();
  await server.close();
});

test("calls that wait to be opened when MAX_CONCURRENT_STREAMS falls go to another connection or wait", async () => {
  let open = 0;
  const server = await startRawServer(peer => {
    peer.send(settings([maxConcurrentStreams, 100]));
    const limit = peer.index === 0 ? 1 : 100;
    let here = 0;
    peer.onRequest(stream => {
      here++;
      open++;
      // Lowered while 256 KiB of the first call fill the buffer and the next ones wait behind it.
      if (open === 1) peer.send(settings([maxConcurrentStreams, limit]));
      if (here > limit && peer.index === 0) peer.send(refuse(stream));
      else setImmediate(() => peer.send(response(stream)));
    });
  });
  const channel = openChannel([server.address], lean);
  const calls = Array.from({ length: 20 }, () =>
    channel.unary(unaryCall({ request: Buffer.alloc(300_000) })),
  );
  for (const { status } of await Promise.all(calls)) assert.equal(status.code, Code.OK, status.message);
  await channel.close();
  await server.close();
});
