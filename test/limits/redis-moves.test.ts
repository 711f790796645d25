import assert from "node:assert/strict";
import { copyFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import type { Limits } from "../../src/limits/limits.js";
import type { RedisServersConfig } from "../../src/upstream/redis/config.js";
import { Authority, withoutOpenssl } from "../auth/certificates.js";
import { freePort } from "../ports.js";
import { startRedis, type TestServer } from "../realtime/brokers/servers.js";
import {
  asking,
  type ClusterNode,
  formCluster,
  replicate,
  replicates,
  startClusterNode,
  startWatchedServers,
  until,
} from "../redis-groups.js";
import { admittedOf, Bench, caller, type LimitKeys, tryOnce } from "./bench.js";
import { noRedis } from "./redis-server.js";

const skip = noRedis;
const burst = 3;
const addresses = (network: string, count: number): string[] =>
  Array.from({ length: count }, (_, index) => `${network}.${index + 1}`);

function open(redis: RedisServersConfig, bench = new Bench(), previous?: Limits): Limits {
  const keys: LimitKeys = { requests: 1, per: 86_400_000, burst, store: "redis", redis };
  return bench.limits({ r: { ...keys, on_store_failure: "deny" } }, previous);
}

async function reason(limits: Limits, address: string): Promise<string | undefined> {
  return (await tryOnce(limits.limiterOf(["r"]), caller(address))).reason;
}

/** Resolves once decisions about so many addresses that every part of a cluster has some are made by Redis. */
async function settled(...gateways: readonly Limits[]): Promise<void> {
  for (const limits of gateways)
    for (const address of addresses("203.0.113", 200))
      await until(
        () => reason(limits, address),
        found => found !== "RATE_LIMIT_UNAVAILABLE",
      );
}

/** Two gateways admit together what the buckets hold. */
async function shares(gateways: readonly [Limits, Limits], network: string): Promise<void> {
  for (const address of addresses(network, 30)) {
    const asked = Array.from({ length: 2 * burst }, (_, index) =>
      reason(gateways[index % 2] as Limits, address),
    );
    const reasons = (await Promise.all(asked)).map(each => each ?? "admitted").sort();
    assert.deepEqual(reasons, [...Array(burst).fill("RATE_LIMITED"), ...Array(burst).fill("admitted")]);
  }
}

/** Nothing of what was counted is forgotten. */
async function remembers(gateways: readonly Limits[], network: string): Promise<void> {
  for (const limits of gateways)
    for (const address of addresses(network, 30))
      assert.equal(await reason(limits, address), "RATE_LIMITED", address);
}

const isMaster = ({ port }: TestServer, password?: string) =>
  until(
    () => asking(port, redis => redis.role(), password),
    ([name]) => name === "master",
  );

async function startCluster(count: number, ...options: string[]): Promise<ClusterNode[]> {
  const nodes = await Promise.all(Array.from({ length: count }, () => startClusterNode(...options)));
  await formCluster(nodes, [
    [0, 0, 5460],
    [1, 5461, 10_922],
    [2, 10_923, 16_383],
  ]);
  return nodes;
}

const urlOf = (servers: readonly { readonly port: number }[]): string =>
  servers.map(({ port }) => `redis://127.0.0.1:${port}`).join(",");

test("gateways count together on all masters of a Redis Cluster, and go on when a replica takes the place of one", {
  skip,
  timeout: 120_000,
}, async () => {
  const nodes = await startCluster(4);
  const [first, second, master, replica] = nodes as [ClusterNode, ClusterNode, ClusterNode, ClusterNode];
  await replicate(replica, master);
  const servers: RedisServersConfig = { url: urlOf([first, second]), cluster: true };
  const gateways = [open(servers), open(servers)] as const;
  await settled(...gateways);
  await shares(gateways, "192.0.2");
  for (const { port } of [first, second, master])
    assert.ok((await asking(port, redis => redis.dbsize())) > 0, "every master has buckets");

  await asking(replica.port, redis => redis.call("CLUSTER", "FAILOVER"));
  await isMaster(replica);
  await settled(...gateways);
  await remembers(gateways, "192.0.2");
  await shares(gateways, "198.51.100");

  await replicates(master);
  await replica.kill();
  await isMaster(master);
  await settled(...gateways);
  await remembers(gateways, "192.0.2");
  for (const limits of gateways) limits.close();
  for (const node of nodes) await node.close();
});

test("a master of a Redis Cluster that hangs takes only its own buckets along, until it responds again", {
  skip,
  timeout: 120_000,
}, async () => {
  const nodes = await startCluster(3, "--cluster-require-full-coverage", "no");
  const [first, , hanging] = nodes as [ClusterNode, ClusterNode, ClusterNode];
  const limits = open({ url: urlOf([first]), cluster: true }, new Bench(2000));
  await settled(limits);
  const known = addresses("192.0.2", 30);
  for (const address of known)
    await until(
      () => reason(limits, address),
      found => found !== "RATE_LIMIT_UNAVAILABLE",
    );
  const keys = (await asking(hanging.port, redis => redis.keys("*"))).map(key => key.split(":").at(-1));
  const there = known.filter(address => keys.includes(address));
  assert.ok(there.length > 0 && there.length < known.length);
  hanging.suspend();
  for (const address of there.slice(0, 3))
    assert.equal(await reason(limits, address), "RATE_LIMIT_UNAVAILABLE");
  for (const address of known)
    if (!there.includes(address))
      await until(
        () => reason(limits, address),
        found => found !== "RATE_LIMIT_UNAVAILABLE",
      );
  hanging.resume();
  await settled(limits);
  limits.close();
  for (const node of nodes) await node.close();
});

test("gateways count together on the Redis that sentinels name, when the master is replaced and when it dies", {
  skip,
  timeout: 120_000,
}, async () => {
  const { master, replica, sentinel, servers, close } = await startWatchedServers();
  const bench = new Bench();
  const gateways = [open(servers, bench), open(servers)] as const;
  await settled(...gateways);
  await shares(gateways, "192.0.2");

  await asking(master.port, redis => redis.wait(1, 0), "secret");
  await sentinel.failOver();
  await isMaster(replica, "secret");
  await settled(...gateways);
  await remembers(gateways, "192.0.2");

  await replicates(master, "secret");
  await replica.kill();
  await isMaster(master, "secret");
  await settled(...gateways);
  await remembers(gateways, "192.0.2");
  for (const limits of gateways) limits.close();
  assert.deepEqual(
    bench.lines.filter(line => /secret|watch/.test(line)),
    [],
  );
  await close();
});

test("limits reach Redis over TLS with a client certificate, and a reload with other files connects anew", {
  skip: skip || withoutOpenssl,
  timeout: 60_000,
}, async () => {
  const authority = new Authority("limits");
  const own = authority.issue("server", "/CN=redis", "IP.1=127.0.0.1");
  const port = await freePort();
  const tls = ["--tls-port", String(port), "--tls-cert-file", own.certFile, "--tls-key-file", own.keyFile];
  const server = await startRedis(true, [...tls, "--tls-ca-cert-file", authority.ca.certFile]);
  const file = (name: string): string => join(authority.folder, `gateway.${name}`);
  const use = (subject: string): void => {
    const { certFile, keyFile } = authority.issue(subject, `/CN=${subject}`);
    copyFileSync(certFile, file("pem"));
    copyFileSync(keyFile, file("key"));
  };
  const clients = () => asking(server.port, async redis => String(await redis.client("LIST")));
  const secured = async (): Promise<string[]> =>
    [...(await clients()).matchAll(/\bid=(\d+) .* laddr=\S+:(\d+)/g)]
      .filter(([, , at]) => at === String(port))
      .map(([, id = ""]) => id);

  use("one");
  const redis = {
    url: `rediss://127.0.0.1:${port}`,
    tls: { ca: authority.ca.certFile, cert: file("pem"), key: file("key") },
  };
  const bench = new Bench();
  const first = open(redis, bench);
  await settled(first);
  assert.equal(await admittedOf(burst + 1, first.limiterOf(["r"]), caller("192.0.2.1")), burst);
  const same = open(redis, bench, first);
  first.close();
  const before = await secured();
  assert.equal(before.length, 1);
  use("other");
  const second = open(redis, bench, same);
  await settled(second);
  same.close();
  const after = await until(secured, ids => ids.length === 1);
  assert.notDeepEqual(after, before);
  second.close();
  await server.close();
});
