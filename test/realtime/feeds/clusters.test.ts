import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, type TestContext, test } from "node:test";
import { jetstreamManager } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";
import { Redis } from "ioredis";
import { WebSocket } from "ws";
import { uwsSkipped } from "../../engine.js";
import { send, startTestGateway, type TestGateway } from "../../gateway/harness.js";
import { get, type Served, serve } from "../../workers/served.js";
import { missing, startNats, startRedis, startWire, type TestServer } from "../brokers/servers.js";
import { Client, type Json } from "../harness.js";
import { member } from "./member.js";
import { pricesProto, startWatchBackend, type WatchBackend } from "./watch-backend.js";

/** `writes`: how many times something was written to the server of a broker. */
const brokers = [
  {
    type: "redis",
    program: "redis-server",
    start: startRedis,
    writes: async (port: number): Promise<number> => {
      const redis = new Redis({ port, host: "127.0.0.1" });
      const [, calls] = /^cmdstat_evalsha:calls=(\d+)/m.exec(await redis.info("commandstats")) ?? [];
      redis.disconnect();
      return Number(calls);
    },
  },
  {
    type: "nats",
    program: "nats-server",
    start: startNats,
    writes: async (port: number): Promise<number> => {
      const connection = await connect({ servers: `nats://127.0.0.1:${port}` });
      const { state } = await (await jetstreamManager(connection)).streams.info("feeds_rooms");
      await connection.close();
      return state.last_seq;
    },
  },
] as const;

function sections(backend: number, broker: string): string {
  return `
upstreams: { market: { targets: ["127.0.0.1:${backend}"] } }
realtime:
  auth: none
  broker: ${broker}
  history: { messages: 1000 }
  rooms:
    - match: "price-{symbol}"
      publish: server
      presence: "off"
      feed: { upstream: market, method: market.v1.Prices/Watch, cursor: id, resume_field: after_id }
server: { drain: 1s }
`;
}

/** A backend and the server of a broker for one test, and the sections of the gateways that share both. */
async function surround(t: TestContext, type: string, start: () => Promise<TestServer>) {
  const backend = await startWatchBackend();
  const server = await start();
  const gateways: TestGateway[] = [];
  t.after(async () => {
    // First, since they release their leases.
    for (const gateway of gateways) await gateway.close();
    backend.kill();
    await server.close();
  });
  const broker = `{ type: ${type}, url: "${type}://127.0.0.1:${server.port}", prefix: feeds, lease: 4s }`;
  const open = async (yaml: string): Promise<TestGateway> => {
    const gateway = await startTestGateway(yaml, { "protos/prices.proto": pricesProto });
    gateways.push(gateway);
    return gateway;
  };
  return { backend, server, shared: sections(backend.port, broker), open };
}

/** Prices come until the test ends, whoever watches. */
function steadily(t: TestContext, backend: WatchBackend): void {
  const timer = setInterval(() => backend.price(), 5);
  t.after(() => clearInterval(timer));
}

/** Reads prices until the condition holds after one of them; none may be missing or there twice. */
class Reader {
  #id: number | undefined;
  #seq = 0;

  constructor(readonly client: Client) {}

  async until(fits: (id: number) => boolean): Promise<number> {
    for (;;) {
      const { seq, data } = await this.client.next("receive-message");
      const id = Number((data as Json).id);
      if (this.#id !== undefined) assert.deepEqual([id, seq], [this.#id + 1, this.#seq + 1]);
      this.#id = id;
      this.#seq = Number(seq);
      if (fits(id)) return id;
    }
  }
}

for (const { type, program, start, writes } of brokers) {
  describe(`rooms fed by streams of two gateways over ${type}`, { skip: missing(program) }, () => {
    test(`over ${type} one gateway has the stream, and another with members takes it over at once from one that drains`, async t => {
      const { backend, shared } = await surround(t, type, start);
      const yaml = `descriptors: [{ protos: ./protos }]\n${shared}`;
      const gateways = await Promise.all(
        [1, 2].map(() => startTestGateway(yaml, { "protos/prices.proto": pricesProto })),
      );
      const [a, b] = gateways as [(typeof gateways)[0], (typeof gateways)[0]];
      let closing: Promise<void> | undefined;
      t.after(async () => {
        await (closing ?? a.close());
        await b.close();
      });
      await member(t, a.realtimePort);
      await backend.until(() => backend.open.length === 1);
      const client = await member(t, b.realtimePort);
      const reader = new Reader(client);
      steadily(t, backend);
      await reader.until(id => id >= 50);
      assert.equal(backend.watches.length, 1);
      closing = a.close();
      await backend.until(() => backend.watches.length === 2);
      const taken = Number(backend.watches[1]?.request.after_id);
      assert.ok(taken >= 50);
      await reader.until(id => id >= taken + 50);
      assert.equal(backend.open.length, 1);
      await closing;
    });

    test(`messages that come while others are on their way to ${type} are stored together, in their order`, async t => {
      const { backend, server, shared, open } = await surround(t, type, start);
      const yaml = `descriptors: [{ protos: ./protos }]\n${shared}`;
      const gateway = await open(yaml);
      const client = await member(t, gateway.realtimePort);
      await backend.until(() => backend.open.length === 1);
      const before = await writes(server.port);
      for (let count = 0; count < 1000; count++) backend.price();
      await new Reader(client).until(id => id === 1000);
      const written = (await writes(server.port)) - before;
      assert.ok(written < 500, `${written} writes`);
    });

    test(`while the server of ${type} hangs nothing is read from the backend, and afterwards every message is published once`, async t => {
      const { backend, server, shared, open } = await surround(t, type, start);
      const yaml = `descriptors: [{ protos: ./protos }]\n${shared}`;
      const gateway = await open(yaml);
      const client = await member(t, gateway.realtimePort);
      await backend.until(() => backend.open.length === 1);
      const [watch] = backend.open;
      server.suspend();
      const more = { pad: "x".repeat(32_000) };
      let sent = 0;
      while (watch?.send(++sent, more) === true) await new Promise(resolve => setImmediate(resolve));
      // Far less than it would take to fill the memory of a gateway that reads on.
      assert.ok(sent < 1000, `${sent} messages were taken`);
      server.resume();
      await new Reader(client).until(id => id === sent);
    });

    /** Two gateways in processes of their own; the first has the stream. */
    async function two(t: TestContext) {
      const { backend, shared } = await surround(t, type, start);
      const listeners =
        "listeners: { http: { address: 127.0.0.1:0 }, realtime: { address: 127.0.0.1:0 }, admin: { address: 127.0.0.1:0 } }\n";
      const yaml = `${listeners}${shared}`;
      const gateways = [serve(yaml, pricesProto), serve(yaml, pricesProto)] as const;
      t.after(() => Promise.all(gateways.map(each => each.close())));
      const realtime = async (each: Served) => (await each.logged(({ msg }) => msg === "ready")).realtime;
      await member(t, await realtime(gateways[0]));
      await backend.until(() => backend.open.length === 1);
      const reader = new Reader(await member(t, await realtime(gateways[1])));
      steadily(t, backend);
      await reader.until(id => id >= 50);
      return { backend, holder: gateways[0], reader };
    }

    test(`over ${type} a gateway takes over the feed of one that was killed, and members get every message once`, async t => {
      const { backend, holder, reader } = await two(t);
      holder.signal("SIGKILL");
      await backend.until(() => backend.watches.length === 2);
      const taken = Number(backend.watches[1]?.request.after_id);
      await reader.until(id => id >= taken + 200);
    });

    test(`over ${type} a gateway that goes on after another has taken over its feed publishes nothing, and members get every message once`, async t => {
      const { backend, holder, reader } = await two(t);
      holder.signal("SIGSTOP");
      await backend.until(() => backend.watches.length === 2);
      const taken = Number(backend.watches[1]?.request.after_id);
      await reader.until(id => id >= taken + 200);
      assert.equal(backend.open.length, 2);
      holder.signal("SIGCONT");
      await holder.logged(({ msg }) => /another gateway feeds the room/.test(String(msg)));
      await backend.until(() => backend.open.length === 1);
      assert.equal(backend.watches.length, 2);
      const last = backend.price();
      await reader.until(id => id >= last + 50);
    });
  });
}

test("a message of a stream that is larger than NATS takes is left out, and those around it are published", {
  skip: missing("nats-server"),
}, async t => {
  const folder = mkdtempSync(join(tmpdir(), "protogate-nats-"));
  t.after(() => rmSync(folder, { recursive: true }));
  writeFileSync(join(folder, "small.conf"), "max_payload: 32768\n");
  const start = () => startNats(true, ["-c", join(folder, "small.conf")]);
  const { backend, shared, open } = await surround(t, "nats", start);
  const gateway = await open(`descriptors: [{ protos: ./protos }]\n${shared}`);
  const client = await member(t, gateway.realtimePort);
  await backend.until(() => backend.open.length === 1);
  const [watch] = backend.open;
  const ids = Array.from({ length: 100 }, (_, index) => index + 1);
  for (const id of ids) watch?.send(id, { pad: "x".repeat(id === 50 ? 40_000 : 1000) });
  const expected = ids.filter(id => id !== 50);
  for (const [index, id] of expected.entries()) {
    const { data, seq } = await client.next("receive-message");
    assert.deepEqual([Number((data as Json).id), seq], [id, index + 1]);
  }
  const { text } = await send(`${gateway.admin}/metrics`);
  assert.match(text, /protogate_ws_feed_messages_total\{result="too_large"\} 1\n/);
});

test("a reload while nobody knows whether a message was stored loses none that comes after, and doubles none", {
  skip: missing("redis-server"),
}, async t => {
  const { backend, server, shared, open } = await surround(t, "redis", startRedis);
  const wire = await startWire(server.port);
  t.after(() => wire.close());
  // The backend does not send again what it has sent.
  const yaml = `descriptors: [{ protos: ./protos }]\n${shared}`
    .replace(`:${server.port}`, `:${wire.port}`)
    .replace(", cursor: id, resume_field: after_id", "");
  const gateway = await open(yaml);
  const client = await member(t, gateway.realtimePort);
  const prices = async (count: number): Promise<unknown[]> => {
    const found: unknown[] = [];
    while (found.length < count) {
      const { data, seq } = await client.next("receive-message");
      found.push([Number((data as Json).id), seq]);
    }
    return found;
  };
  await backend.until(() => backend.open.length === 1);
  for (let count = 0; count < 3; count++) backend.price();
  assert.deepEqual(await prices(3), [
    [1, 1],
    [2, 2],
    [3, 3],
  ]);
  server.suspend();
  const passed = wire.passed('"id":"4"');
  backend.price();
  await passed;
  await wire.cut();
  gateway.write("gateway.yaml", yaml.replace("method: market", "event: price, method: market"));
  await gateway.reload();
  server.resume();
  await wire.mend();
  await backend.until(() => backend.watches.length === 2);
  for (let count = 0; count < 2; count++) backend.price();
  assert.deepEqual(await prices(3), [
    [4, 4],
    [5, 5],
    [6, 6],
  ]);
});

describe("rooms fed by a stream of one of two workers", { skip: await uwsSkipped() }, () => {
  test("when the worker that has the stream of a room ends, another one with members takes it over at once", async t => {
    const backend = await startWatchBackend();
    t.after(() => backend.kill());
    const listeners =
      "listeners: { http: { address: 127.0.0.1:0 }, realtime: { address: 127.0.0.1:0 }, admin: { address: 127.0.0.1:0 } }\n";
    const yaml =
      listeners + sections(backend.port, "{ type: memory }").replace("drain: 1s", "workers: 2, drain: 1s");
    const served = serve(yaml, pricesProto);
    t.after(() => served.close());
    const { realtime, admin } = await served.logged(({ msg }) => msg === "ready");
    /** A client, with the number of its worker. */
    const open = async (id: string): Promise<{ readonly client: Client; readonly worker: unknown }> => {
      const client = new Client(
        new WebSocket(`ws://127.0.0.1:${realtime}/ws`, { headers: { "x-request-id": id } }),
      );
      t.after(() => client.socket.terminate());
      await client.opened;
      const { worker } = await served.logged(line => line.request_id === id);
      return { client, worker };
    };
    const first = await open("first");
    await first.client.join("price-ACME", "jdoe");
    await backend.until(() => backend.open.length === 1);
    // The system deals connections out by chance.
    let other = await open("other-0");
    for (let n = 1; other.worker === first.worker; n++) {
      other.client.socket.terminate();
      other = await open(`other-${n}`);
    }
    await other.client.join("price-ACME", "hsue");
    const reader = new Reader(other.client);
    steadily(t, backend);
    await reader.until(id => id >= 50);
    assert.equal(backend.watches.length, 1);
    const { workers } = JSON.parse((await get(`http://127.0.0.1:${admin}/config`)).text);
    const { pid } = workers.find(({ worker }: { worker: number }) => worker === first.worker);
    process.kill(pid, "SIGKILL");
    await backend.until(() => backend.watches.length === 2);
    const taken = Number(backend.watches[1]?.request.after_id);
    await reader.until(id => id >= taken + 100);
  });
});
