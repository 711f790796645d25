import assert from "node:assert/strict";
import { once } from "node:events";
import { test } from "node:test";
import { transInfoEntry } from "../../../src/demo/trpc/response.js";
import { startTrpcServer, type TrpcMethod, type TrpcServer } from "../../../src/demo/trpc/server.js";
import { Cancellation } from "../../../src/net/cancellation.js";
import { Code } from "../../../src/status/code.js";
import type { Channel } from "../../../src/upstream/channel.js";
import type { ChannelOptions } from "../../../src/upstream/create-channel.js";
import { call, methods, textOf, trpcChannel } from "./backend.js";

/** Runs a test against a server with these methods, and closes both sides. */
function withServer(
  title: string,
  own: Readonly<Record<string, TrpcMethod>>,
  run: (channel: Channel, server: TrpcServer) => Promise<void>,
  options: Partial<ChannelOptions> = {},
): void {
  test(title, async () => {
    const server = await startTrpcServer({ methods: methods(own) });
    const channel = trpcChannel([server.address], options);
    try {
      await run(channel, server);
    } finally {
      await channel.close();
      await server.close();
    }
  });
}

withServer(
  "a thousand tRPC calls share one connection, and responses that come in any order find their calls",
  {
    Later: async ({ body }) => {
      await new Promise(resolve => setTimeout(resolve, Math.random() * 5));
      return { body };
    },
  },
  async (channel, server) => {
    assert.equal(textOf(await call(channel, "Echo", "first")), "first");
    const texts = Array.from({ length: 900 }, (_, index) => `call ${index} ${"x".repeat(index % 700)}`);
    const results = await Promise.all(texts.map(text => call(channel, "Later", text)));
    assert.deepEqual(results.map(textOf), texts);
    assert.equal(server.connections.size, 1);
  },
);

withServer(
  "tRPC calls above those that one connection takes open more connections",
  {},
  async (channel, server) => {
    const all = Array.from({ length: 1500 }, (_, index) => call(channel, "Echo", String(index)));
    assert.deepEqual(
      (await Promise.all(all)).map(textOf),
      all.map((_, index) => String(index)),
    );
    assert.ok(server.connections.size <= 8);
  },
);

withServer(
  "a tRPC request says caller, callee, function and timeout",
  {
    Names: ({ header: { caller, callee, func, timeout } }) => ({
      body: Buffer.from(`${caller} ${callee} ${func} ${timeout}`),
    }),
  },
  async channel => {
    assert.equal(
      textOf(await call(channel, "Names", "", { timeout: 7_000 })),
      "trpc.shop.edge.http trpc.shop.items /test.Service/Names 7000",
    );
  },
  { trpc: { caller: "trpc.shop.edge.http", callee: "trpc.shop.items" } },
);

withServer(
  "without names in the configuration the callee is the service and the caller the gateway",
  {
    Names: ({ header: { caller, callee } }) => ({ body: Buffer.from(`${caller} ${callee}`) }),
  },
  async channel => {
    assert.equal(textOf(await call(channel, "Names")), "trpc.protogate.gateway.http test.Service");
  },
);

withServer(
  "metadata goes to trans_info and comes from it, and what the server only gives back does not",
  {
    Info: ({ header }) => ({
      body: Buffer.from(JSON.stringify([...header.metadata()])),
      transInfo: [
        transInfoEntry("X-Total", "7"),
        transInfoEntry("key-bin", Uint8Array.of(0, 255)),
        transInfoEntry("trpc-own", "1"),
      ],
    }),
  },
  async channel => {
    const metadata = [
      ["x-user", "ann"],
      ["list", "a"],
      ["list", "b"],
    ] as const;
    const result = await call(channel, "Info", "", { metadata });
    assert.deepEqual(JSON.parse(textOf(result) ?? ""), [
      ["x-user", "ann"],
      ["list", "a,b"],
    ]);
    assert.deepEqual(result.headers, [
      ["x-total", "7"],
      ["key-bin", Uint8Array.of(0, 255)],
    ]);
  },
);

withServer(
  "metadata that is too long for a tRPC header fails the call and leaves the connection",
  {},
  async channel => {
    const { status } = await call(channel, "Echo", "", { metadata: [["x", "y".repeat(66_000)]] });
    assert.equal(status.origin, "request");
    assert.equal(textOf(await call(channel, "Echo", "fine")), "fine");
  },
);

const frameworkCodes: readonly (readonly [ret: number, code: number])[] = [
  [1, Code.INVALID_ARGUMENT],
  [2, Code.INTERNAL],
  [11, Code.UNIMPLEMENTED],
  [12, Code.UNIMPLEMENTED],
  [21, Code.DEADLINE_EXCEEDED],
  [22, Code.RESOURCE_EXHAUSTED],
  [23, Code.RESOURCE_EXHAUSTED],
  [24, Code.DEADLINE_EXCEEDED],
  [31, Code.INTERNAL],
  [41, Code.UNAUTHENTICATED],
  [51, Code.INVALID_ARGUMENT],
  [101, Code.INTERNAL],
  [999, Code.UNKNOWN],
  [-3, Code.INTERNAL],
];

withServer(
  "each ret of tRPC's framework becomes the gRPC code that says the same",
  {
    Fail: ({ body }) => ({ ret: Number(body.toString()), message: "grüße" }),
  },
  async channel => {
    for (const [ret, code] of frameworkCodes) {
      const { status, message, trailers } = await call(channel, "Fail", String(ret));
      assert.deepEqual(
        { code: status.code, origin: status.origin, sent: status.backendCode, text: status.message },
        { code, origin: "framework", sent: ret, text: "grüße" },
      );
      assert.equal(message, undefined);
      assert.deepEqual(trailers, [["trpc-ret", String(ret)]]);
    }
  },
);

withServer(
  "func_ret of tRPC is the backend's own code, whatever its number",
  {
    Fail: ({ body }) => ({ funcRet: Number(body.toString()), message: "no" }),
    Plain: () => {
      throw new Error("out of cheese");
    },
  },
  async channel => {
    for (const funcRet of [1, 5, 16, 10_001, 2 ** 31 - 1, -7]) {
      const { status, trailers } = await call(channel, "Fail", String(funcRet), { retryable: true });
      assert.deepEqual(status, {
        code: Code.UNKNOWN,
        message: "no",
        origin: "business",
        backendCode: funcRet,
      });
      assert.deepEqual(trailers, [["trpc-func-ret", String(funcRet)]]);
    }
    const { status } = await call(channel, "Plain");
    assert.deepEqual([status.backendCode, status.message], [999, "out of cheese"]);
  },
  { retry: { attempts: 3, on: [Code.UNKNOWN], backoff: 1, maxBackoff: 1, budget: 1 } },
);

withServer("an unknown method of a tRPC server is UNIMPLEMENTED", {}, async channel => {
  const { status } = await call(channel, "Nope");
  assert.deepEqual([status.code, status.backendCode], [Code.UNIMPLEMENTED, 12]);
});

withServer(
  "a tRPC call without response, as after a panic, ends at its deadline, and later ones go on",
  {
    Panic: () => undefined,
  },
  async channel => {
    const { status } = await call(channel, "Panic", "", { timeout: 30 });
    assert.deepEqual([status.code, status.origin], [Code.DEADLINE_EXCEEDED, "deadline"]);
    assert.equal(textOf(await call(channel, "Echo", "alive")), "alive");
  },
);

withServer(
  "a cancelled tRPC call ends at once, and its late response is not taken for another's",
  {
    Slow: async ({ body }) => {
      await released;
      return { body };
    },
  },
  async channel => {
    const cancellation = new Cancellation();
    const cancelled = call(channel, "Slow", "late", { cancellation });
    const waiting = call(channel, "Slow", "kept");
    await call(channel, "Echo");
    cancellation.cancel();
    assert.equal((await cancelled).status.code, Code.CANCELLED);
    release();
    assert.equal(textOf(await waiting), "kept");
  },
);
let release = (): void => {};
const released = new Promise<void>(resolve => {
  release = resolve;
});

withServer(
  "a one-way tRPC call ends with an empty message once it is written",
  {
    Notify: ({ header, body }) => {
      notified(`${header.oneWay} ${body.toString()}`);
      return { body: Buffer.from("never sent") };
    },
  },
  async channel => {
    const result = await call(channel, "Notify", "news");
    assert.equal(result.status.code, Code.OK);
    assert.equal(textOf(result), "");
    assert.equal(await notification, "true news");
    assert.equal(textOf(await call(channel, "Echo", "after")), "after");
    assert.deepEqual(
      channel.state().map(({ pending }) => pending),
      [0],
    );
  },
  { trpc: { oneWay: ["/test.Service/Notify"] } },
);
let notified: (text: string) => void = () => {};
const notification = new Promise<string>(resolve => {
  notified = resolve;
});

withServer(
  "tRPC messages are compressed with gzip both ways, where the upstream asks for it",
  {
    Encoding: ({ header, body }) => ({ body: Buffer.from(`${header.contentEncoding} ${body.length}`) }),
  },
  async channel => {
    assert.equal(textOf(await call(channel, "Encoding", "x".repeat(1000))), "1 1000");
    assert.equal(textOf(await call(channel, "Encoding", "x".repeat(10))), "0 10");
    const large = "gzip ".repeat(40_000);
    assert.equal(textOf(await call(channel, "Echo", large)), large);
  },
  { compressFrom: 100 },
);

withServer(
  "a tRPC response that is too large, before or after decompression, fails with the size",
  {
    Zip: ({ body }) => ({ body: Buffer.alloc(Number(body.toString())) }),
    Plain: ({ body }) => ({ body: Buffer.alloc(Number(body.toString())) }),
  },
  async channel => {
    for (const [method, request] of [
      ["Plain", "2001"],
      ["Plain", "3000000"],
      ["Zip", `2001${" ".repeat(100)}`],
    ] as const) {
      const { status } = await call(channel, method, request);
      assert.deepEqual([method, status.code, status.origin], [method, Code.RESOURCE_EXHAUSTED, "size"]);
    }
    assert.equal((await call(channel, "Plain", "2000")).message?.length, 2000);
    assert.equal((await call(channel, "Zip", `2000${" ".repeat(100)}`)).message?.length, 2000);
  },
  { maxMessageSize: 2000, compressFrom: 100 },
);

withServer(
  "attachments of tRPC responses are passed over",
  {
    Attach: ({ body }) => ({ body, attachment: Buffer.alloc(5_000_000, 1) }),
  },
  async channel => {
    const all = await Promise.all([
      call(channel, "Attach", "a"),
      call(channel, "Echo", "b"),
      call(channel, "Attach", ""),
    ]);
    assert.deepEqual(all.map(textOf), ["a", "b", ""]);
  },
);

withServer("messages of megabytes go through tRPC beside small ones", {}, async channel => {
  const large = Buffer.alloc(1 << 20, "m");
  const all = await Promise.all(
    [1, 2, 3, 4].flatMap(() => [call(channel, "Echo", large), call(channel, "Echo", "small")]),
  );
  for (const [index, { message }] of all.entries())
    assert.equal(message?.length, index % 2 === 0 ? large.length : 5);
});

withServer("streams on a tRPC upstream end at once with UNIMPLEMENTED", {}, async channel => {
  const status = await new Promise<unknown>(resolve => {
    channel.stream({
      path: "/test.Service/Watch",
      metadata: [],
      timeout: undefined,
      cancellation: new Cancellation(),
      onMessage: () => {},
      onEnd: resolve,
    });
  });
  assert.equal((status as { code: number; origin: string }).code, Code.UNIMPLEMENTED);
  assert.equal((status as { code: number; origin: string }).origin, "streams");
});

test("an idle tRPC connection that the server closes is opened anew by the next call, and nothing fails", async () => {
  const server = await startTrpcServer({ methods: methods() });
  const channel = trpcChannel([server.address]);
  for (let round = 0; round < 3; round++) {
    assert.equal(textOf(await call(channel, "Echo", "x")), "x");
    const [socket] = server.connections;
    assert.ok(socket !== undefined);
    const closed = once(socket, "close");
    socket.end();
    await closed;
  }
  assert.deepEqual(
    channel.state().map(({ state }) => state === "failing"),
    [false],
  );
  await channel.close();
  await server.close();
});

test("a closing tRPC channel waits for its calls and then closes its connections", async () => {
  let finish = (): void => {};
  const begun = new Promise<void>(resolve => {
    finish = resolve;
  });
  let answer = (): void => {};
  const server = await startTrpcServer({
    methods: methods({
      Slow: async ({ body }) => {
        finish();
        await new Promise<void>(resolve => {
          answer = resolve;
        });
        return { body };
      },
    }),
  });
  const channel = trpcChannel([server.address]);
  const slow = call(channel, "Slow", "waits");
  await begun;
  const closing = channel.close();
  answer();
  assert.equal(textOf(await slow), "waits");
  await closing;
  const [socket] = server.connections;
  if (socket !== undefined) await once(socket, "close");
  await server.close();
});
