import assert from "node:assert/strict";
import { test } from "node:test";
import type { Receiver } from "../../../src/realtime/brokers/broker.js";
import { describeBroker, draft } from "./broker-contract.js";
import { Primary } from "./primary.js";
import { createRecorder } from "./recorder.js";

const primaries = new Map<string, Primary>();

describeBroker({
  name: "workers",
  skip: false,
  outages: false,
  start: async () => ({
    port: 0,
    kill: async () => undefined,
    start: async () => undefined,
    empty: () => undefined,
    backUp: () => undefined,
    restore: () => undefined,
    suspend: () => undefined,
    resume: () => undefined,
    close: async () => {
      for (const { rooms } of primaries.values()) await rooms.close();
    },
  }),
  create: (_port, prefix, history, leaseMs) => {
    const primary = primaries.get(prefix) ?? new Primary(history, leaseMs);
    primaries.set(prefix, primary);
    return primary.fork(history).broker;
  },
  receivers: async (_port, prefix, room) => primaries.get(prefix)?.rooms.receivers(room) ?? 0,
});

const history = { messages: 100, ttl: 60_000, maxBytes: 1 << 20 };

test("the leases of a worker that ends are there for the others at once", async () => {
  const primary = new Primary(history);
  const [a, b] = [primary.fork(history), primary.fork(history)];
  const recorder = createRecorder();
  a.broker.start(recorder);
  b.broker.start(createRecorder());
  await a.broker.subscribe("general");
  assert.ok("token" in (await b.broker.leases.acquire("general")));
  assert.ok("heldMs" in (await a.broker.leases.acquire("general")));
  b.kill();
  await recorder.until(all => all.some(({ kind }) => kind === "vacated"));
  assert.ok("token" in (await a.broker.leases.acquire("general")));
  await a.broker.close();
  await b.broker.close();
  await primary.rooms.close();
});

test("the members of a worker that ends leave once, and one of the others learns of their rooms", async () => {
  const primary = new Primary(history);
  const [a, b] = [primary.fork(history), primary.fork(history)];
  const [one, two] = [createRecorder(), createRecorder()];
  for (const [{ broker }, recorder] of [
    [a, one],
    [b, two],
  ] as const) {
    broker.start(recorder satisfies Receiver);
    await broker.subscribe("general");
  }
  a.broker.presence.enter("general", { session: "a1", from: "jdoe" });
  b.broker.presence.open("b1", "hsue");
  b.broker.presence.enter("general", { session: "b1", from: "Hsue" });
  b.broker.presence.enter("general", { session: "b2", from: "jdoe" });
  await one.until(() => one.members("general").length === 2);
  assert.equal((await a.broker.presence.members("general")).length, 3);
  const first = await b.broker.publish("general", draft("before"));
  b.kill();
  await one.until(all => all.some(({ kind }) => kind === "lost"));
  assert.deepEqual(one.members("general"), ["+jdoe", "+Hsue", "-Hsue"]);
  assert.deepEqual(await a.broker.presence.members("general"), [{ session: "a1", from: "jdoe" }]);
  const lost = one.all.flatMap(entry => (entry.kind === "lost" ? [...entry.sessions] : []));
  assert.deepEqual(lost.map(([session, { subject, rooms }]) => [session, subject, [...rooms]]).sort(), [
    ["b1", "hsue", [["general", "Hsue"]]],
    ["b2", "jdoe", [["general", "jdoe"]]],
  ]);
  await assert.rejects(() => b.broker.publish("general", draft("lost")), { name: "GatewayError" });
  const next = await a.broker.publish("general", draft("after"));
  assert.deepEqual(next, { epoch: first?.epoch, seq: 2, duplicate: false });
  await a.broker.close();
  await b.broker.close();
  await primary.rooms.close();
});
