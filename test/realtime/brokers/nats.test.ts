import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
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
  create: (port, prefix, history, leaseMs, logger) =>
    createNatsBroker({ url: `nats://127.0.0.1:${port}`, prefix, history, logger, leaseMs }),
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

test("messages that are published to a room at once are stored together, and each has its number, time and text", {
  skip,
}, async () => {
  const server = await startNats();
  const url = `nats://127.0.0.1:${server.port}`;
  const history = { messages: 1000, ttl: 60_000, maxBytes: 1 << 24 };
  const broker = createNatsBroker({ url, prefix: "many", history, logger: undefined });
  const recorder = createRecorder();
  await broker.start(recorder);
  const { epoch } = await broker.subscribe("general");
  const drafts = Array.from({ length: 300 }, (_, index) => ({
    ...draft(`${index} \u{1f600}é \u2028`, index % 100 === 50 ? { key: `key ${index}` } : {}),
    at: 1_700_000_000_000 + index,
  }));
  const positions = await Promise.all(drafts.map(each => broker.publish("general", each)));
  assert.deepEqual(
    positions,
    drafts.map((_, index) => ({ epoch, seq: index + 1, duplicate: false })),
  );
  await recorder.until(() => recorder.seqs("general").length === 300);
  const received = recorder.all.flatMap(each => (each.kind === "message" ? [each.message] : []));
  assert.deepEqual(
    received.map(({ seq, at, text }) => [seq, at, JSON.parse(text).message]),
    drafts.map(({ frame, at }, index) => [index + 1, at, JSON.parse(frame).message]),
  );
  assert.deepEqual(await broker.history("general", 20), received.slice(-20));
  assert.deepEqual(await broker.history("general", 20, 42), received.slice(21, 41));
  assert.deepEqual(await broker.since("general", { epoch, seq: 137 }, 1000), {
    position: { epoch, seq: 300 },
    recovered: true,
    messages: received.slice(137),
  });
  const again = await Promise.all(drafts.slice(49, 52).map(each => broker.publish("general", each)));
  assert.deepEqual(
    again.map(each => [each?.seq, each?.duplicate]),
    [
      [301, false],
      [51, true],
      [302, false],
    ],
  );
  const connection = await connect({ servers: url });
  const { streams } = await jetstreamManager(connection);
  const { state } = await streams.info("many_rooms");
  assert.ok(state.messages < 30, `${state.messages} entries`);
  await connection.close();
  await broker.close();
  await server.close();
});

test("messages of a room are stored together only as far as NATS takes entries of that size", {
  skip,
}, async () => {
  const folder = mkdtempSync(join(tmpdir(), "protogate-nats-"));
  writeFileSync(join(folder, "small.conf"), "max_payload: 32768\n");
  const server = await startNats(true, ["-c", join(folder, "small.conf")]);
  const broker = createNatsBroker({
    url: `nats://127.0.0.1:${server.port}`,
    prefix: "small",
    history: { messages: 1000, ttl: 60_000, maxBytes: 1 << 24 },
    logger: undefined,
  });
  await broker.start(createRecorder());
  const texts = Array.from({ length: 100 }, (_, index) => `${index} ${"é".repeat(1000)}`);
  const positions = await Promise.all(texts.map(each => broker.publish("general", draft(each))));
  assert.deepEqual(
    positions.map(each => each?.seq),
    texts.map((_, index) => index + 1),
  );
  await broker.close();
  await server.close();
  rmSync(folder, { recursive: true });
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

test("messages are as old as the NATS server's clock says, whatever the clocks of gateways say", {
  skip,
}, async t => {
  const server = await startNats();
  const broker = createNatsBroker({
    url: `nats://127.0.0.1:${server.port}`,
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
