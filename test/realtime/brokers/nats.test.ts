import assert from "node:assert/strict";
import { test } from "node:test";
import { jetstreamManager } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";
import { roomKey } from "../../../src/realtime/brokers/broker.js";
import { createNatsBroker } from "../../../src/realtime/brokers/nats-broker.js";
import { describeBroker, draft } from "./broker-contract.js";
import { createRecorder } from "./recorder.js";
import { missing, startNats, subscriptions } from "./servers.js";

const skip = missing("nats-server");

describeBroker({
  name: "NATS",
  skip,
  start: startNats,
  create: (port, prefix, history, leaseMs) =>
    createNatsBroker({ url: `nats://127.0.0.1:${port}`, prefix, history, logger: undefined, leaseMs }),
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

test("a message that NATS would not take is refused, and the next one goes through", { skip }, async () => {
  const server = await startNats();
  const history = { messages: 10, ttl: 60_000, maxBytes: 1 << 24 };
  const broker = createNatsBroker({
    url: `nats://127.0.0.1:${server.port}`,
    prefix: "big",
    history,
    logger: undefined,
  });
  await broker.start(createRecorder());
  await assert.rejects(
    async () => broker.publish("general", draft("x".repeat(1 << 20))),
    /larger than the broker takes/,
  );
  assert.equal((await broker.publish("general", draft("x".repeat(900_000))))?.seq, 1);
  await broker.close();
  await server.close();
});

test("a room whose messages have all expired keeps its position while it has members", { skip }, async () => {
  const server = await startNats();
  const history = { messages: 10, ttl: 1000, maxBytes: 1 << 20 };
  const url = `nats://127.0.0.1:${server.port}`;
  const broker = createNatsBroker({ url, prefix: "quiet", history, logger: undefined });
  await broker.start(createRecorder());
  const { epoch } = await broker.subscribe("general");
  await broker.publish("general", draft("1"));
  await broker.publish("general", draft("2"));
  const connection = await connect({ servers: url });
  const { streams } = await jetstreamManager(connection);
  const last = () => streams.getMessage("quiet_rooms", { last_by_subj: `quiet.in.${roomKey("general")}` });
  while ((await last())?.string() !== "") await new Promise(resolve => setTimeout(resolve, 50));
  await streams.purge("quiet_rooms", { filter: `quiet.in.${roomKey("general")}`, keep: 1 });
  assert.deepEqual(await broker.history("general", 10), []);
  const other = createNatsBroker({ url, prefix: "quiet", history, logger: undefined });
  await other.start(createRecorder());
  assert.deepEqual(await other.publish("general", draft("3")), { epoch, seq: 3, duplicate: false });
  await connection.close();
  await other.close();
  await broker.close();
  await server.close();
});
