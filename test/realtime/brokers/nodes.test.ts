import assert from "node:assert/strict";
import { describe, type TestContext, test } from "node:test";
import { type BrokerConfig, loadBroker } from "../../../src/realtime/brokers/registry.js";
import { type Client, type Json, serve, type TestServer, until } from "../harness.js";
import { missing, type TestServer as Server, startNats, startRedis, startWire } from "./servers.js";

const history = { messages: 100, ttl: 3_600_000, maxBytes: 1 << 20 };

interface Kind {
  readonly name: "redis" | "nats";
  readonly skip: string | false;
  start(): Promise<Server>;
}

const kinds: readonly Kind[] = [
  { name: "redis", skip: missing("redis-server"), start: startRedis },
  { name: "nats", skip: missing("nats-server"), start: startNats },
];

async function node(t: TestContext, type: Kind["name"], port: number): Promise<TestServer> {
  const config: BrokerConfig = { type, url: `${type}://127.0.0.1:${port}`, prefix: "nodes", lease: 15_000 };
  return serve(t, { broker: await loadBroker(config, { history, logger: undefined }) });
}

function say(client: Client, message: string, id?: string): void {
  const frame = { type: "send-message", room_id: "general", message };
  client.say(id === undefined ? frame : { ...frame, id });
}

async function messages(client: Client, count: number): Promise<Json[]> {
  const got: Json[] = [];
  while (got.length < count) got.push(await client.next("receive-message"));
  return got;
}

for (const { name, skip, start } of kinds) {
  describe(`sockets on two nodes over ${name}`, { skip }, () => {
    test("members talk over nodes, see each other, and can resume on the other one", async t => {
      const server = await start();
      t.after(() => server.close());
      const [a, b] = [await node(t, name, server.port), await node(t, name, server.port)];
      const [will, ada] = [await a.open(), await b.open()];
      const { epoch } = await will.join("general", "Will Hall");
      await ada.join("general", "Ada");
      assert.deepEqual(await will.next("join-room"), { type: "join-room", room_id: "general", from: "Ada" });
      for (let index = 1; index <= 20; index++) say(index % 2 === 0 ? will : ada, `m${index}`);
      const [atWill, atAda] = [await messages(will, 20), await messages(ada, 20)];
      assert.deepEqual(atWill, atAda);
      assert.deepEqual(
        atWill.map(({ seq }) => seq),
        Array.from({ length: 20 }, (_, index) => index + 1),
      );
      const members = async (): Promise<number> => (await a.realtime.hub.members("general")).length;
      while ((await members()) < 2) await new Promise(resolve => setImmediate(resolve));
      will.socket.terminate();
      say(ada, "while away");
      await messages(ada, 1);
      const again = await b.open();
      const joined = await again.join("general", "Will Hall", { since: { epoch, seq: 20 } });
      assert.equal(joined.recovered, true);
      const [missed] = await messages(again, 1);
      assert.deepEqual([missed?.message, missed?.seq, missed?.epoch], ["while away", 21, epoch]);
    });

    test("a server disconnects a user on whatever node, and publishes to all", async t => {
      const server = await start();
      t.after(() => server.close());
      const [a, b] = [await node(t, name, server.port), await node(t, name, server.port)];
      const far = await b.open();
      await far.join("general", "jdoe");
      const post = { room: "general", from: "system", message: "Hello!", id: "m1" };
      const first = await a.realtime.hub.publish(post);
      assert.equal((await b.realtime.hub.publish(post))?.duplicate, true);
      const [message] = await messages(far, 1);
      assert.deepEqual([message?.message, message?.seq], ["Hello!", first?.seq]);
      a.realtime.hub.disconnect({ subject: "jdoe", reason: "banned" });
      assert.equal((await far.closed).reason, "banned");
    });

    test(`while the broker's server is away frames get errors, and gateways work again when it is back`, async t => {
      const server = await start();
      t.after(() => server.close());
      const [a, b] = [await node(t, name, server.port), await node(t, name, server.port)];
      const [one, two] = [await a.open(), await b.open()];
      const { epoch } = await one.join("general", "jdoe");
      await two.join("general", "hsue");
      say(one, "before");
      assert.equal((await messages(two, 1))[0]?.seq, 1);
      await server.kill();
      await until(() => !a.realtime.hub.ready && !b.realtime.hub.ready);
      const sent = { type: "send-message", room_id: "general", from: "jdoe", message: "lost?", id: "m2" };
      assert.equal((await one.ask(sent)).reason, "BROKER_UNAVAILABLE");
      await server.start();
      while (!a.realtime.hub.ready || !b.realtime.hub.ready)
        await new Promise(resolve => setTimeout(resolve, 5));
      assert.deepEqual((await one.ask({ ...sent, id: "m3" })).type, "ack");
      const [after] = await messages(two, 1);
      assert.deepEqual([after?.message, after?.seq, after?.epoch], ["lost?", 2, epoch]);
    });

    test("members on a node that was cut off miss nothing", async t => {
      const server = await start();
      const wire = await startWire(server.port);
      t.after(async () => {
        await wire.close();
        await server.close();
      });
      const [a, b] = [await node(t, name, server.port), await node(t, name, wire.port)];
      const [one, two] = [await a.open(), await b.open()];
      await one.join("general", "jdoe");
      await two.join("general", "hsue");
      say(one, "1");
      await messages(two, 1);
      await wire.cut();
      for (const text of ["2", "3", "4"]) say(one, text);
      await messages(one, 4);
      await wire.mend();
      assert.deepEqual(
        (await messages(two, 3)).map(({ message, seq }) => [message, seq]),
        [
          ["2", 2],
          ["3", 3],
          ["4", 4],
        ],
      );
    });
  });
}
