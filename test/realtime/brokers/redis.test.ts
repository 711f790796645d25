import assert from "node:assert/strict";
import { once } from "node:events";
import { type AddressInfo, connect, createServer } from "node:net";
import { test } from "node:test";
import { Redis } from "ioredis";
import { type Published, roomKey, startOf } from "../../../src/realtime/brokers/broker.js";
import { createRedisBroker } from "../../../src/realtime/brokers/redis-broker.js";
import { describeBroker, draft, upTo } from "./broker-contract.js";
import { createRecorder } from "./recorder.js";
import { missing, startRedis } from "./servers.js";

const skip = missing("redis-server");

async function asking<T>(port: number, ask: (redis: Redis) => Promise<T>): Promise<T> {
  const redis = new Redis(port, "127.0.0.1");
  try {
    return await ask(redis);
  } finally {
    redis.disconnect();
  }
}

describeBroker({
  name: "Redis",
  skip,
  start: startRedis,
  create: (port, prefix, history, leaseMs, logger) =>
    createRedisBroker({ url: `redis://127.0.0.1:${port}/0`, prefix, history, logger, leaseMs }),
  receivers: (port, prefix, room) =>
    asking(port, async redis => {
      const [, count] = await redis.pubsub("NUMSUB", `${prefix}:channel:${roomKey(room)}`);
      return Number(count);
    }),
});

test("neither messages nor rooms wait for responses of a Redis that is far away", { skip }, async () => {
  const server = await startRedis();
  let held: (() => void)[] | undefined;
  const proxy = createServer(near => {
    const far = connect(server.port, "127.0.0.1");
    near.pipe(far);
    far.on("data", chunk => {
      const send = (): void => void near.write(chunk);
      if (held === undefined) send();
      else held.push(send);
    });
    for (const socket of [near, far]) socket.on("error", () => undefined);
    near.on("close", () => far.destroy());
  });
  await once(proxy.listen(0, "127.0.0.1"), "listening");
  const broker = createRedisBroker({
    url: `redis://127.0.0.1:${(proxy.address() as AddressInfo).port}`,
    prefix: "far",
    history: { messages: 1000, ttl: 60_000, maxBytes: 1 << 20 },
    logger: undefined,
    timeoutMs: 30_000,
  });
  const recorder = createRecorder();
  await broker.start(recorder);
  await broker.subscribe("general");
  held = [];
  const published = upTo(100).map(each => broker.publish("general", draft(`${each}`)));
  const joined = upTo(100).map(each => broker.subscribe(`room ${each}`));
  await asking(server.port, async redis => {
    while ((await redis.xlen(`far:room:${roomKey("general")}:log`)) < 100);
    while ((await redis.pubsub("CHANNELS", "far:channel:*")).length < 101);
  });
  for (const send of held) send();
  held = undefined;
  const positions = await Promise.all(published);
  assert.deepEqual(
    positions.map(each => each?.seq),
    upTo(100),
  );
  await Promise.all(joined);
  await broker.close();
  proxy.close();
  await server.close();
});

test("the connection to a Redis server that hangs is closed, and publishing meanwhile fails", {
  skip,
}, async () => {
  const server = await startRedis();
  const history = { messages: 10, ttl: 60_000, maxBytes: 1 << 20 };
  const broker = createRedisBroker({
    url: `redis://127.0.0.1:${server.port}`,
    prefix: "hang",
    history,
    logger: undefined,
    timeoutMs: 300,
  });
  const recorder = createRecorder();
  await broker.start(recorder);
  await broker.subscribe("general");
  server.suspend();
  await assert.rejects(async () => broker.publish("general", draft("lost?", { key: "k" })));
  while (broker.ready) await new Promise(resolve => setTimeout(resolve, 10));
  server.resume();
  while (!broker.ready) await new Promise(resolve => setTimeout(resolve, 10));
  await broker.publish("general", draft("sent again", { key: "k" }));
  await recorder.until(() => recorder.seqs("general").length > 0);
  await broker.publish("general", draft("after"));
  await recorder.until(() => recorder.seqs("general").length > 1);
  assert.deepEqual(recorder.seqs("general"), [1, 2]);
  await broker.close();
  await server.close();
});

test("entries of rooms in Redis expire", { skip }, async () => {
  const server = await startRedis();
  const history = { messages: 10, ttl: 60_000, maxBytes: 1 << 20 };
  const broker = createRedisBroker({
    url: `redis://127.0.0.1:${server.port}`,
    prefix: "gone",
    history,
    logger: undefined,
  });
  await broker.start(createRecorder());
  await broker.publish("general", draft("hi", { key: "k" }));
  broker.presence?.enter("general", { session: "s1", from: "jdoe" });
  await broker.presence?.members("general");
  const lasting = await asking(server.port, async redis => {
    const keys = await redis.keys("gone:*");
    const lives = await Promise.all(keys.map(async key => [key, await redis.pttl(key)] as const));
    return lives.filter(([, life]) => life < 0).map(([key]) => key);
  });
  assert.deepEqual(lasting, ["gone:rooms"]);
  await broker.close();
  await server.close();
});

test("a Redis server that comes back from an older snapshot gives no number twice, and an older position is not recovered", {
  skip,
}, async () => {
  const server = await startRedis(false);
  const options = {
    url: `redis://127.0.0.1:${server.port}`,
    prefix: "older",
    history: { messages: 100, ttl: 60_000, maxBytes: 1 << 20 },
    logger: undefined,
  };
  const [member, publisher] = [createRedisBroker(options), createRedisBroker(options)];
  const recorder = createRecorder();
  await member.start(recorder);
  await publisher.start(createRecorder());
  const { epoch } = await member.subscribe("general");
  for (let index = 1; index <= 7; index++) await publisher.publish("general", draft(`kept ${index}`));
  await asking(server.port, redis => redis.save());
  for (let index = 8; index <= 10; index++) await publisher.publish("general", draft(`lost ${index}`));
  await recorder.until(() => recorder.seqs("general").length === 10);
  await server.kill();
  await server.start();
  while (!publisher.ready || !member.ready) await new Promise(resolve => setTimeout(resolve, 10));
  for (let index = 1; index <= 5; index++) {
    const published = await publisher.publish("general", draft(`new ${index}`));
    assert.notEqual(published?.epoch, epoch);
    assert.equal(startOf(published?.epoch ?? ""), 7);
  }
  await recorder.until(() => recorder.seqs("general").length === 15);
  const texts = recorder.all.flatMap(entry =>
    entry.kind === "message" ? [JSON.parse(entry.message.text).message as string] : [],
  );
  assert.deepEqual(texts.slice(10), ["new 1", "new 2", "new 3", "new 4", "new 5"]);
  // The numbers go on after the last one that the server still has, and nothing of the new epoch is missing.
  assert.deepEqual(recorder.seqs("general"), [...upTo(10), ...upTo(5, 8)]);
  assert.ok(!recorder.all.some(({ kind }) => kind === "gap"));
  assert.equal((await publisher.since("general", { epoch, seq: 7 }, 100)).recovered, false);
  const latest = (await publisher.history("general", 100)).map(({ text }) => JSON.parse(text).message);
  assert.deepEqual(latest.slice(6), ["kept 7", ...texts.slice(10)]);
  await member.close();
  await publisher.close();
  await server.close();
});

test("rooms in Redis that was restarted go on with the gateways that come next, unless none was there for long before", {
  skip,
}, async () => {
  const server = await startRedis();
  const options = {
    url: `redis://127.0.0.1:${server.port}`,
    prefix: "cold",
    history: { messages: 100, ttl: 60_000, maxBytes: 1 << 20 },
    logger: undefined,
  };
  /** A gateway that remembers nothing publishes, and ends. */
  const publish = async (text: string): Promise<Published | undefined> => {
    const broker = createRedisBroker(options);
    await broker.start(createRecorder());
    const published = await broker.publish("general", draft(text));
    await broker.close();
    return published;
  };
  const restart = async (): Promise<void> => {
    await server.kill();
    await server.start();
  };
  const first = await publish("1");
  await restart();
  assert.deepEqual(await publish("2"), { ...first, seq: 2 });
  await asking(server.port, redis => redis.hset("cold:lineage", "t", Date.now() - 3_600_000));
  assert.deepEqual(await publish("3"), { ...first, seq: 3 });
  await asking(server.port, redis => redis.hset("cold:lineage", "t", Date.now() - 3_600_000));
  await restart();
  const begun = await publish("4");
  assert.deepEqual([begun?.seq, startOf(begun?.epoch ?? ""), begun?.epoch === first?.epoch], [4, 3, false]);
  // An operator who puts a backup in place can make rooms begin a new epoch.
  await asking(server.port, redis => redis.del("cold:lineage"));
  assert.equal(startOf((await publish("5"))?.epoch ?? ""), 4);
  await server.close();
});

test("messages are as old as the Redis server's clock says, whatever the clocks of gateways say", {
  skip,
}, async t => {
  const server = await startRedis();
  const broker = createRedisBroker({
    url: `redis://127.0.0.1:${server.port}`,
    prefix: "clock",
    history: { messages: 100, ttl: 60_000, maxBytes: 1 << 20 },
    logger: undefined,
  });
  await broker.start(createRecorder());
  await broker.publish("general", draft("by a clock behind", { at: Date.now() - 90_000 }));
  await broker.publish("other", draft("by a clock ahead", { at: Date.now() + 90_000 }));
  const now = Date.now();
  for (const skew of [-90_000, 90_000]) {
    t.mock.method(Date, "now", () => now + skew);
    assert.equal((await broker.history("general", 10)).length, 1);
    assert.deepEqual([...(await broker.rooms(10))].sort(), ["general", "other"]);
    t.mock.restoreAll();
  }
  await broker.close();
  await server.close();
});
