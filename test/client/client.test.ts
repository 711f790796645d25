import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import {
  Client,
  type ClientOptions,
  type FeedState,
  type Loss,
  RealtimeError,
  type Room,
  type State,
} from "../../clients/js/src/index.js";
import { FakeServer } from "../../clients/js/src/testing.js";

interface Seen {
  readonly texts: string[];
  readonly lost: Loss[];
}

function start(t: TestContext, options: Partial<ClientOptions> = {}) {
  const server = new FakeServer();
  const client = new Client({
    url: "ws://test",
    transports: [server.transport],
    backoff: { min: 1, max: 1 },
    ...options,
  });
  t.after(() => client.close());
  return { server, client };
}

function watch(room: Room): Seen {
  const seen: Seen = { texts: [], lost: [] };
  room.on("message", ({ message }) => seen.texts.push(message));
  room.on("lost", loss => seen.lost.push(loss));
  return seen;
}

/** Resolves with the next event of that name. */
function next<T>(
  target: { on(name: never, listener: (event: T) => void): () => void },
  name: string,
): Promise<T> {
  return new Promise(resolve => {
    const off = target.on(name as never, event => {
      off();
      resolve(event);
    });
  });
}

function reaches(client: Client, wanted: State["state"]): Promise<State> {
  return new Promise(resolve => {
    const off = client.on("state", state => {
      if (state.state !== wanted) return;
      off();
      resolve(state);
    });
  });
}

const turn = (): Promise<void> => new Promise(resolve => setImmediate(resolve));

test("a client delivers published messages in order, and returns the position of a sent message", async t => {
  const { server, client } = start(t);
  const room = client.room("x", { from: "Ann" });
  const seen = watch(room);
  await room.join();
  assert.deepEqual(await room.send("one"), { epoch: "e1", seq: 1, duplicate: false });
  server.publish("x", "Bob", "two");
  await room.send("three");
  assert.deepEqual(seen, { texts: ["one", "two", "three"], lost: [] });
  assert.deepEqual(room.position, { epoch: "e1", seq: 3 });
});

test("a client gets what was published while its connection was lost, once and in order", async t => {
  const { server, client } = start(t);
  const room = client.room("x", { from: "Ann" });
  const seen = watch(room);
  await room.join();
  server.publish("x", "Bob", "before");
  await turn();
  const again = next<{ missed: number }>(room, "joined");
  server.drop();
  server.publish("x", "Bob", "meanwhile");
  server.publish("x", "Bob", "later");
  assert.equal((await again).missed, 2);
  await turn();
  assert.deepEqual(seen, { texts: ["before", "meanwhile", "later"], lost: [] });
});

test("a client says exactly which messages are lost, from a gap, from a jump and from the end of an epoch", async t => {
  const { server, client } = start(t);
  const room = client.room("x", { from: "Ann" });
  const seen = watch(room);
  await room.join();
  server.publish("x", "Bob", "1");
  await turn();
  let again = next(room, "joined");
  server.drop();
  server.lose("x", 2);
  server.publish("x", "Bob", "4");
  await again;
  await turn();
  assert.deepEqual(seen.lost, [{ epoch: "e1", from: 2, to: 3 }]);
  server.lose("x", 1);
  server.publish("x", "Bob", "6");
  await turn();
  assert.deepEqual(seen.lost[1], { epoch: "e1", from: 5, to: 5 });
  again = next(room, "joined");
  server.drop();
  server.restart("x");
  server.publish("x", "Bob", "new");
  await again;
  await turn();
  assert.deepEqual(seen.lost[2], { epoch: "e1", from: 7, to: Number.POSITIVE_INFINITY });
  assert.deepEqual(seen.texts, ["1", "4", "6", "new"]);
});

test("a client calls nothing lost of a new epoch that goes on with the numbers of the one before", async t => {
  const { server, client } = start(t);
  const room = client.room("x", { from: "Ann" });
  const seen = watch(room);
  await room.join();
  const again = next<{ missed: number }>(room, "joined");
  server.drop();
  server.restart("x", 7);
  server.publish("x", "Bob", "8");
  server.publish("x", "Bob", "9");
  assert.equal((await again).missed, 2);
  await turn();
  server.restart("x", 20);
  server.publish("x", "Bob", "21");
  await turn();
  assert.deepEqual(seen.texts, ["8", "9", "21"]);
  const to = Number.POSITIVE_INFINITY;
  assert.deepEqual(seen.lost, [
    { epoch: "e1", from: 1, to },
    { epoch: "e2-7", from: 10, to },
  ]);
});

test("the first join brings the last messages of before, and does not call older ones lost", async t => {
  const { server, client } = start(t);
  server.history = 2;
  for (const text of ["a", "b", "c", "d"]) server.publish("x", "Bob", text);
  const room = client.room("x", { from: "Ann", last: 3 });
  const seen = watch(room);
  await room.join();
  await turn();
  assert.deepEqual(seen, { texts: ["c", "d"], lost: [] });
});

test("a room goes on from the position of an earlier session", async t => {
  const { server, client } = start(t);
  const since = server.publish("x", "Bob", "a");
  server.publish("x", "Bob", "b");
  const room = client.room("x", { from: "Ann", since });
  const seen = watch(room);
  await room.join();
  await turn();
  assert.deepEqual(seen, { texts: ["b"], lost: [] });
});

test("a message is sent again under its key after the connection was lost, and published once", async t => {
  const { server, client } = start(t);
  const room = client.room("x", { from: "Ann" });
  const seen = watch(room);
  await room.join();
  // It takes effect, and its response does not arrive.
  server.refuse = frame => {
    if (frame.type === "send-message") {
      server.refuse = undefined;
      const [connection] = server.connections;
      assert.ok(connection);
      server.handle(connection, frame);
      server.drop();
    }
    return undefined;
  };
  const sent = await room.send("once");
  assert.deepEqual(sent, { epoch: "e1", seq: 1, duplicate: true });
  await turn();
  assert.deepEqual(seen, { texts: ["once"], lost: [] });
});

test("the client does not resend what a gateway without keys may have published", async t => {
  const { server, client } = start(t);
  const room = client.room("x", { from: "Ann" });
  await room.join();
  server.refuse = ({ key }) =>
    key === undefined
      ? undefined
      : { reason: "UNKNOWN_FIELD", message: 'unknown field "key" in send-message' };
  await room.send("first");
  server.responsive = false;
  const sent = room.send("second");
  await turn();
  server.responsive = true;
  server.drop();
  await assert.rejects(sent, { reason: "CONNECTION_LOST", uncertain: true });
});

test("messages that are refused for the moment keep their order", async t => {
  const { server, client } = start(t);
  const room = client.room("x", { from: "Ann" });
  const seen = watch(room);
  await room.join();
  let refusals = 3;
  server.refuse = ({ type }) =>
    type === "send-message" && refusals-- > 0 ? { reason: "BROKER_UNAVAILABLE" } : undefined;
  await Promise.all(["1", "2", "3"].map(text => room.send(text)));
  assert.deepEqual(seen.texts, ["1", "2", "3"]);
});

test("a message that is refused fails with the reason, and those behind it are sent", async t => {
  const { server, client } = start(t);
  const room = client.room("x", { from: "Ann" });
  await room.join();
  server.refuse = ({ message }) =>
    message === "bad" ? { reason: "POLICY_DENIED", message: "no" } : undefined;
  const [bad, good] = await Promise.allSettled([room.send("bad"), room.send("good")]);
  assert.ok(bad.status === "rejected" && bad.reason instanceof RealtimeError);
  assert.deepEqual(
    [bad.reason.reason, bad.reason.message, bad.reason.uncertain],
    ["POLICY_DENIED", "no", false],
  );
  assert.equal(good.status, "fulfilled");
});

test("messages above the limit and above the queue are refused by the client", async t => {
  const { client } = start(t, { queue: 1 });
  const room = client.room("x", { from: "Ann" });
  await assert.rejects(room.send("early"), { reason: "NOT_JOINED" });
  await room.join();
  await assert.rejects(room.send("x".repeat(70_000)), { reason: "MESSAGE_TOO_LARGE" });
  const first = room.send("1");
  await assert.rejects(room.send("2"), { reason: "QUEUE_FULL" });
  await first;
});

test("a join that is refused for good rejects, and one refused for the moment is tried again", async t => {
  const { server, client } = start(t);
  server.refuse = ({ type }) => {
    server.refuse = undefined;
    return type === "join-room" ? { reason: "TOO_MANY_PENDING" } : undefined;
  };
  await client.room("x", { from: "Ann" }).join();
  server.refuse = ({ room_id }) => (room_id === "y" ? { reason: "POLICY_DENIED", message: "no" } : undefined);
  const room = client.room("y", { from: "Ann" });
  const refused = next<RealtimeError>(room, "refused");
  await assert.rejects(room.join(), { reason: "POLICY_DENIED" });
  assert.equal((await refused).reason, "POLICY_DENIED");
  server.refuse = undefined;
  await room.join();
  assert.deepEqual(server.members("y"), ["Ann"]);
});

test("a room that is left stays so after the connection was lost", async t => {
  const { server, client } = start(t);
  const [x, y] = [client.room("x", { from: "Ann" }), client.room("y", { from: "Ann" })];
  await Promise.all([x.join(), y.join()]);
  await x.leave();
  assert.deepEqual([server.members("x"), server.members("y")], [[], ["Ann"]]);
  const again = next(y, "joined");
  server.drop();
  await again;
  assert.deepEqual([server.members("x"), server.members("y")], [[], ["Ann"]]);
});

test("a client emits the members of a room after each change", async t => {
  const { server, client } = start(t);
  const other = new Client({ url: "ws://test", transports: [server.transport] });
  t.after(() => other.close());
  const room = client.room("x", { from: "Ann" });
  const told = next<{ count: number }>(room, "members");
  await room.join();
  assert.equal((await told).count, 1);
  const entered = next<string>(room, "enter");
  const both = next(room, "members");
  await other.room("x", { from: "Bob" }).join();
  assert.equal(await entered, "Bob");
  assert.deepEqual(await both, { count: 2, members: ["Ann", "Bob"] });
});

test("a room emits that the stream which feeds it has ended, and that another one has begun", async t => {
  const { server, client } = start(t);
  const room = client.room("x", { from: "Ann" });
  const others: string[] = [];
  room.on("frame", ({ type }) => others.push(type));
  await room.join();
  for (const state of ["interrupted", "resumed"] as const) {
    const seen = next<FeedState>(room, "feed");
    server.feed("x", state);
    assert.equal(await seen, state);
  }
  assert.deepEqual(others, []);
});

test("calls resolve with the response, and streams with every event", async t => {
  const { server, client } = start(t);
  server.onCall("a.B/Double", body => ({ n: 2 * (body as { n: number }).n }));
  server.onCall("a.B/Count", async function* () {
    for (let n = 1; n <= 3; n++) yield { n };
  });
  server.onCall("a.B/Fail", () => {
    throw { reason: "NOT_FOUND", message: "nothing" };
  });
  assert.deepEqual(await client.call("a.B/Double", { n: 4 }), { n: 8 });
  const seen: unknown[] = [];
  for await (const event of client.stream("a.B/Count")) seen.push(event);
  assert.deepEqual(seen, [{ n: 1 }, { n: 2 }, { n: 3 }]);
  await assert.rejects(client.call("a.B/Fail"), { reason: "NOT_FOUND", message: "nothing" });
  await assert.rejects(client.call("a.B/Count"), { reason: "NOT_UNARY" });
});

test("a call that is aborted, and a stream that is left, are cancelled", async t => {
  const { server, client } = start(t);
  server.onCall("a.B/Wait", () => new Promise(() => {}));
  server.onCall("a.B/Endless", async function* () {
    for (let n = 1; ; n++) {
      yield { n };
      await turn();
    }
  });
  const controller = new AbortController();
  const waiting = client.call("a.B/Wait", {}, { signal: controller.signal });
  await reaches(client, "open");
  await turn();
  controller.abort();
  await assert.rejects(waiting, { name: "AbortError" });
  for await (const _ of client.stream("a.B/Endless")) break;
  await turn();
  const cancelled = server.received.filter(({ type }) => type === "cancel");
  assert.equal(cancelled.length, 2);
});

test("a call under way when the connection is lost fails as uncertain, and is not sent again", async t => {
  const { server, client } = start(t);
  server.onCall("a.B/Wait", () => new Promise(() => {}));
  const waiting = client.call("a.B/Wait");
  await reaches(client, "open");
  await turn();
  server.drop();
  await assert.rejects(waiting, { reason: "CONNECTION_LOST", uncertain: true });
  await reaches(client, "open");
  assert.equal(server.received.filter(({ type }) => type === "call").length, 1);
});

test("a client requests a token for each connection, and once more after a refusal", async t => {
  let issued = 0;
  const { server, client } = start(t, { token: () => `t${++issued}` });
  server.refuseConnection = ({ token }) => (token === "t1" ? { code: 4401, reason: "" } : undefined);
  await client.room("x", { from: "Ann" }).join();
  assert.deepEqual(server.tokens, ["t1", "t2"]);
  server.refuseConnection = () => ({ code: 4401, reason: '{"reason":"CREDENTIALS_INVALID"}' });
  const closed = reaches(client, "closed");
  server.drop();
  assert.deepEqual(await closed, { state: "closed", code: 4401, reason: '{"reason":"CREDENTIALS_INVALID"}' });
});

test("a token that is about to end is renewed on the open connection", async t => {
  const { server, client } = start(t, { token: why => `token to be ${why}` });
  await client.room("x", { from: "Ann" }).join();
  const renewed = new Promise<void>(resolve => {
    server.refuse = ({ type }) => {
      if (type === "refresh") resolve();
      return undefined;
    };
  });
  for (const connection of server.connections) connection.send({ type: "expiring", expires_in: 30 });
  await renewed;
  await turn();
  assert.deepEqual(server.tokens, ["token to be connect", "token to be expiring"]);
});

test("codes that say that coming back is of no use end the client, and its rooms reject", async t => {
  const { server, client } = start(t);
  const room = client.room("x", { from: "Ann" });
  await room.join();
  const closed = reaches(client, "closed");
  server.drop(4403, '{"reason":"banned"}');
  assert.deepEqual(await closed, { state: "closed", code: 4403, reason: '{"reason":"banned"}' });
  await assert.rejects(room.join(), { reason: "CLOSED" });
  await assert.rejects(client.call("a.B/C"), { reason: "CLOSED" });
});

test("a client reconnects to a gateway that shuts down no earlier than its retry_after", async t => {
  const { server, client } = start(t);
  await client.room("x", { from: "Ann" }).join();
  const waiting = reaches(client, "waiting");
  server.drop(1012, '{"reason":"SHUTTING_DOWN","retry_after":7}');
  const state = await waiting;
  assert.ok(state.state === "waiting" && state.retryIn === 7000);
});

test("waits before connecting again grow to the longest, and chance takes off up to four fifths", async t => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const waits: number[] = [];
  const { server, client } = start(t, { backoff: { min: 100, max: 800 } });
  server.refuseConnection = () => ({ code: 1006, reason: "" });
  client.connect();
  for (let i = 0; i < 6; i++) {
    const state = await reaches(client, "waiting");
    assert.ok(state.state === "waiting");
    waits.push(state.retryIn);
    t.mock.timers.tick(state.retryIn);
  }
  const longest = [100, 200, 400, 800, 800, 800];
  for (const [index, wait] of waits.entries()) {
    const most = longest[index] ?? 0;
    assert.ok(wait >= 0.2 * most && wait <= most, `${wait} of ${most}`);
  }
});

test("a transport that does not open in time is passed over, and left out from then on", async t => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const deaf = new FakeServer();
  deaf.responsive = false;
  const server = new FakeServer();
  const transports = [{ ...deaf.transport, name: "deaf" }, server.transport];
  const { client } = start(t, { transports, connectTimeout: 5000 });
  const open = reaches(client, "open");
  client.connect();
  await turn();
  t.mock.timers.tick(5000);
  assert.deepEqual(await open, { state: "open", transport: "fake" });
  const again = reaches(client, "open");
  const lost = reaches(client, "waiting");
  server.drop();
  await lost;
  t.mock.timers.tick(1);
  await again;
  assert.deepEqual([deaf.tokens.length, server.tokens.length], [1, 2]);
});

test("a client gives up a connection without responses after a probe", async t => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  let now = 0;
  t.mock.method(performance, "now", () => now);
  const { server, client } = start(t);
  const room = client.room("x", { from: "Ann" });
  const joined = room.join();
  await joined;
  server.responsive = false;
  const lost = reaches(client, "waiting");
  void room.presence().catch(() => undefined);
  for (let i = 0; i < 12; i++) {
    now += 1000;
    t.mock.timers.tick(1000);
  }
  const state = await lost;
  assert.ok(state.state === "waiting" && /no sign of the gateway/.test(state.reason));
});

test("a transport that opens and on which nothing ever arrives is passed over when the client connects again", async t => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  let now = 0;
  t.mock.method(performance, "now", () => now);
  const silent = new FakeServer();
  const server = new FakeServer();
  const transports = [{ ...silent.transport, name: "silent" }, server.transport];
  const { client } = start(t, { transports });
  const open = reaches(client, "open");
  client.connect();
  assert.deepEqual(await open, { state: "open", transport: "silent" });
  silent.responsive = false;
  const waiting = reaches(client, "waiting");
  for (let each = 0; each < 30 && client.state.state === "open"; each++) {
    now += 1250;
    t.mock.timers.tick(5000);
    await turn();
  }
  await waiting;
  silent.responsive = true;
  const again = reaches(client, "open");
  t.mock.timers.tick(1);
  assert.deepEqual(await again, { state: "open", transport: "fake" });
});

test("no more frames are sent at once than the gateway takes", async t => {
  const { server, client } = start(t, { rate: { burst: 10, perSecond: 1000 } });
  const rooms = Array.from({ length: 40 }, (_, i) => client.room(`r${i}`, { from: "Ann" }));
  const joins = Promise.all(rooms.map(room => room.join()));
  await reaches(client, "open");
  await turn();
  assert.ok(server.received.length < 40, "all were sent at once");
  await joins;
});

test("a listener that throws takes nothing from the others", async t => {
  const { server, client } = start(t);
  const room = client.room("x", { from: "Ann" });
  const { queueMicrotask } = globalThis;
  const thrown = new Promise(resolve =>
    t.mock.method(globalThis, "queueMicrotask", (run: () => void) =>
      queueMicrotask(() => {
        try {
          run();
        } catch (error) {
          resolve((error as Error).message);
        }
      }),
    ),
  );
  room.on("message", () => {
    throw new Error("of a listener");
  });
  const seen = watch(room);
  await room.join();
  server.publish("x", "Bob", "1");
  assert.equal(await thrown, "of a listener");
  assert.deepEqual(seen.texts, ["1"]);
});

test("a client whose connection is lost tries the transport that worked twice more before it takes another", async t => {
  const server = new FakeServer();
  const other = new FakeServer();
  const { client } = start(t, { transports: [server.transport, other.transport] });
  await client.room("x", { from: "Ann" }).join();
  server.refuseConnection = () => ({ code: 1006, reason: "" });
  const open = reaches(client, "open");
  server.drop();
  await open;
  assert.deepEqual([server.tokens.length, other.tokens.length], [4, 1]);
});

test("a client that the gateway refuses by one transport does not try the others", async t => {
  const server = new FakeServer();
  const other = new FakeServer();
  server.refuseConnection = () => ({ code: 4403, reason: "" });
  const { client } = start(t, { transports: [server.transport, other.transport] });
  const closed = reaches(client, "closed");
  client.connect();
  assert.deepEqual(await closed, { state: "closed", code: 4403, reason: "" });
  assert.equal(other.tokens.length, 0);
});
