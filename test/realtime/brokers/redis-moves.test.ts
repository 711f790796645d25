import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { Redis } from "ioredis";
import type { Broker } from "../../../src/realtime/brokers/broker.js";
import { roomKey } from "../../../src/realtime/brokers/broker.js";
import { createRedisBroker } from "../../../src/realtime/brokers/redis-broker.js";
import type { RedisServers } from "../../../src/realtime/brokers/redis-servers.js";
import { freePort, untilAccepts } from "../../ports.js";
import { describeBroker, draft } from "./broker-contract.js";
import { createRecorder, type Recorder } from "./recorder.js";
import { missing, startRedis, type TestServer } from "./servers.js";

const skip = missing("redis-server");
const history = { messages: 100, ttl: 60_000, maxBytes: 1 << 20 };

interface ClusterNode extends TestServer {
  /** On which other nodes reach it. */
  readonly busPort: number;
}

async function startClusterNode(): Promise<ClusterNode> {
  const busPort = await freePort();
  const options = ["--cluster-enabled", "yes", "--cluster-node-timeout", "1000"];
  return { ...(await startRedis(true, [...options, "--cluster-port", String(busPort)])), busPort };
}

async function asking<T>(port: number, ask: (redis: Redis) => Promise<T>, password?: string): Promise<T> {
  const redis = new Redis(port, "127.0.0.1", password === undefined ? {} : { password });
  redis.on("error", () => undefined);
  try {
    return await ask(redis);
  } finally {
    redis.disconnect();
  }
}

/** Asks again until the response satisfies. */
async function until<T>(ask: () => Promise<T>, satisfied: (value: T) => boolean): Promise<T> {
  for (;;) {
    const value = await ask();
    if (satisfied(value)) return value;
    await new Promise(resolve => setTimeout(resolve, 20));
  }
}

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

/** Resolves once the server has what its master has. */
async function replicates({ port }: TestServer, password?: string): Promise<void> {
  const role = () => asking(port, redis => redis.role(), password);
  await until(role, ([name, , , state]) => name === "slave" && state === "connected");
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
  create: (port, prefix, limits, leaseMs) =>
    createRedisBroker({
      url: `redis://127.0.0.1:${port}`,
      cluster: true,
      prefix,
      history: limits,
      logger: undefined,
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
  const servers = await Promise.all(Array.from({ length: 4 }, startClusterNode));
  const [first, second, master, replica] = servers as [ClusterNode, ClusterNode, ClusterNode, ClusterNode];
  for (const { port, busPort } of [second, master, replica])
    await asking(first.port, redis => redis.call("CLUSTER", "MEET", "127.0.0.1", port, busPort));
  const ids = await Promise.all(servers.map(({ port }) => asking(port, redis => redis.cluster("MYID"))));
  const slot = await asking(first.port, redis => redis.cluster("KEYSLOT", "{moves}"));
  // The slot of the rooms is on the third node, and the fourth is its replica; the first is a seed that has no part in it.
  const ranges: readonly (readonly [node: number, from: number, to: number])[] = [
    [2, slot, slot],
    ...(slot > 0 ? [[0, 0, slot - 1] as const] : []),
    ...(slot < 16_383 ? [[1, slot + 1, 16_383] as const] : []),
  ];
  for (const [node, from, to] of ranges)
    await asking(servers[node]?.port ?? 0, redis => redis.cluster("ADDSLOTSRANGE", from, to));
  for (const { port } of servers) {
    const state = () => asking(port, redis => redis.cluster("INFO"));
    await until(state, info => info.includes("cluster_state:ok") && info.includes("cluster_known_nodes:4"));
  }
  await asking(replica.port, redis => redis.cluster("REPLICATE", ids[2] ?? ""));
  await replicates(replica);

  const url = [first, second].map(({ port }) => `redis://127.0.0.1:${port}`).join(",");
  const nodes = await startNodes({ url, cluster: true });
  await asking(replica.port, redis => redis.call("CLUSTER", "FAILOVER"));
  await followMaster(nodes, master, replica);
  for (const server of servers) await server.close();
});

/** A sentinel that alone decides when the master is down. */
async function startSentinel(master: number): Promise<{ readonly port: number; close(): Promise<void> }> {
  const folder = mkdtempSync(join(tmpdir(), "protogate-sentinel-"));
  const port = await freePort();
  const file = join(folder, "sentinel.conf");
  writeFileSync(
    file,
    `port ${port}
bind 127.0.0.1
dir ${folder}
requirepass watch
sentinel monitor rooms 127.0.0.1 ${master} 1
sentinel auth-pass rooms secret
sentinel down-after-milliseconds rooms 500
sentinel failover-timeout rooms 3000
`,
  );
  const child: ChildProcess = spawn("redis-server", [file, "--sentinel"], { stdio: "ignore" });
  const exited = once(child, "exit");
  await untilAccepts(port, exited);
  const close = async (): Promise<void> => {
    child.kill("SIGKILL");
    await exited;
    rmSync(folder, { recursive: true });
  };
  return { port, close };
}

test("rooms in Redis go on at the server that sentinels name, when the master is replaced and when it dies", {
  skip,
  timeout: 120_000,
}, async () => {
  const passwords = ["--requirepass", "secret", "--masterauth", "secret"];
  const master = await startRedis(true, passwords);
  const replica = await startRedis(true, [...passwords, "--replicaof", "127.0.0.1", String(master.port)]);
  await replicates(replica, "secret");
  const sentinel = await startSentinel(master.port);
  const ask = <T>(question: (redis: Redis) => Promise<T>) => asking(sentinel.port, question, "watch");
  const known = () => ask(redis => redis.call("SENTINEL", "REPLICAS", "rooms") as Promise<unknown[]>);
  await until(known, replicas => replicas.length === 1);

  const away = await freePort();
  const nodes = await startNodes({
    url: `redis://:secret@127.0.0.1:${away},redis://127.0.0.1:${sentinel.port}`,
    sentinel: { master: "rooms", password: "watch" },
  });
  const failover = () =>
    ask(redis => redis.call("SENTINEL", "FAILOVER", "rooms")).then(
      () => true,
      () => false,
    );
  await until(failover, begun => begun);
  await followMaster(nodes, master, replica, "secret");
  await sentinel.close();
  await master.close();
  await replica.close();
});
