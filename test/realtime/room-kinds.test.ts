import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import type { Identity } from "../../src/auth/identity.js";
import { parseExpression } from "../../src/auth/policy/expression-parser.js";
import { compileRule } from "../../src/auth/policy/rule.js";
import type { MessageType } from "../../src/descriptors/model.js";
import type { Session } from "../../src/realtime/bridge/bridge.js";
import { eventRequest } from "../../src/realtime/bridge/event-messages.js";
import { MemoryBroker } from "../../src/realtime/brokers/memory-broker.js";
import type { RoomConfig } from "../../src/realtime/config.js";
import { historyLimitsOf, roomKindsOf } from "../../src/realtime/rooms/room-kinds.js";
import {
  covers,
  matchRoom,
  parseRoomPattern,
  type RoomPattern,
} from "../../src/realtime/rooms/room-pattern.js";
import { type Client, type Json, serve, type TestServer } from "./harness.js";

function pattern(text: string): RoomPattern {
  const parsed = parseRoomPattern(text);
  assert.ok(typeof parsed !== "string", String(parsed));
  return parsed;
}

const history = { messages: 100, ttl: 3_600_000, max_bytes: 64 * 1024 ** 2 };

const plain = { match: "*", presence: "users", publish: "members", cache: false } as const;

/** A server whose rooms are those of the entries. */
async function start(t: TestContext, entries: readonly Partial<RoomConfig>[]): Promise<TestServer> {
  const rooms = entries.map(entry => ({ ...plain, ...entry }));
  const section = { rooms, history };
  return serve(t, {
    settings: { kinds: roomKindsOf(section) },
    broker: new MemoryBroker(historyLimitsOf(section)),
  });
}

/** The frames of a client up to the answer to its next question. */
async function framesOf(client: Client): Promise<readonly Json[]> {
  await client.settled();
  return client.frames.splice(0);
}

test("names fit patterns whose wildcards take as little as they can, and parts are what they took", () => {
  const parts = (text: string, name: string) => matchRoom(pattern(text), name);
  assert.deepEqual(parts("dm-{a}-{b}", "dm-ann-bob"), ["ann", "bob"]);
  assert.deepEqual(parts("dm-{a}-{b}", "dm-ann-bob-carl"), ["ann", "bob-carl"]);
  assert.equal(parts("dm-{a}-{b}", "dm--bob"), undefined);
  assert.equal(parts("dm-{a}-{b}", "dm-ann-"), undefined);
  assert.deepEqual(parts("*", ""), []);
  assert.deepEqual(parts("news-*", "news-"), []);
  assert.equal(parts("news-*", "new"), undefined);
  assert.deepEqual(parts("{user}/inbox", "a/inbox/inbox"), ["a/inbox"]);
  assert.equal(parts("a*a", "a"), undefined);
  assert.deepEqual(parts("lobby", "lobby"), []);
  assert.equal(parts("lobby", "lobby2"), undefined);
});

test("a pattern that matches by a regular expression matches alike", () => {
  const texts = ["*", "a*", "*a", "a*b", "*ab*", "{x}", "a{x}", "a{x}b*", "ab*a{x}", "{x}a{y}b"];
  const names = [""];
  for (let length = 1; length <= 5; length++)
    for (let bits = 0; bits < 2 ** length; bits++)
      names.push([...Array(length).keys()].map(bit => (bits & (1 << bit) ? "a" : "b")).join(""));
  for (const text of texts) {
    const expected = new RegExp(`^${text.replaceAll("*", ".*").replaceAll(/\{\w\}/g, ".+")}$`);
    for (const name of names) {
      assert.equal(matchRoom(pattern(text), name) !== undefined, expected.test(name), `${text} ${name}`);
    }
    for (const other of texts) {
      if (!covers(pattern(text), pattern(other))) continue;
      const missed = names.find(
        name => matchRoom(pattern(other), name) !== undefined && matchRoom(pattern(text), name) === undefined,
      );
      assert.equal(missed, undefined, `${text} covers ${other}`);
    }
  }
  assert.ok(covers(pattern("*"), pattern("dm-{a}")));
  assert.ok(covers(pattern("dm-*"), pattern("dm-{a}-{b}")));
  assert.ok(!covers(pattern("{a}"), pattern("*")));
  assert.ok(!covers(pattern("dm-*"), pattern("*")));
});

test("a name that fits no entry is no room, for members and servers", async t => {
  const { open, realtime } = await start(t, [{ match: "dm-*" }]);
  const client = await open();
  const refused = await client.join("lobby", "Ann");
  assert.deepEqual([refused.type, refused.reason], ["error", "NO_SUCH_ROOM"]);
  assert.throws(
    () => realtime.hub.publish({ room: "lobby", from: "s", message: "m" }),
    /no room of the name/,
  );
  assert.throws(() => realtime.hub.history("lobby"), /no room of the name/);
  assert.equal((await client.join("dm-1", "Ann")).type, "ack");
});

test("the first entry that a name fits holds", async t => {
  const { open } = await start(t, [
    { match: "dm-a*", max_members: 1 },
    { match: "dm-*", max_members: 2 },
  ]);
  const clients = [await open(), await open(), await open()];
  const join = async (room: string) =>
    Promise.all(clients.map(async client => (await client.join(room, "x")).reason ?? "in"));
  assert.deepEqual(await join("dm-a"), ["in", "ROOM_FULL", "ROOM_FULL"]);
  assert.deepEqual(await join("dm-b"), ["in", "in", "ROOM_FULL"]);
  await clients[0]?.ask({ type: "leave-room", room_id: "dm-a", id: "l" });
  assert.equal((await clients[1]?.join("dm-a", "x"))?.type, "ack");
});

test("where servers publish, members cannot, and get the messages of servers", async t => {
  const { open, realtime } = await start(t, [{ match: "news-*", publish: "server" }]);
  const client = await open();
  await client.join("news-1", "Ann");
  for (const frame of [
    { type: "send-message", message: "m" },
    { type: "publish", event: "e" },
  ]) {
    const answer = await client.ask({ ...frame, room_id: "news-1", id: frame.type });
    assert.equal(answer.reason, "NOT_ALLOWED_IN_ROOM");
  }
  await realtime.hub.publish({ room: "news-1", from: "desk", message: "m" });
  assert.equal((await client.next("receive-message")).message, "m");
});

test("without presence no member is notified of another", async t => {
  const { open, realtime } = await start(t, [{ match: "*", presence: "off" }]);
  const [one, two] = [await open(), await open()];
  await one.join("x", "Ann");
  await two.join("x", "Bob");
  const refused = await one.ask({ type: "presence", room_id: "x", id: "p" });
  assert.equal(refused.reason, "NOT_ALLOWED_IN_ROOM");
  assert.throws(() => realtime.hub.members("x"), /presence is off/);
  two.socket.terminate();
  while (realtime.local.room("x")?.members.size === 2) await new Promise(resolve => setImmediate(resolve));
  await realtime.hub.publish({ room: "x", from: "s", message: "m" });
  assert.deepEqual(
    (await framesOf(one)).map(({ type }) => type),
    ["receive-message"],
  );
});

test("where presence is of sockets, each of a name's sockets comes and goes with its session", async t => {
  const { open } = await start(t, [{ match: "*", presence: "sockets" }]);
  const watcher = await open();
  await watcher.join("x", "Ann");
  const [one, two] = [await open(), await open()];
  for (const client of [one, two]) await client.join("x", "Bob");
  const { count, members } = await watcher.ask({ type: "presence", room_id: "x", id: "p" });
  assert.equal(count, 3);
  const sessions = (members as { session: string; from: string }[]).filter(({ from }) => from === "Bob");
  one.socket.terminate();
  await watcher.next("leave-room").then(({ session, from }) => {
    assert.deepEqual([from, session], ["Bob", sessions[0]?.session]);
  });
});

test("a digest names all who came and went in a while once, and none who came and went", async t => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const { open } = await start(t, [{ match: "*", notices: "digest" }]);
  const watcher = await open();
  await watcher.join("x", "Ann");
  for (let index = 0; index < 120; index++) await (await open()).join("x", `m${index}`);
  const brief = await open();
  await brief.join("x", "brief");
  await brief.ask({ type: "leave-room", room_id: "x", id: "l" });
  assert.deepEqual(await framesOf(watcher), []);
  t.mock.timers.tick(1000);
  const told = await watcher.next();
  const { joined, ...rest } = told as { joined: readonly string[] };
  assert.deepEqual(rest, { type: "members", room_id: "x", left: [], count: 121, more: true });
  assert.equal(joined.length, 100);
});

test("without notices members come unseen, and presence still lists them", async t => {
  const { open } = await start(t, [{ match: "*", notices: "off" }]);
  const [one, two] = [await open(), await open()];
  await one.join("x", "Ann");
  await two.join("x", "Bob");
  const { members } = await one.ask({ type: "presence", room_id: "x", id: "p" });
  assert.deepEqual(members, ["Ann", "Bob"]);
  assert.deepEqual(await framesOf(one), []);
});

test("a member that joins a room with a cache gets its last message, once and behind its ack", async t => {
  const { open, realtime } = await start(t, [{ match: "price-*", cache: true }]);
  const early = await open();
  assert.equal((await early.join("price-1", "a")).seq, 0);
  await realtime.hub.publish({ room: "price-1", from: "s", message: "1" });
  await realtime.hub.publish({ room: "price-1", from: "s", message: "2" });
  const late = await open();
  const joined = await late.join("price-1", "b");
  assert.equal(joined.seq, 1);
  const { seq, message } = await late.next("receive-message");
  assert.deepEqual([seq, message], [2, "2"]);
  const resumed = await open();
  const since = { epoch: joined.epoch, seq: 2 };
  assert.deepEqual((await resumed.join("price-1", "c", { since })).recovered, true);
  assert.deepEqual(
    (await framesOf(resumed)).filter(({ type }) => type === "receive-message"),
    [],
  );
});

test("JSON is delivered with its digits and its event, and kept as texts are", async t => {
  const { open } = await start(t, [{ match: "*" }]);
  const [one, two] = [await open(), await open()];
  for (const client of [one, two]) await client.join("x", "Ann");
  const text =
    '{"type":"publish","room_id":"x","event":"order.new","data":{"id":9007199254740993,"a":[ 1.0 ]},"id":1}';
  const raw = new Promise<string>(resolve =>
    two.socket.on("message", data => {
      if (String(data).includes("receive-message")) resolve(String(data));
    }),
  );
  one.socket.send(text);
  const delivered = await raw;
  assert.match(
    delivered,
    /"from":"Ann","event":"order\.new","data":\{"id":9007199254740993,"a":\[ 1\.0 \]\},"sent_at":/,
  );
  assert.match(delivered, /"seq":1,"epoch":"/);
  const page = await two.ask({ type: "history", room_id: "x", id: 2 });
  assert.deepEqual(page.messages, [JSON.parse(delivered)]);
  for (const [frame, problem] of [
    [{}, /expected data, event or both/],
    [{ event: "two words" }, /event: expected a string of 1 to 64 letters/],
    [{ event: "e", ephemeral: true, key: "k" }, /expected no key/],
    [{ event: "e", ephemeral: 1 }, /ephemeral: expected true or false/],
  ] as const) {
    const answer = await one.ask({ type: "publish", room_id: "x", id: "bad", ...frame });
    assert.match(String(answer.message), problem);
  }
});

test("an ephemeral message has no number, is not kept, and does not come back to its sender", async t => {
  const { open, realtime } = await start(t, [{ match: "*" }]);
  const [one, two] = [await open(), await open()];
  await one.join("x", "Ann");
  await two.join("x", "Bob");
  await framesOf(one);
  const typing = { type: "publish", room_id: "x", event: "typing", ephemeral: true, id: "t" };
  assert.deepEqual(await one.ask(typing), { type: "ack", id: "t", room_id: "x" });
  const { event, from, seq } = await two.next("receive-message");
  assert.deepEqual([event, from, seq], ["typing", "Ann", undefined]);
  assert.deepEqual(await framesOf(one), []);
  assert.deepEqual(await realtime.hub.history("x"), []);
  const said = await one.ask({ type: "send-message", room_id: "x", message: "m", id: "s" });
  assert.equal(said.seq, 1);
});

test("a message with a key that its sender has used gets the first one's position", async t => {
  const { open } = await start(t, [{ match: "*" }]);
  const [one, two] = [await open(), await open()];
  await one.join("x", "Ann");
  await two.join("x", "Bob");
  const send = { type: "send-message", room_id: "x", message: "m", key: "k1" };
  const first = await one.ask({ ...send, id: 1 });
  assert.deepEqual([first.seq, first.duplicate], [1, undefined]);
  const again = await one.ask({ ...send, id: 2 });
  assert.deepEqual([again.seq, again.epoch, again.duplicate], [1, first.epoch, true]);
  // Another's key is another key.
  assert.equal((await two.ask({ ...send, id: 3 })).seq, 2);
  await two.settled();
  assert.equal(two.frames.filter(({ type }) => type === "receive-message").length, 2);
});

test("history comes in pages, back to the first message, and costs as replay does", async t => {
  const { open, realtime } = await start(t, [{ match: "*" }]);
  const client = await open();
  assert.equal((await client.ask({ type: "history", room_id: "x", id: 0 })).reason, "NOT_A_MEMBER");
  await client.join("x", "Ann");
  for (let index = 1; index <= 7; index++)
    await realtime.hub.publish({ room: "x", from: "s", message: String(index) });
  const seqs: number[][] = [];
  let before: number | undefined;
  for (let more = true; more; ) {
    const page = await client.ask({ type: "history", room_id: "x", id: 1, limit: 3, before });
    const found = (page.messages as { seq: number }[]).map(({ seq }) => seq);
    seqs.push(found);
    before = found[0];
    more = page.more === true;
  }
  assert.deepEqual(seqs, [[5, 6, 7], [2, 3, 4], [1]]);
  const text = "x".repeat(60_000);
  for (let index = 0; index < 10; index++)
    await realtime.hub.publish({ room: "x", from: "s", message: text });
  const large = await client.ask({ type: "history", room_id: "x", id: 2 });
  assert.deepEqual([(large.messages as Json[]).length, large.more], [4, true]);
  let asked = 0;
  for (; asked < 100; asked++) {
    const answer = await client.ask({ type: "history", room_id: "x", id: `page ${asked}` });
    if (answer.type === "error") {
      assert.deepEqual([answer.reason, answer.retry_after], ["RATE_LIMITED", 1]);
      break;
    }
  }
  assert.ok(asked < 100);
});

test("parts of a room's name are known to policies and to requests of backends", () => {
  const kinds = roomKindsOf({ rooms: [{ ...plain, match: "dm-{first}-{second}" }], history });
  const rule = parseExpression("subject == room.first || subject == room.second");
  const condition = compileRule(rule, { input: undefined, room: true, parts: kinds });
  const allows = (subject: string, room: string) =>
    condition.test({ identity: { subject } as Identity, message: new Uint8Array(), room });
  assert.deepEqual(
    [allows("ann", "dm-ann-bob"), allows("bob", "dm-ann-bob"), allows("carl", "dm-ann-bob")],
    [true, true, false],
  );
  assert.notEqual(allows("ann", "lobby"), true);
  const unknown = parseExpression("subject == room.frist");
  assert.throws(
    () => compileRule(unknown, { input: undefined, room: true, parts: kinds }),
    /no entry of realtime.rooms has a part "frist" in its match; expected one of first, second/,
  );
});

const scalar = (name: string) => [name, { name, kind: "string", repeated: false }] as const;
const typeOf = (...names: string[]) =>
  ({ fullName: "t.Request", fieldsByName: new Map(names.map(scalar)) }) as unknown as MessageType;
const session = { id: "s1" } as Session;

test("a backend gets the parts of a room's name, and the JSON of what is published", () => {
  const kinds = roomKindsOf({ rooms: [{ ...plain, match: "dm-{first}-{second}" }], history });
  const request = eventRequest("message", typeOf("room_id", "second", "event", "data"), kinds);
  const frame = { type: "publish", room_id: "dm-ann-bob", from: "ann", event: "e", data: '{"a":1}' } as const;
  const json = { ...request(session, frame) };
  assert.deepEqual(json, { second: "bob", room_id: "dm-ann-bob", event: "e", data: '{"a":1}' });
});

test("a message that a backend of text alone cannot check is refused", () => {
  const request = eventRequest("message", typeOf("message"));
  const frame = { type: "publish", room_id: "x", from: "ann", data: "1" } as const;
  assert.throws(() => request(session, frame), /reads texts alone/);
  assert.doesNotThrow(() => eventRequest("message", typeOf("room_id"))(session, frame));
});
