import assert from "node:assert/strict";
import { test } from "node:test";
import { roomSetups } from "./room-gateway.js";
import { runRooms } from "./rooms.js";

const { redis, nats } = roomSetups;
const setup = redis.skip === false ? redis : nats;

test("members by all transports account for every message while gateways are killed, stopped and restarted, connections are cut, and the store is killed", {
  skip: setup.skip !== false && `${redis.skip}, and ${nats.skip}`,
}, async () => {
  const { broken, faults, acknowledged, delivered, ended } = await runRooms({
    setup,
    seed: 1,
    skew: false,
    // A gateway notices only after seconds that its store is paused: `npm run soak` has that.
    plan: possible => possible.filter(({ name }) => !/paused|goes back/.test(name)),
    note: () => undefined,
  });
  assert.deepEqual([...broken], []);
  assert.deepEqual([ended, [...faults.keys()].length], [0, 8]);
  assert.ok(acknowledged > 0 && delivered > acknowledged);
});
