import assert from "node:assert/strict";
import { once } from "node:events";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:http2";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { Cancellation } from "../../src/net/cancellation.js";
import { Code } from "../../src/status/code.js";
import type { Channel } from "../../src/upstream/channel.js";
import type { Balancing } from "../../src/upstream/options.js";
import { type Backend, openChannel, refusingAddress, startBackend, unaryCall, until } from "./backend.js";

/** Backends that respond with their own index, and hold calls whose request is "hold". */
let backends: Backend[];
const held: (() => void)[] = [];

before(async () => {
  backends = await Promise.all(
    [0, 1, 2].map(index =>
      startBackend({
        unary: (call, reply) => {
          const respond = () => reply(null, Buffer.from(String(index)));
          if (String(call.request) === "hold") held.push(respond);
          else respond();
        },
      }),
    ),
  );
});

after(() => {
  for (const { stop } of backends) stop();
});

function channelTo(balancing: Balancing, addresses = backends.map(({ address }) => address)): Channel {
  return openChannel(addresses, { balancing });
}

/** Which backend responded to each of these calls. */
async function responders(channel: Channel, count: number): Promise<string> {
  let all = "";
  for (let index = 0; index < count; index++) {
    const { status, message } = await channel.unary(unaryCall());
    assert.equal(status.code, Code.OK, status.message);
    all += String(message);
  }
  return all;
}

test("round robin picks endpoints strictly in turn", async () => {
  const channel = channelTo("round_robin");
  assert.equal(await responders(channel, 9), "012012012");
  await channel.close();
});

test("round robin spreads concurrent calls", async () => {
  const channel = channelTo("round_robin");
  const results = await Promise.all(Array.from({ length: 30 }, () => channel.unary(unaryCall())));
  for (const index of ["0", "1", "2"]) {
    assert.equal(results.filter(({ message }) => String(message) === index).length, 10);
  }
  await channel.close();
});

test("pick first stays with the first target", async () => {
  const channel = channelTo("pick_first");
  assert.equal(await responders(channel, 5), "00000");
  assert.deepEqual(
    channel.state().map(({ state }) => state),
    ["ready", "idle", "idle"],
  );
  await channel.close();
});

test("pick first moves on from a target that refuses, and stays there", async () => {
  const channel = channelTo("pick_first", [
    await refusingAddress(),
    backends[2]!.address,
    backends[1]!.address,
  ]);
  assert.equal(await responders(channel, 4), "2222");
  await channel.close();
});

test("least request prefers the endpoint with fewer calls under way", async () => {
  const channel = channelTo("least_request", [backends[0]!.address, backends[1]!.address]);
  const stuck = channel.unary(unaryCall({ request: Buffer.from("hold") }));
  await until(() => held.length === 1);
  const idle = channel.state().findIndex(({ pending }) => pending === 0);
  assert.equal(await responders(channel, 10), String(idle).repeat(10));
  for (const release of held.splice(0)) release();
  await stuck;
  await channel.close();
});

test("least request evens out concurrent calls", async () => {
  const channel = channelTo("least_request", [backends[0]!.address, backends[1]!.address]);
  const calls = Array.from({ length: 20 }, () => channel.unary(unaryCall({ request: Buffer.from("hold") })));
  assert.deepEqual(
    channel.state().map(({ pending }) => pending),
    [10, 10],
  );
  await until(() => held.length === 20);
  for (const release of held.splice(0)) release();
  await Promise.all(calls);
  await channel.close();
});

test("a target given twice is one endpoint", async () => {
  const [{ address }] = backends as [Backend];
  const channel = channelTo("round_robin", [address, `dns:///${address}`, `ipv4:${address}`]);
  assert.deepEqual(channel.state(), [{ address, state: "idle", pending: 0 }]);
  await channel.close();
});

test("no call fails when one of the endpoints stops, and none goes there afterwards", async () => {
  const stopping = await startBackend();
  const channel = channelTo("round_robin", [stopping.address, backends[0]!.address, backends[1]!.address]);
  await Promise.all([1, 2, 3].map(() => channel.unary(unaryCall())));
  stopping.stop();
  await until(() => channel.state()[0]?.state !== "ready");
  const results = await Promise.all(Array.from({ length: 20 }, () => channel.unary(unaryCall())));
  for (const { status } of results) assert.equal(status.code, Code.OK, status.message);
  await until(() => channel.state()[0]?.state === "failing");
  assert.equal(await responders(channel, 4).then(text => text.length), 4);
  await channel.close();
});

test("an endpoint that is reachable again takes calls again", async () => {
  const first = await startBackend();
  const channel = channelTo("round_robin", [first.address]);
  assert.equal((await channel.unary(unaryCall())).status.code, Code.OK);
  first.stop();
  await until(() => channel.state()[0]?.state !== "ready");
  assert.equal((await channel.unary(unaryCall())).status.origin, "connect");
  const second = await startBackend({ port: first.port });
  await until(() => channel.state()[0]?.state === "ready");
  assert.equal((await channel.unary(unaryCall())).status.code, Code.OK);
  await channel.close();
  second.stop();
});

test("a server that starts later gets calls", async () => {
  const address = await refusingAddress();
  const channel = channelTo("round_robin", [address]);
  assert.equal((await channel.unary(unaryCall())).status.origin, "connect");
  const backend = await startBackend({ port: Number(address.split(":")[1]) });
  await until(() => channel.state()[0]?.state === "ready");
  assert.equal((await channel.unary(unaryCall())).status.code, Code.OK);
  await channel.close();
  backend.stop();
});

test("a stream that the server refuses goes to another endpoint, whether or not it may be repeated", async () => {
  const sessions = new Set<{ destroy(): void }>();
  const refusing = createServer();
  refusing.on("session", session => sessions.add(session));
  refusing.on("stream", stream => {
    stream.on("error", () => {});
    stream.close(7);
  });
  refusing.listen(0, "127.0.0.1");
  await once(refusing, "listening");
  const { port } = refusing.address() as { port: number };
  const channel = channelTo("pick_first", [`127.0.0.1:${port}`, backends[1]!.address]);
  const result = await channel.unary(unaryCall({ retryable: false }));
  assert.equal(String(result.message), "1");
  assert.equal(result.attempts, 1);
  await channel.close();
  for (const session of sessions) session.destroy();
  refusing.close();
});

test("a name resolves to its addresses", async () => {
  const { port } = backends[0]!;
  const channel = channelTo("round_robin", [`dns:///localhost:${port}`]);
  const { status, message } = await channel.unary(unaryCall());
  assert.equal(status.code, Code.OK, status.message);
  assert.equal(String(message), "0");
  const addresses = channel.state().map(({ address }) => address);
  assert.ok(addresses.includes(`127.0.0.1:${port}`), addresses.join());
  await channel.close();
});

test("the :authority of calls is the target as configured", async () => {
  let authority = "";
  const backend = await startBackend({
    unary: (call, reply) => {
      authority = call.getHost();
      reply(null, call.request);
    },
  });
  const channel = channelTo("round_robin", [`localhost:${backend.port}`]);
  await channel.unary(unaryCall());
  assert.equal(authority, `localhost:${backend.port}`);
  await channel.close();
  backend.stop();
});

test("a name that does not resolve fails calls at once with the reason", async () => {
  const channel = channelTo("round_robin", ["nowhere.invalid:50051"]);
  const { status } = await channel.unary(unaryCall({ timeout: 60_000 }));
  assert.equal(status.code, Code.UNAVAILABLE);
  assert.equal(status.origin, "connect");
  assert.match(status.message, /"nowhere\.invalid" does not resolve/);
  assert.deepEqual(channel.state(), []);
  await channel.close();
});

test("a name that does not resolve does not delay the other targets", async () => {
  const channel = channelTo("round_robin", ["nowhere.invalid:50051", backends[1]!.address]);
  assert.equal(await responders(channel, 2), "11");
  await channel.close();
});

test("a call that waits for a name to resolve is cancelled at once", async () => {
  const channel = channelTo("round_robin", ["nowhere.invalid:50051"]);
  const cancellation = new Cancellation();
  const call = channel.unary(unaryCall({ cancellation }));
  cancellation.cancel();
  assert.equal((await call).status.origin, "cancelled");
  await channel.close();
});

test("a UNIX socket can be a target", async () => {
  const folder = mkdtempSync(join(tmpdir(), "protogate-"));
  const path = join(folder, "backend.sock");
  const server = createServer();
  const sessions = new Set<{ destroy(): void }>();
  server.on("session", session => sessions.add(session));
  server.on("stream", stream => {
    stream.respond(
      { ":status": 200, "content-type": "application/grpc", "grpc-status": "5" },
      { endStream: true },
    );
  });
  server.listen(path);
  await once(server, "listening");
  assert.ok(existsSync(path));
  const channel = channelTo("round_robin", [`unix:${path}`]);
  const { status } = await channel.unary(unaryCall());
  assert.equal(status.code, Code.NOT_FOUND);
  assert.equal(status.origin, "backend");
  await channel.close();
  for (const session of sessions) session.destroy();
  server.close();
  rmSync(folder, { recursive: true });
});
