import assert from "node:assert/strict";
import { once } from "node:events";
import { after, before, test } from "node:test";
import { Metadata, type ServerUnaryCall, status } from "@grpc/grpc-js";
import { Cancellation } from "../../src/net/cancellation.js";
import { Code } from "../../src/status/code.js";
import { callFailure } from "../../src/upstream/call/call-failure.js";
import type { Channel } from "../../src/upstream/channel.js";
import { createChannel } from "../../src/upstream/create-channel.js";
import {
  type Backend,
  openChannel,
  refusingAddress,
  startBackend,
  type UnaryHandler,
  unaryCall,
  unaryPath,
} from "./backend.js";
import { underTest } from "./transport-under-test.js";

let backend: Backend;
let channel: Channel;
let handler: UnaryHandler;

before(async () => {
  backend = await startBackend({ unary: (call, reply) => handler(call, reply) });
  channel = openChannel([backend.address], { maxMessageSize: 1000, userAgent: "protogate/1.2.3" });
});

after(async () => {
  await channel.close();
  backend.stop();
});

/** Resolves with the next call that the backend gets and never responds to. */
function nextCall(): Promise<ServerUnaryCall<Buffer, Buffer>> {
  return new Promise(resolve => {
    handler = resolve;
  });
}

test("request and response pass as bytes", async () => {
  handler = (call, reply) => reply(null, Buffer.concat([call.request, Buffer.from([0, 255])]));
  const result = await channel.unary(unaryCall({ request: new Uint8Array([1, 2]) }));
  assert.deepEqual(result.status, { code: 0, message: "", origin: undefined });
  assert.deepEqual([...(result.message ?? [])], [1, 2, 0, 255]);
  assert.equal(result.attempts, 1);
});

test("an empty response message is delivered", async () => {
  handler = (_call, reply) => reply(null, Buffer.alloc(0));
  const result = await channel.unary(unaryCall({ request: new Uint8Array(0) }));
  assert.equal(result.status.code, Code.OK);
  assert.equal(result.message?.length, 0);
});

test("metadata passes in both directions, text as text and -bin as bytes", async () => {
  let received = new Metadata();
  handler = (call, reply) => {
    received = call.metadata;
    const headers = new Metadata();
    headers.add("x-head", "h1");
    headers.add("set-cookie", "a=1");
    headers.add("set-cookie", "b=2");
    call.sendMetadata(headers);
    const trailers = new Metadata();
    trailers.add("x-tail-bin", Buffer.from([0, 200]));
    reply(null, call.request, trailers);
  };
  const result = await channel.unary(
    unaryCall({
      metadata: [
        ["x-text", "plain"],
        ["x-multi", "one"],
        ["x-multi", "two"],
        ["x-raw-bin", new Uint8Array([255, 0, 1])],
      ],
    }),
  );
  assert.deepEqual(received.get("x-text"), ["plain"]);
  assert.deepEqual(received.get("x-multi").join(), "one, two");
  assert.deepEqual(received.get("x-raw-bin"), [Buffer.from([255, 0, 1])]);
  assert.match(String(received.get("user-agent")[0]), /^protogate\/1\.2\.3($| grpc-node-js\/)/);
  assert.deepEqual(
    result.headers.filter(([name]) => name !== "date"),
    [
      ["x-head", "h1"],
      ["set-cookie", "a=1"],
      ["set-cookie", "b=2"],
    ],
  );
  assert.deepEqual(result.trailers, [["x-tail-bin", Buffer.from([0, 200])]]);
});

for (const code of [
  Code.DEADLINE_EXCEEDED,
  Code.CANCELLED,
  Code.UNAVAILABLE,
  Code.RESOURCE_EXHAUSTED,
  1501,
]) {
  test(`code ${code} is the backend's where the backend responds with it`, async () => {
    handler = (_call, reply) => reply({ code, details: "no, täglich" });
    const result = await channel.unary(unaryCall());
    assert.deepEqual(result.status, { code, message: "no, täglich", origin: "backend" });
    assert.equal(result.message, undefined);
    assert.equal(result.attempts, 1);
  });
}

test("a failure after initial metadata has the origin backend", async () => {
  handler = (call, reply) => {
    call.sendMetadata(new Metadata());
    reply({ code: status.UNAVAILABLE, details: "later" });
  };
  const result = await channel.unary(unaryCall());
  assert.deepEqual(result.status, { code: Code.UNAVAILABLE, message: "later", origin: "backend" });
});

test("grpc-status-details-bin is among the trailers as bytes", async () => {
  const details = Buffer.from([8, 5, 18, 1, 120]);
  handler = (_call, reply) => {
    const trailers = new Metadata();
    trailers.set("grpc-status-details-bin", details);
    reply({ code: status.NOT_FOUND, details: "x", metadata: trailers });
  };
  const result = await channel.unary(unaryCall());
  assert.deepEqual(new Map(result.trailers).get("grpc-status-details-bin"), details);
});

test("the deadline ends the call and is sent to the backend", async () => {
  const arrived = nextCall();
  const pending = channel.unary(unaryCall({ timeout: 300 }));
  const call = await arrived;
  const left = Number(call.getDeadline()) - Date.now();
  assert.ok(left > 0 && left <= 301, `deadline in ${left} ms`);
  const result = await pending;
  assert.equal(result.status.code, Code.DEADLINE_EXCEEDED);
  assert.equal(result.status.origin, "deadline");
  assert.match(result.status.message, /^no response from 127\.0\.0\.1:\d+ within 300 ms$/);
  assert.equal(result.attempts, 1);
});

test("a deadline that has passed already sends nothing", async () => {
  const { calls } = backend;
  const result = await channel.unary(unaryCall({ timeout: 0 }));
  assert.equal(result.status.origin, "deadline");
  assert.equal(result.attempts, 0);
  assert.equal(backend.calls, calls);
});

test("a deadline beyond what a timer can hold does not end the call at once", async () => {
  handler = (call, reply) => reply(null, call.request);
  const result = await channel.unary(unaryCall({ timeout: 2 ** 40 }));
  assert.equal(result.status.code, Code.OK);
});

test("a caller that leaves cancels the call at the backend", async () => {
  const arrived = nextCall();
  const cancellation = new Cancellation();
  const pending = channel.unary(unaryCall({ cancellation }));
  const call = await arrived;
  const cancelled = once(call, "cancelled");
  cancellation.cancel();
  const result = await pending;
  assert.deepEqual(result.status, {
    code: Code.CANCELLED,
    message: "the caller disconnected",
    origin: "cancelled",
  });
  await cancelled;
});

test("a call cancelled beforehand is never sent", async () => {
  const { calls } = backend;
  const cancellation = new Cancellation();
  cancellation.cancel();
  const result = await channel.unary(unaryCall({ cancellation }));
  assert.equal(result.status.origin, "cancelled");
  assert.equal(result.attempts, 0);
  assert.equal(backend.calls, calls);
});

test("a cancellation after the end of a call changes nothing", async () => {
  handler = (call, reply) => reply(null, call.request);
  const cancellation = new Cancellation();
  const result = await channel.unary(unaryCall({ cancellation }));
  cancellation.cancel();
  assert.equal(result.status.code, Code.OK);
});

test("a request that is too large is not sent", async () => {
  const { calls } = backend;
  const result = await channel.unary(unaryCall({ request: Buffer.alloc(1001) }));
  assert.deepEqual(result.status, {
    code: Code.RESOURCE_EXHAUSTED,
    message: "the request message has 1001 bytes, at most 1000 are allowed",
    origin: "request size",
    limit: 1000,
  });
  assert.match(
    callFailure(result).message,
    /request message is larger than 1000 bytes, the max_message_size/,
  );
  assert.equal(result.attempts, 0);
  assert.equal(backend.calls, calls);
});

test("a response message that is too large fails the call", async () => {
  handler = (_call, reply) => reply(null, Buffer.alloc(1001));
  const result = await channel.unary(unaryCall());
  assert.equal(result.status.code, Code.RESOURCE_EXHAUSTED);
  assert.equal(result.status.origin, "size");
  assert.match(
    callFailure(result).message,
    /response message is larger than 1000 bytes, the max_message_size/,
  );
  assert.equal(result.attempts, 1);
});

const illegal: readonly (readonly [what: string, name: string, value: string | Uint8Array])[] = [
  ["an upper-case name", "X-Name", "v"],
  ["a pseudo-header", ":path", "/x"],
  ["an empty name", "", "v"],
  ["a line break in a value", "x-name", "a\r\nb"],
  ["a value beyond ASCII", "x-name", "é"],
  ["text under a -bin name", "x-name-bin", "text"],
  ["bytes under a text name", "x-name", new Uint8Array([1])],
  ["a name that HTTP/2 forbids", "connection", "close"],
  ["a name that belongs to the transport", "grpc-timeout", "1S"],
  ["__proto__", "__proto__", "v"],
];

for (const [what, name, value] of illegal) {
  test(`metadata with ${what} fails the call before it is sent`, async () => {
    const { calls } = backend;
    const result = await channel.unary(unaryCall({ metadata: [[name, value]] }));
    assert.equal(result.status.code, Code.INTERNAL);
    assert.equal(result.status.origin, "request");
    assert.match(result.status.message, /^metadata ".*" cannot be sent: /);
    assert.equal(result.attempts, 0);
    assert.equal(backend.calls, calls);
  });
}

test("a second authorization fails its own call only", async () => {
  handler = (call, reply) => setImmediate(() => reply(null, call.request));
  const good = channel.unary(unaryCall());
  const bad = await channel.unary(
    unaryCall({
      metadata: [
        ["authorization", "a"],
        ["authorization", "b"],
      ],
    }),
  );
  assert.equal(bad.status.origin, "request");
  assert.equal((await good).status.code, Code.OK);
});

test("an illegal path fails the call before it is sent", async () => {
  const result = await channel.unary(unaryCall({ path: "/test.Service/Un ary\n" }));
  assert.equal(result.status.origin, "request");
});

test("an upstream that cannot be reached fails at once and not at the deadline", async () => {
  const address = await refusingAddress();
  const unreachable = openChannel([address]);
  const result = await unreachable.unary(unaryCall({ timeout: 2 ** 30 }));
  assert.equal(result.status.code, Code.UNAVAILABLE);
  assert.equal(result.status.origin, "connect");
  assert.match(result.status.message, /ECONNREFUSED/);
  assert.equal(result.attempts, 0);
  assert.deepEqual(unreachable.state(), [{ address, state: "failing", pending: 0 }]);
  await unreachable.close();
});

test("the state of an endpoint counts the calls under way", async () => {
  const arrived = nextCall();
  const cancellation = new Cancellation();
  const pending = channel.unary(unaryCall({ cancellation }));
  await arrived;
  assert.deepEqual(channel.state(), [{ address: backend.address, state: "ready", pending: 1 }]);
  cancellation.cancel();
  await pending;
  assert.equal(channel.state()[0]?.pending, 0);
});

test("closing a channel waits for the calls under way and refuses new ones", async () => {
  const closing = openChannel([backend.address]);
  const arrived = new Promise<() => void>(resolve => {
    handler = (call, reply) => resolve(() => reply(null, call.request));
  });
  const under = closing.unary(unaryCall());
  const respond = await arrived;
  const closed = closing.close();
  const refused = await closing.unary(unaryCall());
  assert.deepEqual(refused.status, {
    code: Code.UNAVAILABLE,
    message: "the channel is closed",
    origin: "connect",
  });
  respond();
  assert.equal((await under).status.code, Code.OK);
  await closed;
  assert.equal(closing.close(), closing.close());
});

test("an observer is called once for each call", async () => {
  handler = (_call, reply) => reply({ code: status.NOT_FOUND, details: "" });
  const events: string[] = [];
  const observed = openChannel(
    [backend.address],
    {},
    {
      started: path => events.push(`started ${path}`),
      finished: (path, code, seconds) => {
        assert.ok(seconds > 0 && seconds < 10);
        events.push(`finished ${path} ${code}`);
      },
      retried: path => events.push(`retried ${path}`),
      resent: path => events.push(`resent ${path}`),
    },
  );
  await observed.unary(unaryCall());
  assert.deepEqual(events, [`started ${unaryPath}`, `finished ${unaryPath} 5`]);
  await observed.close();
});

test("a target that cannot be parsed is an error with the upstream's name", () => {
  const options = {
    name: "chat",
    targets: ["nonsense"],
    balancing: "pick_first",
    maxMessageSize: 1,
    ...underTest,
  } as const;
  assert.throws(
    () => createChannel(options),
    /^Error: upstream "chat": expected a target .* found "nonsense"$/,
  );
});
