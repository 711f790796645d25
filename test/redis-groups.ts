import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Redis } from "ioredis";
import { freePort, untilAccepts } from "./ports.js";
import { startRedis, type TestServer } from "./realtime/brokers/servers.js";

/** Redis servers of the tests' own that watch each other. */

export interface ClusterNode extends TestServer {
  /** On which other nodes reach it. */
  readonly busPort: number;
}

/** @param more further options */
export async function startClusterNode(...more: string[]): Promise<ClusterNode> {
  const busPort = await freePort();
  const options = ["--cluster-enabled", "yes", "--cluster-node-timeout", "1000"];
  return { ...(await startRedis(true, [...options, "--cluster-port", String(busPort), ...more])), busPort };
}

/** Asks a server over a connection of its own. */
export async function asking<T>(
  port: number,
  ask: (redis: Redis) => Promise<T>,
  password?: string,
): Promise<T> {
  const redis = new Redis(port, "127.0.0.1", password === undefined ? {} : { password });
  redis.on("error", () => undefined);
  try {
    return await ask(redis);
  } finally {
    redis.disconnect();
  }
}

/** Asks again until the response satisfies. */
export async function until<T>(ask: () => Promise<T>, satisfied: (value: T) => boolean): Promise<T> {
  for (;;) {
    const value = await ask();
    if (satisfied(value)) return value;
    await new Promise(resolve => setTimeout(resolve, 20));
  }
}

/** Resolves once the server has what its master has. */
export async function replicates({ port }: TestServer, password?: string): Promise<void> {
  const role = () => asking(port, redis => redis.role(), password);
  await until(role, ([name, , , state]) => name === "slave" && state === "connected");
}

/** Makes one cluster of the nodes. @param ranges of slots, each with the index of the node that is to have it */
export async function formCluster(
  nodes: readonly ClusterNode[],
  ranges: readonly (readonly [node: number, from: number, to: number])[],
): Promise<void> {
  const [first] = nodes as [ClusterNode];
  for (const { port, busPort } of nodes.slice(1))
    await asking(first.port, redis => redis.call("CLUSTER", "MEET", "127.0.0.1", port, busPort));
  for (const [node, from, to] of ranges)
    await asking(nodes[node]?.port ?? 0, redis => redis.cluster("ADDSLOTSRANGE", from, to));
  const whole = (info: string): boolean =>
    info.includes("cluster_state:ok") && info.includes(`cluster_known_nodes:${nodes.length}`);
  for (const { port } of nodes)
    await until(() => asking(port, redis => redis.cluster("INFO") as Promise<string>), whole);
}

/** Makes a node of a cluster the replica of another one, and waits until it has what that has. */
export async function replicate(replica: ClusterNode, master: ClusterNode): Promise<void> {
  const id = await asking(master.port, redis => redis.cluster("MYID"));
  await asking(replica.port, redis => redis.cluster("REPLICATE", id));
  await replicates(replica);
}

/**
 * A master "rooms" with a replica, both with the password "secret", and a sentinel that watches them.
 * @returns what a gateway is configured with, too; the first of its servers is away
 */
export async function startWatchedServers() {
  const passwords = ["--requirepass", "secret", "--masterauth", "secret"];
  const master = await startRedis(true, passwords);
  const replica = await startRedis(true, [...passwords, "--replicaof", "127.0.0.1", String(master.port)]);
  await replicates(replica, "secret");
  const sentinel = await startSentinel(master.port);
  const servers = {
    url: `redis://:secret@127.0.0.1:${await freePort()},redis://127.0.0.1:${sentinel.port}`,
    sentinel: { master: "rooms", password: "watch" },
  };
  const close = async (): Promise<void> => {
    await sentinel.close();
    await master.close();
    await replica.close();
  };
  return { master, replica, sentinel, servers, close };
}

/** A sentinel with the password "watch" that alone decides when the master "rooms", whose password is "secret", is down. */
async function startSentinel(master: number): Promise<{
  readonly port: number;
  /** Has a replica take the master's place. */
  failOver(): Promise<void>;
  close(): Promise<void>;
}> {
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
  const child = spawn("redis-server", [file, "--sentinel"], { stdio: "ignore" });
  const exited = once(child, "exit");
  await untilAccepts(port, exited);
  const close = async (): Promise<void> => {
    child.kill("SIGKILL");
    await exited;
    rmSync(folder, { recursive: true });
  };
  const ask = <T>(question: (redis: Redis) => Promise<T>) => asking(port, question, "watch");
  const known = () => ask(redis => redis.call("SENTINEL", "REPLICAS", "rooms") as Promise<unknown[]>);
  await until(known, replicas => replicas.length === 1);
  const begun = () =>
    ask(redis => redis.call("SENTINEL", "FAILOVER", "rooms")).then(
      () => true,
      () => false,
    );
  return { port, failOver: async () => void (await until(begun, done => done)), close };
}
