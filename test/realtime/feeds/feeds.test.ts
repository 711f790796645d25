import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { status } from "@grpc/grpc-js";
import { WebSocket } from "ws";
import { type FeedState, Client as RoomClient } from "../../../clients/js/src/index.js";
import { Cursors, cursorOf } from "../../../src/realtime/feeds/cursors.js";
import { webSocket } from "../../client/members.js";
import { send, startTestGateway, type TestGateway } from "../../gateway/harness.js";
import { Client, type Json } from "../harness.js";
import { pricesProto, startWatchBackend, type WatchBackend } from "./watch-backend.js";

interface Options {
  readonly feed?: string;
  readonly room?: string;
  readonly realtime?: string;
  readonly upstream?: string;
  readonly linger?: string;
  /** Without the feed. */
  readonly unfed?: boolean;
}

function configuration(port: number, options: Options): string {
  const { feed = "", room = "", realtime = "", upstream = "", linger = "1ms", unfed = false } = options;
  const fed = `, feed: { upstream: market, method: market.v1.Prices/Watch, linger: ${linger}${feed} }`;
  return `
descriptors: [{ protos: ./protos }]
upstreams: { market: { targets: ["127.0.0.1:${port}"]${upstream} } }
realtime:
  rooms:
    - { match: "price-{symbol}"${room}${unfed ? "" : fed} }
    - { match: "*" }
  limits: { messages_per_second: 100000, burst: 100000 }
${realtime}
server: { drain: 1s }
`;
}

interface System {
  readonly backend: WatchBackend;
  readonly gateway: TestGateway;
  close(): Promise<void>;
  open(): Promise<Client>;
  member(room?: string): Promise<Client>;
  metric(sample: string): Promise<number>;
  reload(options: Options): Promise<void>;
}

async function start(t: TestContext, options: Options = {}): Promise<System> {
  const backend = await startWatchBackend();
  t.after(() => backend.kill());
  const files = { "protos/prices.proto": pricesProto };
  const gateway = await startTestGateway(configuration(backend.port, options), files);
  let closed: Promise<void> | undefined;
  const close = (): Promise<void> => {
    closed ??= gateway.close();
    return closed;
  };
  t.after(close);
  const open = async (): Promise<Client> => {
    const client = new Client(new WebSocket(`ws://127.0.0.1:${gateway.realtimePort}/ws`));
    t.after(() => client.socket.terminate());
    await client.opened;
    return client;
  };
  return {
    backend,
    gateway,
    close,
    open,
    member: async (room = "price-ACME") => {
      const client = await open();
      await client.join(room, "jdoe");
      return client;
    },
    metric: async sample => {
      const { text } = await send(`${gateway.admin}/metrics`);
      const line = text.split("\n").find(each => each.startsWith(`${sample} `));
      return line === undefined ? 0 : Number(line.slice(sample.length + 1));
    },
    reload: async next => {
      gateway.write("gateway.yaml", configuration(backend.port, next));
      await gateway.reload();
    },
  };
}

/** The ids of so many prices, as a member gets them, and that their numbers have no gap. */
async function prices(client: Client, count: number): Promise<number[]> {
  const ids: number[] = [];
  let before: number | undefined;
  while (ids.length < count) {
    const { seq, data } = await client.next("receive-message");
    if (before !== undefined) assert.equal(seq, before + 1);
    before = Number(seq);
    ids.push(Number((data as Json).id));
  }
  return ids;
}

test("the first member of a room opens the stream of its feed, members get its messages, and the last one closes it", async t => {
  const { backend, member, metric, gateway } = await start(t);
  const first = await member();
  await backend.until(() => backend.open.length === 1);
  assert.deepEqual(backend.watches[0]?.request, { symbol: "ACME", room_id: "price-ACME" });
  const second = await member();
  backend.price();
  const message = await first.next("receive-message");
  const { sent_at: sentAt, epoch, ...rest } = message;
  assert.deepEqual(rest, {
    type: "receive-message",
    room_id: "price-ACME",
    from: "feed",
    event: "feed",
    data: { id: "1", symbol: "ACME" },
    seq: 1,
  });
  assert.equal(typeof sentAt, "number");
  assert.deepEqual(await second.next("receive-message"), message);
  backend.price();
  // It is in history like any other, and members publish beside it.
  assert.equal((await second.next("receive-message")).seq, 2);
  first.say({ type: "send-message", room_id: "price-ACME", message: "Hi" });
  assert.equal((await second.next("receive-message")).seq, 3);
  const late = await member("other");
  await late.join("price-ACME", "late", { since: { epoch, seq: 1 } });
  assert.deepEqual(
    [(await late.next("receive-message")).seq, (await late.next("receive-message")).seq],
    [2, 3],
  );
  assert.equal(await metric("protogate_ws_feed_streams"), 1);
  assert.equal(await metric('protogate_ws_feed_messages_total{result="published"}'), 2);
  for (const client of [late, first, second]) {
    assert.equal(backend.open.length, 1);
    await client.ask({ type: "leave-room", room_id: "price-ACME", id: "leave" });
  }
  await backend.until(() => backend.open.length === 0);
  assert.equal(backend.watches.length, 1);
  assert.deepEqual(
    gateway.log.filter(({ level }) => level === "error" || level === "warn"),
    [],
  );
  await member();
  await backend.until(() => backend.watches.length === 2);
});

test("a hundred clients that join at once open one stream, and a room that none fits opens none", async t => {
  const { backend, open } = await start(t);
  const clients = await Promise.all(Array.from({ length: 100 }, open));
  await Promise.all(clients.map((client, index) => client.join("price-ACME", `m${index}`)));
  await Promise.all(clients.map((client, index) => client.join("other", `m${index}`)));
  await backend.until(() => backend.open.length === 1);
  for (let id = 1; id <= 50; id++) backend.price();
  for (const client of clients)
    assert.deepEqual(
      await prices(client, 50),
      Array.from({ length: 50 }, (_, index) => index + 1),
    );
  assert.equal(backend.watches.length, 1);
});

test("a stream outlasts the time in which a room has no members, if that is no longer than linger", async t => {
  const { backend, member } = await start(t, { linger: "1h" });
  const first = await member();
  await backend.until(() => backend.open.length === 1);
  await first.ask({ type: "leave-room", room_id: "price-ACME", id: "leave" });
  const second = await member();
  backend.price();
  assert.deepEqual(await prices(second, 1), [1]);
  assert.equal(backend.watches.length, 1);
});

test("the client emits the states of the stream that feeds its room", async t => {
  const { backend, gateway } = await start(t);
  const client = new RoomClient({ url: `ws://127.0.0.1:${gateway.realtimePort}/ws`, webSocket });
  t.after(() => client.close());
  const room = client.room("price-ACME", { from: "jdoe" });
  const states: FeedState[] = [];
  const resumed = new Promise<void>(resolve => {
    room.on("feed", state => {
      states.push(state);
      if (state === "resumed") resolve();
    });
  });
  await room.join();
  await backend.until(() => backend.open.length === 1);
  backend.kill();
  await backend.start();
  await backend.until(() => backend.open.length === 1);
  backend.price();
  await resumed;
  assert.deepEqual(states, ["interrupted", "resumed"]);
});

test("a backend that ends and comes back is watched again, members are notified, and with resume_field they miss nothing", async t => {
  const { backend, member, metric, gateway } = await start(t, {
    room: ", publish: server",
    feed: ", cursor: id, resume_field: after_id",
  });
  const client = await member();
  await backend.until(() => backend.open.length === 1);
  backend.price();
  backend.price();
  assert.deepEqual(await prices(client, 2), [1, 2]);
  backend.kill();
  assert.deepEqual(await client.next("feed"), { type: "feed", room_id: "price-ACME", state: "interrupted" });
  await gateway.logged(({ msg }) => /stream that feeds the room has ended/.test(String(msg)));
  backend.price();
  await backend.start();
  await backend.until(() => backend.watches.length === 2);
  assert.deepEqual(backend.watches[1]?.request, { symbol: "ACME", room_id: "price-ACME", after_id: "2" });
  const frames = [await client.next(), await client.next()];
  assert.ok(frames.some(({ type, state }) => type === "feed" && state === "resumed"));
  const message = frames.find(({ type }) => type === "receive-message");
  assert.deepEqual([message?.seq, message?.data], [3, { id: "3", symbol: "ACME" }]);
  // What the backend sends again is published once.
  backend.open[0]?.send(3);
  backend.price();
  assert.deepEqual(await prices(client, 1), [4]);
  assert.equal(await metric('protogate_ws_feed_messages_total{result="duplicate"}'), 1);
  assert.equal((await metric('protogate_ws_feed_ends_total{code="UNAVAILABLE"}')) > 0, true);
});

test("a status that trying again does not change is logged as an error, and the stream is opened again slowly", async t => {
  const { backend, member, gateway } = await start(t);
  backend.refuse(status.PERMISSION_DENIED);
  await member();
  const line = await gateway.logged(({ code }) => code === "PERMISSION_DENIED");
  assert.equal(line.level, "error");
  assert.equal(line.room, "price-ACME");
  const [, seconds] = /again in ([\d.]+) s/.exec(String(line.msg)) ?? [];
  assert.ok(Number(seconds) >= 30, String(line.msg));
});

test("a message that rooms cannot carry is left out and counted, and the stream goes on", async t => {
  const { backend, member, metric, gateway } = await start(t);
  const client = await member();
  await backend.until(() => backend.open.length === 1);
  backend.open[0]?.send(1, { pad: "x".repeat(70_000) });
  backend.price();
  assert.deepEqual(await prices(client, 1), [1]);
  assert.equal(await metric('protogate_ws_feed_messages_total{result="too_large"}'), 1);
  assert.ok(gateway.log.some(({ msg }) => /was not published/.test(String(msg))));
});

test("a reload that changes nothing of a feed leaves its stream open, one that does opens another, and one without it closes it", async t => {
  const { backend, member, reload } = await start(t);
  const client = await member();
  await backend.until(() => backend.open.length === 1);
  await reload({ realtime: "  sent_at: milliseconds" });
  backend.price();
  assert.deepEqual(await prices(client, 1), [1]);
  assert.equal(backend.watches.length, 1);
  await reload({ feed: ", event: price" });
  await backend.until(() => backend.watches.length === 2 && backend.open.length === 1);
  backend.price();
  assert.equal((await client.next("receive-message")).event, "price");
  await reload({ upstream: ", timeout: 7s", feed: ", event: price" });
  await backend.until(() => backend.watches.length === 3 && backend.open.length === 1);
  await reload({ unfed: true });
  await backend.until(() => backend.open.length === 0);
  await reload({});
  await backend.until(() => backend.open.length === 1);
  backend.price();
  assert.deepEqual(await prices(client, 1), [3]);
});

test("a process has at most as many streams as realtime.feeds.streams says, and rooms wait for one", async t => {
  const { backend, member, gateway } = await start(t, { realtime: "  feeds: { streams: 1 }" });
  const first = await member("price-A");
  await backend.until(() => backend.open.length === 1);
  await member("price-B");
  await gateway.logged(({ msg }) => /realtime.feeds.streams/.test(String(msg)));
  assert.equal(backend.watches.length, 1);
  first.socket.terminate();
  await backend.until(() => backend.watches.length === 2);
  assert.deepEqual(backend.watches[1]?.request.symbol, "B");
});

test("a gateway that drains closes its streams first", async t => {
  const { backend, member, close } = await start(t);
  const client = await member();
  await backend.until(() => backend.open.length === 1);
  const closing = close();
  await backend.until(() => backend.open.length === 0);
  assert.equal((await client.closed).code, 1012);
  await closing;
});

test("cursors are remembered while the room keeps their messages, whatever characters they have", () => {
  const cursors = new Cursors({ messages: 3, ttl: 1000 });
  const now = Date.now();
  assert.equal(cursors.last, undefined);
  const long = "x".repeat(100_000);
  for (const cursor of ["1", "a\r\nb é", long]) {
    assert.equal(cursors.has(cursor), false);
    cursors.add(cursor, now);
    assert.equal(cursors.last, cursor);
  }
  assert.deepEqual(
    [cursors.has("1", now), cursors.has("a\r\nb é", now), cursors.has(long, now)],
    [true, true, true],
  );
  assert.equal(cursors.has(`${long}y`), false);
  cursors.add("2", now);
  assert.deepEqual([cursors.has("1", now), cursors.has("2", now)], [false, true]);
  // What comes again is the latest.
  cursors.add("a\r\nb é", now + 1);
  cursors.add("3", now + 1);
  assert.deepEqual([cursors.has(long, now), cursors.has("a\r\nb é", now)], [false, true]);
  assert.deepEqual([cursors.has("2", now + 999), cursors.has("2", now + 1000)], [true, false]);
  const none = new Cursors({ messages: 0, ttl: 1000 });
  none.add("1", now);
  assert.deepEqual([none.has("1", now), none.last], [false, "1"]);
  assert.deepEqual(
    [{ id: "17" }, { id: 17 }, { other: 1 }, null, "text"].map(message => cursorOf(message, "id")),
    ["17", "17", undefined, undefined, undefined],
  );
});
