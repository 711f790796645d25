import assert from "node:assert/strict";
import { once } from "node:events";
import type { Socket } from "node:net";
import { test } from "node:test";
import { responseFrame, type TrpcResponse } from "../../../src/demo/trpc/response.js";
import { Code } from "../../../src/status/code.js";
import type { FailureOrigin } from "../../../src/upstream/channel.js";
import { call, textOf, trpcChannel } from "./backend.js";
import { type RawRequest, startRawServer } from "./raw-server.js";

/** A good response. */
function good({ id }: RawRequest, more: Partial<TrpcResponse> = {}): Buffer {
  return responseFrame({ id, body: Buffer.from("fine"), ...more });
}

function changed(frame: Buffer, change: (frame: Buffer) => void): Buffer {
  change(frame);
  return frame;
}

interface Attack {
  readonly title: string;
  /** What is sent in place of a response. */
  readonly bytes: (request: RawRequest) => Buffer;
  readonly code: number;
  readonly origin: FailureOrigin;
  readonly message: RegExp;
  /** Whether other calls on the connection go on. */
  readonly survives: boolean;
}

const protocol = { code: Code.INTERNAL, origin: "protocol", survives: true } as const;
const broken = { code: Code.UNAVAILABLE, origin: "protocol", survives: false } as const;

const attacks: readonly Attack[] = [
  {
    title: "a wrong magic",
    bytes: request => changed(good(request), frame => frame.writeUInt16BE(0x0931)),
    message: /begins with 0x0931/,
    ...broken,
  },
  {
    title: "a response of HTTP",
    bytes: () => Buffer.from("HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n"),
    message: /begins with 0x4854/,
    ...broken,
  },
  {
    title: "a frame of an unknown type",
    bytes: request => changed(good(request), frame => frame.writeUInt8(7, 2)),
    message: /frame type 7/,
    ...broken,
  },
  {
    title: "a total length below 16",
    bytes: request => changed(good(request), frame => frame.writeUInt32BE(4, 4)),
    message: /a frame of 4 bytes/,
    ...broken,
  },
  {
    title: "a total length of 4 GiB",
    bytes: request => changed(good(request), frame => frame.writeUInt32BE(0xffff_ffff, 4)),
    code: Code.RESOURCE_EXHAUSTED,
    origin: "size",
    message: /4294967295 vs/,
    survives: false,
  },
  {
    title: "a response with an id that no call has",
    bytes: request => good({ ...request, id: 4_000_000_000 }),
    message: /id 4000000000, which no call has/,
    ...broken,
  },
  {
    title: "a response with id 0",
    bytes: request => good({ ...request, id: 0 }),
    message: /id 0, which no call has/,
    ...broken,
  },
  {
    title: "a header without bytes",
    bytes: request => changed(good(request), frame => frame.writeUInt16BE(0, 8)),
    message: /without header/,
    ...protocol,
  },
  {
    title: "a header that is longer than its frame",
    bytes: request => changed(good(request), frame => frame.writeUInt16BE(0xffff, 8)),
    message: /longer than its frame/,
    ...protocol,
  },
  {
    title: "a header that is no message",
    bytes: request => changed(good(request), frame => frame.fill(0xff, 16, 18)),
    message: /no message/,
    ...protocol,
  },
  {
    title: "a frame of a stream",
    bytes: request => changed(good(request), frame => frame.writeUInt16BE(0x0104, 2)),
    message: /a frame of a stream/,
    ...protocol,
  },
  {
    title: "ids that disagree",
    bytes: request => good(request, { requestId: 77 }),
    message: /id \d+ in its frame and 77 in its header/,
    ...protocol,
  },
  {
    title: "a success with id 0 in its header",
    bytes: request => good(request, { requestId: 0, message: "not used" }),
    message: /and 0 in its header/,
    ...protocol,
  },
  {
    title: "an attachment that is longer than its frame",
    bytes: request =>
      changed(good(request, { attachment: Buffer.from("x") }), frame => {
        // The number before the body.
        frame.writeUInt8(0x7f, 15 + frame.readUInt16BE(8));
      }),
    message: /attachment of a response is longer/,
    ...protocol,
  },
  {
    title: "an unknown content_type",
    bytes: request => good(request, { contentType: 77 }),
    message: /content_type 77, expected 0/,
    ...protocol,
  },
  {
    title: "a content_encoding that is not read",
    bytes: request => good(request, { contentEncoding: 2 }),
    message: /content_encoding 2, expected 0 or 1/,
    ...protocol,
  },
  {
    title: "a body that is said to be gzip and is not",
    bytes: request => good(request, { contentEncoding: 1 }),
    message: /Failed to decompress/,
    ...protocol,
  },
];

for (const { title, bytes, code, origin, message, survives } of attacks) {
  test(`a tRPC server that sends ${title} fails that call${survives ? " alone" : " and loses the connection"}`, async () => {
    const waiting: RawRequest[] = [];
    const server = await startRawServer(request => {
      const { header, socket } = request;
      if (header.func.endsWith("/Bad")) {
        // In pieces: no turn of the event loop sees all of it.
        const frame = bytes(request);
        socket.write(frame.subarray(0, 11), () => {
          socket.write(frame.subarray(11), () => {
            for (const other of waiting.splice(0)) other.socket.write(good(other));
          });
        });
      } else if (header.func.endsWith("/Wait")) waiting.push(request);
      else socket.write(good(request));
    });
    const channel = trpcChannel([server.address]);
    const other = call(channel, "Wait");
    const { status } = await call(channel, "Bad");
    assert.deepEqual([status.code, status.origin], [code, origin], status.message);
    assert.match(status.message, message);
    if (survives) assert.equal(textOf(await other), "fine");
    else assert.equal((await other).status.code, Code.UNAVAILABLE);
    // The next one is well, on the same connection or on another.
    assert.equal(textOf(await call(channel, "Good")), "fine");
    assert.equal(server.accepted(), survives ? 1 : 2);
    await channel.close();
    await server.close();
  });
}

test("a response with the ids of two tRPC calls reaches neither of them", async () => {
  const requests: RawRequest[] = [];
  const server = await startRawServer(request => {
    requests.push(request);
    const [first, second] = requests;
    if (first === undefined || second === undefined) return;
    if (requests.length === 2) request.socket.write(good(first, { requestId: second.id }));
    else request.socket.write(good(request));
  });
  const channel = trpcChannel([server.address]);
  const both = await Promise.all([call(channel, "One"), call(channel, "Two")]);
  for (const { status, message } of both)
    assert.deepEqual([status.origin, message], ["protocol", undefined], status.message);
  assert.equal(textOf(await call(channel, "Three")), "fine");
  await channel.close();
  await server.close();
});

test("a second response to one tRPC call is passed over", async () => {
  const server = await startRawServer(request => {
    request.socket.write(Buffer.concat([good(request), good(request, { body: Buffer.from("again") })]));
  });
  const channel = trpcChannel([server.address]);
  for (let round = 0; round < 3; round++) assert.equal(textOf(await call(channel, "Good")), "fine");
  assert.equal(server.accepted(), 1);
  await channel.close();
  await server.close();
});

test("an error of a tRPC server that could not read the request has id 0 in its header, and is that of the frame's call", async () => {
  const server = await startRawServer(request => {
    request.socket.write(responseFrame({ id: request.id, requestId: 0, ret: 1, message: "cannot decode" }));
  });
  const channel = trpcChannel([server.address]);
  const { status } = await call(channel, "Bad");
  assert.deepEqual(
    [status.code, status.origin, status.message],
    [Code.INVALID_ARGUMENT, "framework", "cannot decode"],
  );
  await channel.close();
  await server.close();
});

test("tRPC calls under way when the server closes without a word are UNAVAILABLE, and the next one connects anew", async () => {
  const server = await startRawServer(({ header, id, socket }) => {
    if (header.func.endsWith("/Bye")) socket.end();
    else socket.write(responseFrame({ id, body: Buffer.from("fine") }));
  });
  const channel = trpcChannel([server.address]);
  assert.equal(textOf(await call(channel, "Good")), "fine");
  const { status } = await call(channel, "Bye");
  assert.deepEqual([status.code, status.origin], [Code.UNAVAILABLE, "lost"]);
  assert.equal(textOf(await call(channel, "Good")), "fine");
  assert.equal(server.accepted(), 2);
  await channel.close();
  await server.close();
});

test("a tRPC response that is cut off by the end of its connection is UNAVAILABLE, not a short message", async () => {
  const server = await startRawServer(request => {
    request.socket.end(good(request, { body: Buffer.alloc(5000) }).subarray(0, 3000));
  });
  const channel = trpcChannel([server.address]);
  const { status, message } = await call(channel, "Cut");
  assert.deepEqual([status.code, message], [Code.UNAVAILABLE, undefined]);
  await channel.close();
  await server.close();
});

test("a retryable tRPC call is sent again after a lost connection, and another is not", async () => {
  let losses = 0;
  const server = await startRawServer(({ id, socket }) => {
    if (losses-- > 0) socket.destroy();
    else socket.write(responseFrame({ id, body: Buffer.from("fine") }));
  });
  const retry = { attempts: 3, on: [Code.UNAVAILABLE], backoff: 1, maxBackoff: 1, budget: 1 };
  const channel = trpcChannel([server.address], { retry });
  losses = 1;
  const again = await call(channel, "Get", "", { retryable: true });
  assert.deepEqual([textOf(again), again.attempts], ["fine", 2]);
  losses = 1;
  const once = await call(channel, "Post");
  assert.deepEqual([once.status.code, once.attempts], [Code.UNAVAILABLE, 1]);
  await channel.close();
  await server.close();
});

test("a tRPC endpoint that closes every connection at once counts as failing, and calls go to another", async () => {
  const closing = await startRawServer(
    () => {},
    socket => socket.destroy(),
  );
  const fine = await startRawServer(request => request.socket.write(good(request)));
  const channel = trpcChannel([closing.address, fine.address], {
    retry: { attempts: 5, on: [Code.UNAVAILABLE], backoff: 1, maxBackoff: 1, budget: 1 },
  });
  for (let round = 0; round < 30; round++)
    assert.equal(textOf(await call(channel, "Get", "", { retryable: true })), "fine");
  await channel.close();
  await Promise.all([closing.close(), fine.close()]);
});

test("a tRPC connection on which nothing comes while calls time out is left for another", async () => {
  let deaf: Socket | undefined;
  const server = await startRawServer(
    request => {
      if (request.socket !== deaf) request.socket.write(good(request));
    },
    (socket, index) => {
      if (index === 0) deaf = socket;
    },
  );
  const channel = trpcChannel([server.address], { keepalive: { time: 30_000, timeout: 20 } });
  let timeouts = 0;
  while (textOf(await call(channel, "Get", "", { timeout: timeouts > 50 ? 10_000 : 30 })) !== "fine")
    timeouts++;
  assert.ok(timeouts >= 1);
  assert.equal(server.accepted(), 2);
  assert.ok(deaf !== undefined);
  if (!deaf.destroyed) await once(deaf, "close");
  await channel.close();
  await server.close();
});

test("the connection to a tRPC server that sends endless unsolicited frames is closed, and memory stays bounded", async () => {
  // Responses to a call that is over: legal one by one, and never wanted.
  const frame = responseFrame({ id: 1, body: Buffer.alloc(1 << 20) });
  const flooded = 256;
  let sent = 0;
  let highest = 0;
  const server = await startRawServer(request => {
    const { header, socket } = request;
    if (!header.func.endsWith("/Flood")) {
      socket.write(good(request));
      return;
    }
    const more = (): void => {
      highest = Math.max(highest, process.memoryUsage().arrayBuffers);
      if (sent++ < flooded) socket.write(frame, more);
      else socket.write(responseFrame({ id: 4_000_000_000 }));
    };
    more();
  });
  const channel = trpcChannel([server.address]);
  assert.equal(textOf(await call(channel, "First")), "fine");
  const before = process.memoryUsage().arrayBuffers;
  const { status } = await call(channel, "Flood");
  assert.deepEqual([status.code, status.origin], [Code.UNAVAILABLE, "protocol"], status.message);
  assert.equal(sent, flooded + 1);
  assert.ok(highest - before < (flooded / 4) * frame.length, `${highest - before} bytes`);
  assert.equal(textOf(await call(channel, "After")), "fine");
  assert.equal(server.accepted(), 2);
  await channel.close();
  await server.close();
});

test("a tRPC address that refuses connections is UNAVAILABLE at once, and is connected to again with pauses", async () => {
  const gone = await startRawServer(() => {});
  await gone.close();
  const channel = trpcChannel([gone.address]);
  for (let round = 0; round < 3; round++) {
    const { status, attempts } = await call(channel, "Get");
    assert.deepEqual([status.code, status.origin, attempts], [Code.UNAVAILABLE, "connect", 0]);
  }
  assert.deepEqual(
    channel.state().map(({ state }) => state),
    ["failing"],
  );
  await channel.close();
});
