import assert from "node:assert/strict";
import { once } from "node:events";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { type TestContext, test } from "node:test";
import type { Client, Room } from "../../clients/js/src/index.js";
import { createRedisBroker } from "../../src/realtime/brokers/redis-broker.js";
import { startLine } from "../demo/page/line.js";
import { missing, startRedis } from "../realtime/brokers/servers.js";
import { serve, type TestServer } from "../realtime/harness.js";
import { get, type Served, serve as serveProcess } from "../workers/served.js";
import { connectTo, Ledger, served as realtime, transports } from "./members.js";

/** A gateway of two workers. */
async function serveTwo(t: TestContext): Promise<{ readonly port: number; readonly served: Served }> {
  const served = serveProcess(`
listeners: { http: { address: 127.0.0.1:0 }, realtime: { address: 127.0.0.1:0 }, admin: { address: 127.0.0.1:0 } }
upstreams: { echo: { targets: ["127.0.0.1:1"] } }
services: [{ service: test.v1.Echo, upstream: echo }]
realtime: { ${realtime}, auth: none, origins: ["*"], history: { messages: 1000 }, limits: { message: 1KiB } }
server: { workers: 2, drain: 1s }`);
  t.after(() => served.close());
  const ready = await served.logged(({ msg }) => msg === "ready");
  return { port: Number(ready.realtime), served };
}

test("a client and a gateway agree on rooms, presence and who joins and leaves", async t => {
  const { port } = await serve(t);
  const ann = connectTo(t, port);
  await agree(ann, connectTo(t, port));
  await assert.rejects(ann.call("a.B/C"), { reason: "ROUTE_NOT_FOUND" });
});

test("clients on two workers of a gateway agree on rooms, presence and who joins and leaves", async t => {
  const { port, served } = await serveTwo(t);
  const found = new Map<unknown, Client>();
  while (found.size < 2) {
    const before = served.log.length;
    const client = connectTo(t, port);
    client.connect();
    const line = await served.logged(
      each => each.path === "/ws" && each.status === 101 && served.log.indexOf(each) >= before,
    );
    if (found.has(line.worker)) client.close();
    else found.set(line.worker, client);
  }
  const [ann, bob] = [...found.values()] as [Client, Client];
  await agree(ann, bob);
  await refusesLarge(ann.room("y", { from: "Ann" }));
});

async function agree(ann: Client, bob: Client): Promise<void> {
  const room = ann.room("x", { from: "Ann" });
  const ledger = new Ledger(room);
  await room.join();
  const entered = new Promise(resolve => room.on("enter", resolve));
  const left = new Promise(resolve => room.on("leave", resolve));
  const theirs = bob.room("x", { from: "Bob", last: 10 });
  await room.send("earlier");
  const seen = new Ledger(theirs);
  await theirs.join();
  assert.equal(await entered, "Bob");
  await theirs.send("hello");
  await Promise.all([ledger.has("hello"), seen.has("hello")]);
  assert.deepEqual(await room.presence(), { count: 2, members: ["Ann", "Bob"] });
  await theirs.leave();
  assert.equal(await left, "Bob");
  assert.deepEqual(
    [ledger.texts, seen.texts],
    [
      ["earlier", "hello"],
      ["earlier", "hello"],
    ],
  );
}

test("a client checks an idle connection by pings that the gateway returns", async t => {
  const { port, metric } = await serve(t);
  const client = connectTo(t, port, { heartbeat: 20, responseTimeout: 60_000 });
  await client.room("x", { from: "Ann" }).join();
  const pings = 'protogate_ws_messages_total{direction="in",type="ping"}';
  while ((await metric(pings)) < 2) await new Promise(resolve => setImmediate(resolve));
  assert.equal(client.state.state, "open");
});

test("a network that takes TCP connections and says nothing is noticed by the connect timeout", async t => {
  const held = new Set<Socket>();
  const deaf = createServer(socket => held.add(socket.on("error", () => undefined)));
  deaf.listen(0, "127.0.0.1");
  await once(deaf, "listening");
  t.after(() => {
    for (const socket of held) socket.destroy();
    deaf.close();
  });
  const client = connectTo(t, (deaf.address() as AddressInfo).port, { connectTimeout: 50 });
  const waiting = new Promise<string>(resolve =>
    client.on("state", state => {
      if (state.state === "waiting") resolve(state.reason);
    }),
  );
  client.connect();
  assert.equal(await waiting, "no connection within 50 ms");
});

test("a frame above the limit of the gateway fails what was sent, and the room goes on", async t => {
  const { port } = await serve(t, { sockets: { messageLimit: 1024 } });
  await refusesLarge(connectTo(t, port).room("x", { from: "Ann" }));
});

async function refusesLarge(room: Room): Promise<void> {
  await room.join();
  await assert.rejects(room.send("x".repeat(1500)), { reason: "MESSAGE_TOO_LARGE" });
  await room.send("small");
}

test("every message is delivered once and in order, whatever the transport, while the workers of a gateway are killed one after the other", async t => {
  const { port, served } = await serveTwo(t);
  const admin = served.log.find(({ msg }) => msg === "ready")?.admin;
  const ledgers: Ledger[] = [];
  const rooms: Room[] = [];
  for (let member = 0; member < 6; member++) {
    const transport = transports[member % 3] ?? "websocket";
    const room = connectTo(t, port, { transports: [transport] }).room("x", { from: `M${member}` });
    rooms.push(room);
    ledgers.push(new Ledger(room));
    await room.join();
  }
  const sent: string[] = [];
  let count = 0;
  const say = async (): Promise<void> => {
    const text = `${++count}`;
    const outcome = await rooms[count % rooms.length]?.send(text).then(
      () => "sent",
      (error: { uncertain: boolean }) => (error.uncertain ? "uncertain" : "refused"),
    );
    assert.notEqual(outcome, "refused");
    if (outcome === "sent") sent.push(text);
  };
  for (const worker of [1, 2, 1]) {
    for (let message = 0; message < 20; message++) await say();
    const { workers } = JSON.parse((await get(`http://127.0.0.1:${admin}/config`)).text);
    const before = served.log.length;
    process.kill(workers.find((each: { worker: number }) => each.worker === worker).pid, "SIGKILL");
    for (let message = 0; message < 20; message++) await say();
    await served.logged(
      line => /^another worker serves/.test(String(line.msg)) && served.log.indexOf(line) >= before,
    );
  }
  await say();
  for (const ledger of ledgers) {
    await ledger.has(sent.at(-1) ?? "");
    assert.deepEqual([ledger.lost, ledger.epochs], [0, 0]);
    const numbers = ledger.texts.map(Number);
    assert.deepEqual(
      numbers,
      [...new Set(numbers)].sort((a, b) => a - b),
    );
    // What the client could not know to be sent may have been.
    assert.deepEqual(
      sent.filter(text => !ledger.texts.includes(text)),
      [],
    );
  }
});

test("every message is accounted for when gateways without a broker are restarted", async t => {
  await restarts(
    t,
    () => serve(t),
    ledger => assert.equal(ledger.epochs, rounds),
  );
});

test("every message is delivered once and in order when gateways on Redis are restarted one after the other", {
  skip: missing("redis-server"),
}, async t => {
  const redis = await startRedis();
  t.after(() => redis.close());
  const url = `redis://127.0.0.1:${redis.port}`;
  const history = { messages: 1000, ttl: 3_600_000, maxBytes: 64 * 1024 ** 2 };
  const node = (): Promise<TestServer> =>
    serve(t, { broker: createRedisBroker({ url, prefix: "t:", history, logger: undefined }) });
  await restarts(t, node, (ledger, sent) => {
    assert.deepEqual([ledger.lost, ledger.epochs], [0, 0]);
    assert.deepEqual(ledger.texts, sent);
  });
});

const rounds = 3;

/** Members stay in a room while the gateway behind them is replaced again and again, and one of them speaks. */
async function restarts(
  t: TestContext,
  start: () => Promise<TestServer>,
  check: (ledger: Ledger, sent: readonly string[]) => void,
): Promise<void> {
  let server = await start();
  const line = await startLine(server.port);
  t.after(() => line.close());
  const speaker = connectTo(t, line.port);
  const room = speaker.room("x", { from: "S" });
  const ledgers = [new Ledger(room)];
  await room.join();
  for (let i = 0; i < 3; i++) {
    const member = connectTo(t, line.port).room("x", { from: `M${i}` });
    ledgers.push(new Ledger(member));
    await member.join();
  }
  const sent: string[] = [];
  let count = 0;
  const say = async (): Promise<void> => {
    const text = `${++count}`;
    const outcome = await room.send(text).then(
      () => "sent",
      (error: { uncertain: boolean }) => (error.uncertain ? "uncertain" : "refused"),
    );
    assert.notEqual(outcome, "refused");
    if (outcome === "sent") sent.push(text);
  };
  for (let round = 0; round < rounds; round++) {
    for (let i = 0; i < 20; i++) await say();
    for (const ledger of ledgers) await ledger.has(sent.at(-1) ?? "");
    const replacement = await start();
    line.restore(replacement.port);
    const closed = server.realtime.close(200);
    server.stop();
    await closed;
    server = replacement;
    for (let i = 0; i < 5; i++) await say();
  }
  await say();
  for (const ledger of ledgers) {
    await ledger.has(sent.at(-1) ?? "");
    assert.equal(new Set(ledger.texts).size, ledger.texts.length, "delivered twice");
    assert.deepEqual(
      ledger.texts.map(Number),
      ledger.texts.map(Number).sort((a, b) => a - b),
    );
    check(ledger, sent);
  }
}
