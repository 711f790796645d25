import assert from "node:assert/strict";
import { after, before, describe, it, mock, type TestContext, test } from "node:test";
import { WebSocket } from "ws";
import { Client } from "../../clients/js/src/index.js";
import type { Caller } from "../../src/auth/caller.js";
import type { Identity } from "../../src/auth/identity.js";
import { MemoryBroker } from "../../src/realtime/brokers/memory-broker.js";
import { historyLimitsOf, roomKindsOf } from "../../src/realtime/rooms/room-kinds.js";
import { gatewayError } from "../../src/status/failure.js";
import { type Json, serve, type TestServer } from "./harness.js";

const history = { messages: 100, ttl: 3_600_000, max_bytes: 64 * 1024 ** 2 };
const plain = { presence: "users", publish: "members", cache: false } as const;
const section = {
  rooms: [
    { ...plain, match: "dm-*", token: { provider: "rooms", claim: "room" } },
    { ...plain, match: "*" },
  ],
  history,
};

/** Tokens are `subject.rooms.end`, with commas between rooms. */
function identityOf(caller: Caller): Identity {
  const token = caller.header("authorization")?.slice("Bearer ".length) ?? "";
  const [subject = "", rooms = "", end = ""] = token.split(".");
  if (subject === "bad") throw gatewayError("CREDENTIALS_INVALID", "the credentials are not accepted");
  const room = rooms.includes(",") ? rooms.split(",") : rooms;
  const expiresAt = end === "" ? undefined : Number(end);
  return { provider: "rooms", subject, scopes: new Set(), claims: { room }, metadata: [], expiresAt };
}

interface StartOptions {
  readonly slow?: boolean;
  readonly authenticated?: boolean;
}

function start(t: TestContext, { slow = false, authenticated = false }: StartOptions = {}) {
  const later = (caller: Caller) =>
    new Promise<void>(resolve => setImmediate(resolve)).then(() => identityOf(caller));
  return serve(t, {
    settings: {
      kinds: roomKindsOf(section),
      roomTokens: provider => (provider === "rooms" ? (slow ? later : identityOf) : undefined),
      authenticator: authenticated ? identityOf : undefined,
    },
    broker: new MemoryBroker(historyLimitsOf(section)),
  });
}

const join = (room: string, token?: string, more: Json = {}): Json => ({
  type: "join-room",
  room_id: room,
  id: `join ${room} ${token}`,
  ...(token === undefined ? {} : { token }),
  ...more,
});

for (const slow of [false, true]) {
  const how = slow ? "where the provider must be asked" : "at once";

  test(`a token lets its subject into the rooms that it names, ${how}`, async t => {
    const { open } = await start(t, { slow });
    const client = await open();
    const refusals: readonly (readonly [Json, string])[] = [
      [join("dm-1"), "CREDENTIALS_MISSING"],
      [join("dm-1", "bad.dm-1."), "CREDENTIALS_INVALID"],
      [join("dm-1", "ann.dm-2."), "NOT_ALLOWED_IN_ROOM"],
      [join("dm-1", "ann.dm-*."), "NOT_ALLOWED_IN_ROOM"],
      [join("dm-1", "ann.dm-1.", { from: "bob" }), "FROM_MISMATCH"],
    ];
    for (const [frame, reason] of refusals) assert.equal((await client.ask(frame)).reason, reason);
    assert.equal((await client.ask(join("dm-1", "ann.dm-1."))).type, "ack");
    assert.equal((await client.ask(join("dm-2", "ann.dm-3,dm-2."))).type, "ack");
    const { members } = await client.ask({ type: "presence", room_id: "dm-1", id: "who" });
    assert.deepEqual(members, ["ann"]);
    assert.equal((await client.ask(join("lobby", undefined, { from: "ann" }))).type, "ack");
    const other = await client.ask(join("dm-1", "bob.dm-1."));
    assert.equal(other.reason, "CREDENTIALS_INVALID");
  });
}

test("a token for a room must be of the subject that the socket was opened by", async t => {
  const { open } = await start(t, { authenticated: true });
  const client = await open({ protocols: ["bearer", "ann.."] });
  assert.equal((await client.ask(join("dm-1", "bob.dm-1."))).reason, "CREDENTIALS_INVALID");
  assert.equal((await client.ask(join("dm-1", "ann.dm-1."))).type, "ack");
});

/** Lets a minute pass, after which the members of this process have been checked for tokens that have ended. */
async function passMinute({ open }: Pick<TestServer, "open">): Promise<void> {
  const witness = await open();
  await witness.ask(join("dm-witness", `witness.dm-witness.${Date.now() + 60_000}`));
  mock.timers.tick(60_000);
  let frame = await witness.next();
  while (frame.type === "expiring") frame = await witness.next();
  assert.deepEqual(frame, { type: "left", room_id: "dm-witness", reason: "TOKEN_EXPIRED" });
}

describe("tokens that end", () => {
  // One clock for all: a timer of one test that is cleared late must not be looked up in the clock of the next.
  before(() => mock.timers.enable({ apis: ["setInterval", "Date"], now: 1_000_000 }));
  after(() => mock.timers.reset());

  it("a member is notified before its token expires, and leaves the room at its end with the socket open", async t => {
    const { open } = await start(t);
    const client = await open();
    await client.ask(join("dm-1", `ann.dm-1.${Date.now() + 60_000}`));
    mock.timers.tick(29_000);
    await client.settled();
    assert.deepEqual(client.frames, []);
    mock.timers.tick(1000);
    assert.deepEqual(await client.next(), { type: "expiring", room_id: "dm-1", expires_in: 30 });
    mock.timers.tick(30_000);
    assert.deepEqual(await client.next(), { type: "left", room_id: "dm-1", reason: "TOKEN_EXPIRED" });
    const sent = await client.ask({ type: "send-message", room_id: "dm-1", message: "late", id: 1 });
    assert.equal(sent.reason, "NOT_A_MEMBER");
  });

  it("another token keeps a member in the room, and nobody sees it leave", async t => {
    const server = await start(t);
    const { open } = server;
    const [client, watcher] = [await open(), await open()];
    await watcher.ask(join("dm-1", "bob.dm-1."));
    await client.ask(join("dm-1", `ann.dm-1.${Date.now() + 20_000}`));
    assert.equal((await watcher.next()).type, "join-room");
    assert.equal((await client.ask(join("dm-1", `ann.dm-1.${Date.now() + 200_000}`))).type, "ack");
    await passMinute(server);
    await watcher.ask({ type: "send-message", room_id: "dm-1", message: "still here", id: 1 });
    assert.equal((await client.next()).message, "still here");
    await watcher.settled();
    assert.deepEqual(
      watcher.frames.filter(({ type }) => type !== "receive-message"),
      [],
    );
  });

  it("a member that a server has made stays without a token", async t => {
    const server = await start(t);
    const { open, realtime } = server;
    const client = await open();
    await client.ask(join("lobby", undefined, { from: "ann" }));
    await client.ask(join("dm-1", `ann.dm-1.${Date.now() + 10_000}`));
    await client.ask({ type: "leave-room", room_id: "dm-1", id: "leave" });
    await realtime.hub.command({ do: "subscribe", who: { subject: "ann" }, room: "dm-1" });
    assert.equal((await client.next()).type, "joined");
    await passMinute(server);
    await client.settled();
    assert.deepEqual(client.frames, []);
  });

  it("a member with a token that a server has made a member, too, stays after the token's end", async t => {
    const server = await start(t);
    const { open, realtime } = server;
    const client = await open();
    await client.ask(join("dm-1", `ann.dm-1.${Date.now() + 60_000}`));
    await realtime.hub.command({ do: "subscribe", who: { subject: "ann" }, room: "dm-1" });
    await passMinute(server);
    assert.equal(
      (await client.ask({ type: "send-message", room_id: "dm-1", message: "m", id: 1 })).type,
      "ack",
    );
  });
});

test("a join that is refused for another reason leaves no trace of its token", async t => {
  const full = { rooms: [{ ...section.rooms[0], max_members: 1 }, ...section.rooms.slice(1)], history };
  const { open } = await serve(t, {
    settings: {
      kinds: roomKindsOf(full as typeof section),
      roomTokens: () => identityOf,
      authenticator: undefined,
    },
    broker: new MemoryBroker(historyLimitsOf(section)),
  });
  const [first, second] = [await open(), await open()];
  await first.ask(join("dm-1", "ann.dm-1."));
  assert.equal((await second.ask(join("dm-1", "bob.dm-1."))).reason, "ROOM_FULL");
  await first.ask({ type: "leave-room", room_id: "dm-1", id: "leave" });
  assert.equal((await second.ask(join("dm-1", "carol.dm-1."))).type, "ack");
});

test("the project's client requests another token before one ends, and joins anew with one after the end", async t => {
  const { port } = await start(t);
  const client = new Client({ url: `ws://127.0.0.1:${port}/ws`, webSocket: WebSocket as never });
  t.after(() => client.close());
  const asked: string[] = [];
  const token = (why: string): string => {
    asked.push(why);
    // The notice comes at once where less than 30 seconds are left.
    if (asked.length === 1) return `ann.dm-1.${Date.now() + 20_000}`;
    if (asked.length === 2) return `ann.dm-1.${Date.now() + 5000}`;
    if (asked.length === 3) throw new Error("the issuer is away");
    return "ann.dm-1.";
  };
  const room = client.room("dm-1", { token });
  const refused: unknown[] = [];
  room.on("refused", error => refused.push(error));
  const joins: boolean[] = [];
  const again = new Promise<void>(resolve =>
    room.on("joined", each => {
      joins.push(each.again);
      if (each.again) resolve();
    }),
  );
  await room.join();
  await again;
  await room.send("hello");
  assert.deepEqual([asked, joins, refused], [["join", "expiring", "expiring", "join"], [false, true], []]);
});
