import assert from "node:assert/strict";
import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { test } from "node:test";
import type { Limits } from "../../src/limits/limits.js";
import { admittedOf, Bench, caller, type LimitKeys, tryOnce } from "./bench.js";
import { noRedis, RedisServer } from "./redis-server.js";

const alice = caller("192.0.2.1");
const bob = caller("192.0.2.2");
const skip = noRedis;

async function withRedis(run: (server: RedisServer) => Promise<void>): Promise<void> {
  const server = await RedisServer.start();
  try {
    await run(server);
  } finally {
    await server.stop();
  }
}

/** A gateway's limits with one connection, once that is up. */
async function connected(bench: Bench, keys: LimitKeys, redis: string): Promise<Limits> {
  const limits = bench.limits({ r: { store: "redis", redis, ...keys } });
  await ready(limits, bench);
  return limits;
}

/** Asks for another key until Redis has answered once. */
async function ready(limits: Limits, bench: Bench): Promise<void> {
  const failures = async () => (await bench.decisions())["r store_failed"] ?? 0;
  for (;;) {
    const before = await failures();
    await tryOnce(limits.limiterOf(["r"]), caller("203.0.113.99"));
    if ((await failures()) === before) return;
    await new Promise(resolve => setImmediate(resolve));
  }
}

test("two gateways that share a Redis admit one burst together, at once or in turn", { skip }, () =>
  withRedis(async ({ url }) => {
    const keys = { requests: 1, per: 86_400_000, burst: 100 };
    const nodes = await Promise.all([new Bench(), new Bench()].map(bench => connected(bench, keys, url)));
    const limiters = nodes.map(node => node.limiterOf(["r"]));
    const answers = await Promise.all(
      Array.from({ length: 500 }, (_, index) => tryOnce(limiters[index % 2]!, alice)),
    );
    assert.equal(answers.filter(({ ok }) => ok).length, 100);
    assert.equal(await admittedOf(100, limiters[0]!, bob), 100);
    assert.equal(await admittedOf(1, limiters[1]!, bob), 0);
    const refused = await tryOnce(limiters[1]!, bob);
    assert.deepEqual([refused.status, refused.reason], [429, "RATE_LIMITED"]);
    assert.ok(refused.retryAfter! > 86_300 && refused.retryAfter! <= 86_400);
    for (const node of nodes) node.close();
  }),
);

test("a bucket in Redis fills again with the time of Redis and then leaves no key", { skip }, () =>
  withRedis(async ({ url }) => {
    const bench = new Bench();
    const limits = await connected(bench, { requests: 1000, per: 1000, burst: 2 }, url);
    const limiter = limits.limiterOf(["r"]);
    const { headers } = await tryOnce(limiter, alice);
    assert.equal(headers["ratelimit-policy"], '"r";q=2;w=1');
    assert.match(headers.ratelimit!, /^"r";r=1;t=1$/);
    // One request a millisecond becomes free; a round trip to Redis takes part of one.
    let admitted = 0;
    while (admitted < 20) if ((await tryOnce(limiter, alice)).ok) admitted++;
    const { Redis } = await import("ioredis");
    const redis = new Redis(url);
    while ((await redis.dbsize()) > 0) await new Promise(resolve => setImmediate(resolve));
    redis.disconnect();
    limits.close();
  }),
);

for (const [choice, reason, admitted] of [
  ["allow", undefined, 5],
  ["local", "RATE_LIMITED", 2],
  ["deny", "RATE_LIMIT_UNAVAILABLE", 0],
] as const) {
  test(
    `while Redis is down a limit with ${choice} admits ${admitted} of 5, and recovers by itself`,
    {
      skip,
    },
    () =>
      withRedis(async server => {
        const bench = new Bench();
        const keys = { requests: 1, per: 86_400_000, burst: 2, on_store_failure: choice };
        const limits = await connected(bench, keys, server.url);
        const limiter = limits.limiterOf(["r"]);
        assert.ok((await tryOnce(limiter, alice)).ok);
        await server.stop();
        await bench.logged("not available");
        assert.equal(await admittedOf(5, limiter, alice), admitted);
        const last = await tryOnce(limiter, alice);
        assert.equal(last.reason, reason);
        if (choice === "deny") assert.deepEqual([last.status, last.retryAfter], [503, 1]);
        assert.equal((await bench.decisions())["r store_failed"]! >= 6, true);

        await server.start();
        await bench.logged("available again");
        // The new Redis knows nothing of what was before.
        assert.equal(await admittedOf(5, limiter, alice), 2);
        const losses = bench.lines.filter(line => line.includes("not available"));
        assert.equal(losses.length, 1);
        limits.close();
      }),
  );
}

test("a Redis that hangs costs one short wait, and then none until the next attempt", { skip }, () =>
  withRedis(async server => {
    const bench = new Bench(100);
    const limits = await connected(bench, { requests: 100, on_store_failure: "allow" }, server.url);
    const limiter = limits.limiterOf(["r"]);
    server.pause();
    assert.ok((await tryOnce(limiter, alice)).ok);
    await bench.logged("does not respond");
    const again = limiter.admit(alice, undefined);
    // Decided before anything could come from the network.
    const first = await Promise.race([again, new Promise(resolve => setImmediate(resolve, "late"))]);
    assert.notEqual(first, "late");
    assert.equal((await bench.decisions())["r store_failed"]! >= 2, true);
    server.resume();
    await ready(limits, bench);
    await bench.logged("available again");
    limits.close();
  }),
);

test("a Redis that was never there hinders nothing and is reported once, without its password", async () => {
  const refusing = createServer().listen(0, "127.0.0.1");
  await once(refusing, "listening");
  const { port } = refusing.address() as AddressInfo;
  refusing.close();
  await once(refusing, "close");
  const bench = new Bench();
  const limits = bench.limits({
    r: { requests: 2, store: "redis", redis: `redis://app:hunter2@127.0.0.1:${port}` },
  });
  assert.equal(await admittedOf(5, limits.limiterOf(["r"]), alice), 2);
  await bench.logged("not available");
  assert.ok(bench.lines.some(line => line.includes(`127.0.0.1:${port}`)));
  assert.ok(bench.lines.every(line => !line.includes("hunter2")));
  limits.close();
});

test("a wrong password is a Redis that is not available, and is not logged", { skip }, () =>
  withRedis(async server => {
    const { Redis } = await import("ioredis");
    const admin = new Redis(server.url);
    await admin.config("SET", "requirepass", "right");
    const bench = new Bench();
    const url = server.url.replace("//", "//:hunter2@");
    const limits = bench.limits({ r: { requests: 2, store: "redis", redis: url, on_store_failure: "deny" } });
    await bench.logged("WRONGPASS");
    assert.equal((await tryOnce(limits.limiterOf(["r"]), alice)).reason, "RATE_LIMIT_UNAVAILABLE");
    assert.ok(bench.lines.every(line => !line.includes("hunter2")));
    limits.close();
    admin.disconnect();
  }),
);

test("neither callers' headers nor their subjects' length reach Redis", { skip }, () =>
  withRedis(async ({ url }) => {
    const bench = new Bench();
    const limits = await connected(bench, { requests: 1, per: 60_000, key: "header:x-api-key" }, url);
    await tryOnce(limits.limiterOf(["r"]), caller("::1", { "x-api-key": "hunter2" }));
    const { Redis } = await import("ioredis");
    const redis = new Redis(url);
    const keys = await redis.keys("*");
    redis.disconnect();
    limits.close();
    assert.ok(keys.length > 0);
    for (const key of keys) assert.match(key, /^protogate:limit:r:hdr:[\w-]{22}$/);
  }),
);

test("a reload keeps the connection that it still needs, and the last one closes it", { skip }, () =>
  withRedis(async ({ url }) => {
    const bench = new Bench();
    const { Redis } = await import("ioredis");
    const admin = new Redis(url);
    const clients = async () =>
      String(await admin.client("LIST"))
        .trim()
        .split("\n").length - 1;
    const keys: LimitKeys = { requests: 1, per: 60_000, store: "redis", redis: url };
    const first = bench.limits({ r: keys, other: keys });
    await ready(first, bench);
    assert.equal(await clients(), 1);
    const second = bench.limits({ r: { ...keys, requests: 2 } }, first);
    first.close();
    assert.equal(await clients(), 1);
    assert.equal(await admittedOf(3, second.limiterOf(["r"]), alice), 2);
    second.close();
    while ((await clients()) > 0) await new Promise(resolve => setImmediate(resolve));
    admin.disconnect();
  }),
);
