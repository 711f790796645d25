import assert from "node:assert/strict";
import { test } from "node:test";
import { createNatsBroker } from "../../../src/realtime/brokers/nats-broker.js";
import { roomKey } from "../../../src/realtime/brokers/room-key.js";
import { describeBroker } from "./broker-contract.js";
import { createRecorder } from "./recorder.js";
import { missing, startNats, subscriptions } from "./servers.js";

const skip = missing("nats-server");

describeBroker({
  name: "NATS",
  skip,
  start: startNats,
  create: (port, prefix, history) =>
    createNatsBroker({ url: `nats://127.0.0.1:${port}`, prefix, history, logger: undefined }),
  receivers: (port, prefix, room) => subscriptions(port, `${prefix}.out.${roomKey(room)}`),
});

test("a NATS server without JetStream is refused at the start, in words", { skip }, async () => {
  const server = await startNats(false);
  const history = { messages: 10, ttl: 60_000, maxBytes: 1 << 20 };
  const broker = createNatsBroker({
    url: `nats://127.0.0.1:${server.port}`,
    prefix: "off",
    history,
    logger: undefined,
  });
  await assert.rejects(async () => broker.start(createRecorder()), /has no JetStream.*start it with -js/);
  await broker.close();
  await server.close();
});
