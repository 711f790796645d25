import assert from "node:assert/strict";
import { test } from "node:test";
import type { Broker } from "../../../src/realtime/brokers/broker.js";
import { roomKey } from "../../../src/realtime/brokers/broker.js";
import { createRedisBroker } from "../../../src/realtime/brokers/redis-broker.js";
import type { RedisServers } from "../../../src/upstream/redis/servers.js";
import {
  asking,
  type ClusterNode,
  formCluster,
  replicate,
  replicates,
  startClusterNode,
  startWatchedServers,
  until,
} from "../../redis-groups.js";
import { describeBroker, draft } from "./broker-contract.js";
import { createRecorder, type Recorder } from "./recorder.js";
import { missing, type TestServer } from "./servers.js";

const skip = missing("redis-server");
const history = { messages: 100, ttl: 60_000, maxBytes: 1 << 20 };

async function ready(broker: Broker): Promise<void> {
  while (!broker.ready) await new Promise(resolve => setTimeout(resolve, 10));
}

/** Publishes until it is accepted: a server that changes refuses for a while. */
async function publish(broker: Broker, text: string): Promise<void> {
  for (;;) {
    await ready(broker);
    try {
      await broker.publish("general", draft(text, { key: text }));
      return;
    } catch {
      await new Promise(resolve => setTimeout(resolve, 20));
    }
  }
}

function texts(recorder: Recorder): string[] {
  return recorder.all.flatMap(entry =>
    entry.kind === "message" ? [JSON.parse(entry.message.text).message as string] : [],
  );
}

interface Nodes {
  readonly member: Broker;
  readonly publisher: Broker;
  readonly recorder: Recorder;
  close(): Promise<void>;
}

async function startNodes(servers: RedisServers): Promise<Nodes> {
  const options = { ...servers, prefix: "moves", history, logger: undefined, timeoutMs: 1000 };
  const [member, publisher] = [createRedisBroker(options), createRedisBroker(options)];
  const recorder = createRecorder();
  await member.start(recorder);
  await publisher.start(createRecorder());
  await Promise.all([ready(member), ready(publisher)]);
  await member.subscribe("general");
  await publish(publisher, "first");
  await recorder.until(() => texts(recorder).includes("first"));
  const close = async (): Promise<void> => {
    await member.close();
    await publisher.close();
  };
  return { member, publisher, recorder, close };
}

/** The replica is to become the master, and then dies, so that the first master is it again: nothing is lost or comes twice. */
async function followMaster(
  nodes: Nodes,
  master: TestServer,
  replica: TestServer,
  password?: string,
): Promise<void> {
  const { publisher, recorder } = nodes;
  const role = () => asking(replica.port, redis => redis.role(), password);
  await until(role, ([name]) => name === "master");
  await publish(publisher, "after a takeover");
  await recorder.until(() => texts(recorder).includes("after a takeover"));

  await replicates(master, password);
  await replica.kill();
  await publish(publisher, "after a death");
  await recorder.until(() => texts(recorder).includes("after a death"));
  assert.deepEqual(texts(recorder), ["first", "after a takeover", "after a death"]);
  await nodes.close();
}

describeBroker({
  name: "a Redis Cluster of one server",
  skip,
  start: async () => {
    const server = await startClusterNode();
    const serveAll = () => asking(server.port, redis => redis.cluster("ADDSLOTSRANGE", 0, 16_383));
    const served = async (): Promise<void> => {
      const state = () => asking(server.port, redis => redis.cluster("INFO"));
      await until(state, info => info.includes("cluster_state:ok"));
    };
    await serveAll();
    await served();
    let empty = false;
    return {
      ...server,
      empty: () => {
        server.empty();
        empty = true;
      },
      start: async () => {
        await server.start();
        if (empty) await serveAll();
        empty = false;
        await served();
      },
    };
  },
  create: (port, prefix, limits, leaseMs, logger) =>
    createRedisBroker({
      url: `redis://127.0.0.1:${port}`,
      cluster: true,
      prefix,
      history: limits,
      logger,
      leaseMs,
    }),
  receivers: (port, prefix, room) =>
    asking(port, async redis => {
      const [, count] = await redis.pubsub("NUMSUB", `{${prefix}}:channel:${roomKey(room)}`);
      return Number(count);
    }),
});

test("rooms in a Redis Cluster go on at the replica that takes the place of their master, by command or after its death", {
  skip,
  timeout: 120_000,
}, async () => {
  const servers = await Promise.all(Array.from({ length: 4 }, () => startClusterNode()));
  const [first, second, master, replica] = servers as [ClusterNode, ClusterNode, ClusterNode, ClusterNode];
  const slot = await asking(first.port, redis => redis.cluster("KEYSLOT", "{moves}"));
  // The slot of the rooms is on the third node, and the fourth is its replica; the first is a seed that has no part in it.
  await formCluster(servers, [
    [2, slot, slot],
    ...(slot > 0 ? [[0, 0, slot - 1] as const] : []),
    ...(slot < 16_383 ? [[1, slot + 1, 16_383] as const] : []),
  ]);
  await replicate(replica, master);

  const url = [first, second].map(({ port }) => `redis://127.0.0.1:${port}`).join(",");
  const nodes = await startNodes({ url, cluster: true });
  await asking(replica.port, redis => redis.call("CLUSTER", "FAILOVER"));
  await followMaster(nodes, master, replica);
  for (const server of servers) await server.close();
});

test("rooms in Redis go on at the server that sentinels name, when the master is replaced and when it dies", {
  skip,
  timeout: 120_000,
}, async () => {
  const { master, replica, sentinel, servers, close } = await startWatchedServers();
  const nodes = await startNodes(servers);
  await sentinel.failOver();
  await followMaster(nodes, master, replica, "secret");
  await close();
});
