import assert from "node:assert/strict";
import { after, test } from "node:test";
import { Metadata, type ServerWritableStream, status } from "@grpc/grpc-js";
import type { CallCheck } from "../../../src/realtime/bridge/bridge-plan.js";
import type { BridgeConfig } from "../../../src/realtime/bridge/compile-bridge.js";
import type { CallFrame } from "../../../src/realtime/chat/frames.js";
import { GatewayError, gatewayFailure } from "../../../src/status/failure.js";
import { type BridgeSystem, startBridge, type TestSession, testSession } from "./bridge-system.js";
import { type RoomsBackend, type Streaming, startRoomsBackend, type Unary } from "./rooms-backend.js";

const closing: (() => Promise<void>)[] = [];
after(async () => {
  for (const close of closing.reverse()) await close();
});

interface Setup {
  readonly unary?: Readonly<Record<string, Unary>>;
  readonly streams?: Readonly<Record<string, Streaming>>;
  readonly limits?: Partial<BridgeConfig["bridge"]>;
  readonly check?: CallCheck;
}

interface System extends BridgeSystem {
  readonly backend: RoomsBackend;
  call(session: TestSession, text: string): void;
}

async function system({ unary, streams, limits, check }: Setup = {}): Promise<System> {
  const backend = await startRoomsBackend(unary, streams);
  const bridge = { concurrency: 100, queue: 100, streams: 100, calls_per_connection: 16, ...limits };
  const started = await startBridge({ calls: ["chat.v1.Calls/*"], bridge }, backend.port, check);
  closing.push(backend.close, started.close);
  const call = (session: TestSession, text: string): void => {
    started.bridge.call(session, JSON.parse(text) as CallFrame, text);
  };
  return { ...started, backend, call };
}

/** What Promise.withResolvers gives where there is one. */
function withResolvers(): { readonly promise: Promise<void>; resolve(): void } {
  let resolve = (): void => undefined;
  const promise = new Promise<void>(done => {
    resolve = done;
  });
  return { promise, resolve: () => resolve() };
}

const echo: Unary = (request, reply) => reply(null, request);

function numbers(to: number): Streaming {
  return call => {
    for (let value = 1; value <= to; value++) call.write({ value });
    call.end();
  };
}

const count = (id: number, more = ""): string =>
  `{"type":"call","id":${id},"method":"chat.v1.Calls/Count"${more}}`;

test("a unary call gets its reply, every digit kept in both directions", async () => {
  const { call } = await system({ unary: { Echo: echo } });
  const session = testSession();
  call(
    session,
    '{"type":"call","id":7,"method":"chat.v1.Calls/Echo","body":{"big":9007199254740993,"text":"é\\u00e9","list":["1",-9223372036854775808]}}',
  );
  assert.deepEqual(await session.next(), {
    type: "reply",
    id: 7,
    body: { big: "9007199254740993", text: "éé", list: ["1", "-9223372036854775808"] },
  });
});

test("a body left out is an empty message, and ids may be texts", async () => {
  const { call, bridge } = await system({ unary: { Echo: echo } });
  const session = testSession();
  call(session, '{"type":"call","id":"a\\"b","method":"chat.v1.Calls/Echo"}');
  assert.deepEqual(await session.next(), { type: "reply", id: 'a"b', body: {} });
  bridge.cancel(session, 'a"b');
  assert.equal(session.frames.length, 1);
});

test("a body that does not fit is refused as over REST, and nothing is sent", async () => {
  const { call, backend } = await system({ unary: { Echo: echo } });
  const session = testSession();
  call(session, '{"type":"call","id":1,"method":"chat.v1.Calls/Echo","body":{"big":1.5}}');
  const { reason, code, details } = await session.next();
  assert.deepEqual([reason, code], ["INVALID_VALUE", 3]);
  assert.match(JSON.stringify(details), /BadRequest.*"field":"big"/);
  call(session, '{"type":"call","id":2,"method":"chat.v1.Calls/Echo","body":{"text":"a","text":"b"}}');
  assert.equal((await session.next()).reason, "DUPLICATE_KEY");
  assert.equal(backend.seen.length, 0);
});

test("a socket can call only methods that realtime.calls lists", async () => {
  const { call, backend } = await system();
  const session = testSession();
  for (const method of [
    "chat.v1.Hidden/Get",
    "chat.v1.Calls/Upload",
    "chat.v1.Calls.Echo",
    "/chat.v1.Calls/Echo",
    "",
  ]) {
    call(session, JSON.stringify({ type: "call", id: 1, method }));
    assert.equal((await session.next()).reason, "METHOD_NOT_CALLABLE", method);
  }
  assert.equal(backend.seen.length, 0);
});

test("the check sees the session, the method and the bytes, and can refuse", async () => {
  const seen: unknown[] = [];
  const { call, backend } = await system({
    unary: { Echo: echo },
    check: async (session, method, message) => {
      seen.push([session.subject, method.fullName, Buffer.from(message).toString("latin1")]);
      throw new GatewayError(gatewayFailure("POLICY_DENIED", "not yours"));
    },
  });
  const session = testSession("jdoe");
  call(session, '{"type":"call","id":1,"method":"chat.v1.Calls/Echo","body":{"text":"hi"}}');
  const { reason, message, code, id } = await session.next();
  assert.deepEqual(
    { reason, message, code, id },
    { reason: "POLICY_DENIED", message: "not yours", code: 7, id: 1 },
  );
  assert.deepEqual(seen, [["jdoe", "chat.v1.Calls.Echo", "\x12\x02hi"]]);
  assert.equal(backend.seen.length, 0);
});

test("a status becomes an error frame", async () => {
  const { call, metric, bridge } = await system({
    unary: {
      Echo: (_, reply) => reply({ code: status.NOT_FOUND, details: "no such", metadata: new Metadata() }),
    },
  });
  const session = testSession();
  call(session, '{"type":"call","id":1,"method":"chat.v1.Calls/Echo"}');
  assert.deepEqual(await session.next(), {
    type: "error",
    id: 1,
    code: 5,
    reason: "NOT_FOUND",
    message: "no such",
  });
  await bridge.close();
  assert.equal(await metric('protogate_ws_bridge_calls_total{event="call",code="NOT_FOUND"}'), 1);
});

test("a stream is events and an end", async () => {
  const { call, metric, bridge } = await system({ streams: { Count: numbers(3) } });
  const session = testSession();
  call(session, count(7, ',"body":{"to":3}'));
  const end = await session.next(frame => frame.type === "end");
  assert.deepEqual(end, { type: "end", id: 7 });
  assert.deepEqual(session.frames.slice(0, 3), [
    { type: "event", id: 7, body: { value: 1 } },
    { type: "event", id: 7, body: { value: 2 } },
    { type: "event", id: 7, body: { value: 3 } },
  ]);
  await bridge.close();
  assert.equal(await metric('protogate_ws_bridge_calls_total{event="stream",code="OK"}'), 1);
  assert.equal(await metric("protogate_ws_bridge_calls_in_flight"), 0);
});

test("a large message of a stream is printed in slices, and those behind it and the end keep their order", async () => {
  const { call } = await system({
    streams: {
      Count: stream => {
        for (const [index, size] of [0, 200_000, 10, 100_000, 20].entries())
          stream.write({ value: index, pad: "x".repeat(size) });
        stream.end();
      },
    },
  });
  const session = testSession();
  call(session, count(1));
  await session.next(frame => frame.type === "end");
  assert.deepEqual(
    session.frames.slice(0, -1).map(({ body }) => {
      const { value = 0, pad = "" } = body as { value?: number; pad?: string };
      return [value, pad.length];
    }),
    [0, 200_000, 10, 100_000, 20].map((size, index) => [index, size]),
  );
});

test("a stream that fails on the way ends with an error", async () => {
  const { call } = await system({
    streams: {
      Count: stream => {
        stream.write({ value: 1 });
        stream.emit("error", { code: status.DATA_LOSS, details: "gone" });
      },
    },
  });
  const session = testSession();
  call(session, count(7));
  assert.equal((await session.next(frame => frame.type === "error")).reason, "DATA_LOSS");
  assert.equal(session.frames.length, 2);
});

test("a cancel frame ends a stream at the backend, and the client gets its end", async () => {
  const over = withResolvers();
  const { call, bridge } = await system({
    streams: {
      Count: stream => {
        stream.on("cancelled", () => over.resolve());
        stream.write({ value: 1 });
      },
    },
  });
  const session = testSession();
  call(session, count(7));
  await session.next();
  bridge.cancel(session, "7");
  bridge.cancel(session, 8);
  bridge.cancel(session, 7);
  await over.promise;
  const { type, reason, id } = await session.next();
  assert.deepEqual({ type, reason, id }, { type: "error", reason: "CALL_CANCELLED", id: 7 });
  call(session, count(7));
  assert.deepEqual((await session.next()).body, { value: 1 });
});

test("an id that is in use is refused, and free again afterwards", async () => {
  const open: (() => void)[] = [];
  const { call, backend } = await system({
    unary: { Echo: (request, reply) => open.push(() => reply(null, request)) },
  });
  const session = testSession();
  const frame = '{"type":"call","id":1,"method":"chat.v1.Calls/Echo"}';
  call(session, frame);
  call(session, frame);
  assert.equal((await session.next()).reason, "CALL_ID_IN_USE");
  call(testSession(), frame);
  await backend.reached(2);
  open.shift()?.();
  assert.equal((await session.next()).type, "reply");
  call(session, frame);
  await backend.reached(3);
  for (const answer of open) answer();
});

test("a socket has a bound on its calls, and streams have one together", async () => {
  const { call, backend } = await system({ limits: { calls_per_connection: 2, streams: 3 } });
  const session = testSession();
  for (const id of [1, 2, 3]) call(session, count(id));
  assert.deepEqual((({ id, reason }) => ({ id, reason }))(await session.next()), {
    id: 3,
    reason: "TOO_MANY_CALLS",
  });
  await backend.reached(2);
  const other = testSession();
  call(other, count(1));
  await backend.reached(3);
  call(other, count(2));
  assert.equal((await other.next()).reason, "TOO_MANY_CALLS");
});

test("a reload frees no permit that is held, and waiting calls go to the new channel", async () => {
  const open: (() => void)[] = [];
  const { call, backend, bridge, plan, channel } = await system({
    unary: { Echo: (request, reply) => open.push(() => reply(null, request)) },
    streams: { Count: () => undefined },
    limits: { concurrency: 1, streams: 1 },
  });
  const session = testSession();
  const echoed = (id: number): string => `{"type":"call","id":${id},"method":"chat.v1.Calls/Echo"}`;
  call(session, count(1));
  call(session, echoed(2));
  call(session, echoed(3));
  await backend.reached(2);
  const next = await startBridge({}, backend.port);
  closing.push(next.close);
  bridge.use({ plan, channels: new Map([["chat", next.channel]]), check: () => undefined });
  const closed = channel.close();
  call(session, count(4));
  const { id, reason } = await session.next();
  assert.deepEqual([id, reason], [4, "TOO_MANY_CALLS"]);
  assert.equal(backend.seen.length, 2);
  open.shift()?.();
  assert.equal((await session.next()).id, 2);
  await backend.reached(3);
  open.shift()?.();
  assert.deepEqual(await session.next(), { type: "reply", id: 3, body: {} });
  bridge.cancel(session, 1);
  await closed;
});

test("all calls of a socket that closes are cancelled at the backend", async () => {
  let cancelled = 0;
  const both = withResolvers();
  const count2 = (): void => {
    if (++cancelled === 2) both.resolve();
  };
  const { call, bridge, backend, metric } = await system({
    unary: { Echo: (_request, _reply, rpc) => rpc.on("cancelled", count2) },
    streams: { Count: stream => stream.on("cancelled", count2) },
  });
  const session = testSession();
  call(session, '{"type":"call","id":1,"method":"chat.v1.Calls/Echo"}');
  call(session, count(2));
  await backend.reached(2);
  session.closed = true;
  bridge.sessionClosed(session);
  await both.promise;
  await bridge.close();
  assert.equal(session.frames.length, 0);
  assert.equal(await metric("protogate_ws_bridge_calls_in_flight"), 0);
});

test("a client that does not read stops the stream at the backend, loses nothing, and goes on", async () => {
  let written = 0;
  const total = 300;
  const produce = (stream: ServerWritableStream<Record<string, unknown>, object>): void => {
    const pad = "x".repeat(10_000);
    const more = (): void => {
      while (written < total) {
        written++;
        if (!stream.write({ value: written, pad })) {
          stream.once("drain", more);
          return;
        }
      }
      stream.end();
    };
    more();
  };
  const { call, bridge } = await system({ unary: { Echo: echo }, streams: { Count: produce } });
  const session = testSession();
  session.buffered = 1 << 20;
  call(session, count(1));
  await session.next();
  const other = testSession();
  for (let id = 0; id < 50; id++) {
    call(other, `{"type":"call","id":${id},"method":"chat.v1.Calls/Echo"}`);
    await other.next();
  }
  const before = session.frames.length;
  assert.ok(before < 5, `${before} frames reached a client that reads nothing`);
  assert.ok(written < total, `the backend could write all ${written}`);
  session.takes = false;
  session.buffered = 0;
  bridge.drained(session);
  session.takes = true;
  bridge.drained(session);
  await session.next(frame => frame.type === "end");
  const values = session.frames.slice(0, -1).map(frame => (frame.body as { value: number }).value);
  assert.deepEqual(
    values,
    Array.from({ length: total }, (_, i) => i + 1),
  );
});

test("a reply that the socket does not take waits until it does", async () => {
  const { call, bridge, backend } = await system({ unary: { Echo: echo } });
  const session = testSession();
  const refused = withResolvers();
  const { send } = session;
  session.send = () => {
    refused.resolve();
    return false;
  };
  call(session, '{"type":"call","id":1,"method":"chat.v1.Calls/Echo","body":{"text":"late"}}');
  await backend.reached(1);
  await refused.promise;
  session.send = send;
  bridge.drained(session);
  assert.deepEqual(await session.next(), { type: "reply", id: 1, body: { text: "late" } });
  call(session, '{"type":"call","id":1,"method":"chat.v1.Calls/Echo"}');
  assert.deepEqual(await session.next(), { type: "reply", id: 1, body: {} });
});

test("a bridge that is closed takes no call, and those under way have ended with an error", async () => {
  const { call, bridge, backend } = await system({ streams: { Count: () => undefined } });
  const session = testSession();
  call(session, count(1));
  await backend.reached(1);
  await bridge.close();
  assert.equal((await session.next()).reason, "SHUTTING_DOWN");
  call(session, count(2));
  assert.equal((await session.next()).reason, "SHUTTING_DOWN");
});
