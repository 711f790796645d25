import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { jetstreamManager } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";
import { type Broker, roomKey } from "../../../src/realtime/brokers/broker.js";
import { createNatsBroker } from "../../../src/realtime/brokers/nats-broker.js";
import { describeBroker, draft } from "./broker-contract.js";
import { createRecorder } from "./recorder.js";
import { missing, startNats, startWire, subscriptions } from "./servers.js";

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

test("a NATS server that comes back from an older backup gives no number twice, and an older position is not recovered", {
  skip,
}, async () => {
  const server = await startNats();
  const options = {
    url: `nats://127.0.0.1:${server.port}`,
    prefix: "older",
    history: { messages: 100, ttl: 60_000, maxBytes: 1 << 20 },
    logger: undefined,
  };
  const [member, publisher] = [createNatsBroker(options), createNatsBroker(options)];
  const recorder = createRecorder();
  await member.start(recorder);
  await publisher.start(createRecorder());
  const back = async (): Promise<void> => {
    await server.start();
    while (!publisher.ready || !member.ready) await new Promise(resolve => setTimeout(resolve, 10));
  };
  const { epoch } = await member.subscribe("general");
  for (let index = 1; index <= 7; index++) await publisher.publish("general", draft(`kept ${index}`));
  await server.kill();
  server.backUp();
  await back();
  for (let index = 8; index <= 10; index++) await publisher.publish("general", draft(`lost ${index}`));
  await recorder.until(() => recorder.seqs("general").length === 10);
  assert.deepEqual(recorder.seqs("general"), [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
  await server.kill();
  server.restore();
  await back();
  for (let index = 1; index <= 5; index++) {
    const published = await publisher.publish("general", draft(`new ${index}`));
    assert.notEqual(published?.epoch, epoch);
  }
  await recorder.until(() => recorder.seqs("general").length === 15);
  const texts = recorder.all.flatMap(entry =>
    entry.kind === "message" ? [JSON.parse(entry.message.text).message as string] : [],
  );
  assert.deepEqual(texts.slice(10), ["new 1", "new 2", "new 3", "new 4", "new 5"]);
  assert.equal((await publisher.since("general", { epoch, seq: 7 }, 100)).recovered, false);
  // A node that has seen nothing of it follows, and a restart that loses nothing changes nothing.
  const late = createNatsBroker(options);
  await late.start(createRecorder());
  const place = await late.publish("general", draft("late"));
  assert.deepEqual([place?.seq, place?.epoch === epoch], [6, false]);
  await server.kill();
  await back();
  assert.deepEqual(await publisher.publish("general", draft("last")), { ...place, seq: 7 });
  await late.close();
  await member.close();
  await publisher.close();
  await server.close();
});

test("rooms begin one new epoch when a NATS server comes back from an older backup, however late gateways reconnect", {
  skip,
}, async () => {
  const server = await startNats();
  const wire = await startWire(server.port);
  const history = { messages: 100, ttl: 60_000, maxBytes: 1 << 20 };
  const create = (port: number): Broker =>
    createNatsBroker({ url: `nats://127.0.0.1:${port}`, prefix: "once", history, logger: undefined });
  const [first, late] = [create(server.port), create(wire.port)];
  const recorder = createRecorder();
  await first.start(createRecorder());
  await late.start(recorder);
  const ready = async (broker: Broker, wanted: boolean): Promise<void> => {
    while (broker.ready !== wanted) await new Promise(resolve => setTimeout(resolve, 10));
  };
  await late.subscribe("general");
  await first.publish("general", draft("kept"));
  await server.kill();
  server.backUp();
  await server.start();
  await Promise.all([ready(first, true), ready(late, true)]);
  for (const text of ["lost 1", "lost 2"]) await first.publish("general", draft(text));
  await recorder.until(() => recorder.seqs("general").length === 3);
  await wire.cut();
  await server.kill();
  server.restore();
  await server.start();
  await Promise.all([ready(first, true), ready(late, false)]);
  const place = await first.publish("general", draft("new 1"));
  await wire.mend();
  await ready(late, true);
  assert.deepEqual(await first.publish("general", draft("new 2")), { ...place, seq: 2 });
  await recorder.until(() => recorder.seqs("general").length >= 5);
  assert.deepEqual(recorder.seqs("general"), [1, 2, 3, 1, 2]);
  await late.close();
  await first.close();
  await wire.close();
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
