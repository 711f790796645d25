import assert from "node:assert/strict";
import { test } from "node:test";
import type { LocalRequest, LocalResponse } from "../../src/bindings/built-in-route.js";
import { Cancellation } from "../../src/net/cancellation.js";
import { restEndpoints } from "../../src/realtime/api/rest.js";
import type { Bridge } from "../../src/realtime/bridge/bridge.js";
import { GatewayError, gatewayFailure } from "../../src/status/failure.js";
import { serve, type TestServer } from "./harness.js";

/** Has an endpoint of the REST API for rooms answer, as the pipeline would. */
async function rest({ realtime }: TestServer, method: string, path: string, body: unknown, subject?: string) {
  const endpoint = restEndpoints(() => realtime, {
    prefix: "/chat",
    auth: "none",
    rateLimit: undefined,
  }).find(each => each.method === method && each.template === `/chat${path}`);
  assert.ok(endpoint !== undefined);
  const request: LocalRequest = {
    method,
    path: `/chat${path}`,
    query: "",
    variables: [],
    body: Buffer.from(typeof body === "string" ? body : JSON.stringify(body)),
    identity:
      subject === undefined
        ? undefined
        : { provider: "p", subject, scopes: new Set(), claims: {}, metadata: [], expiresAt: undefined },
    clientAddress: "127.0.0.1",
    requestId: "r",
    cancellation: new Cancellation(),
    header: () => undefined,
    cookies: () => undefined,
    encrypted: false,
    certificate: () => undefined,
    guardResult: undefined,
  };
  const { status, body: text }: LocalResponse = await endpoint.handle(request);
  assert.equal(status, 200);
  return JSON.parse(String(text));
}

async function reasonOf(answer: Promise<unknown>): Promise<[string, string]> {
  try {
    await answer;
  } catch (error) {
    if (error instanceof GatewayError) return [error.failure.reason, error.failure.message];
    throw error;
  }
  throw new Error("it was answered");
}

test("the rooms' REST API names only rooms that the caller may use", async t => {
  const server = await serve(t, {
    settings: {
      roomPolicy: {
        allows: (identity, room) => room === identity?.subject,
        require: () => undefined,
      },
    },
  });
  for (const room_id of ["ann", "bob"])
    await rest(server, "POST", "/send", { room_id, from: "A", message: "m" }, "A");
  assert.deepEqual(await rest(server, "GET", "/rooms", "", "ann"), { rooms: ["ann"] });
  assert.deepEqual(await rest(server, "GET", "/rooms", "", "bob"), { rooms: ["bob"] });
  assert.deepEqual(await rest(server, "GET", "/rooms", ""), { rooms: [] });
});

test("the REST API for rooms sends to members, lists rooms that hold messages, and gives their messages", async t => {
  const server = await serve(t);
  const client = await server.open();
  await client.join("Will Test Room", "Ada");
  assert.deepEqual(await rest(server, "GET", "/rooms", ""), { rooms: [] });
  const sent = await rest(server, "POST", "/send", {
    room_id: "Will Test Room",
    from: "Will",
    message: "hi",
  });
  assert.deepEqual(sent, await client.next("receive-message"));
  assert.deepEqual(await rest(server, "GET", "/rooms", ""), { rooms: ["Will Test Room"] });
  assert.deepEqual(await rest(server, "POST", "/receive", { room_id: "Will Test Room" }), {
    messages: [sent],
  });
  assert.deepEqual(await rest(server, "POST", "/receive", { room_id: "empty" }), { messages: [] });
});

test("mistakes in the REST API for rooms are named", async t => {
  const server = await serve(t);
  const send = (body: unknown, subject?: string) => reasonOf(rest(server, "POST", "/send", body, subject));
  assert.deepEqual(await send({ from: "A", message: "m" }), ["INVALID_VALUE", "room_id not provided"]);
  assert.deepEqual(await send({ room_id: "x", message: "m" }), ["INVALID_VALUE", "from not provided"]);
  assert.deepEqual(await send({ room_id: "x", from: "A" }), ["INVALID_VALUE", "message not provided"]);
  assert.equal((await send({ room_id: "x", from: "A", message: "m", extra: 1 }))[0], "UNKNOWN_FIELD");
  assert.equal((await send("{"))[0], "MALFORMED_JSON");
  assert.equal((await send("[]"))[0], "INVALID_VALUE");
  assert.equal((await send({ room_id: "x", from: "B", message: "m" }, "A"))[0], "FROM_MISMATCH");
  assert.equal((await rest(server, "POST", "/send", { room_id: "x", message: "m" }, "A")).from, "A");
});

test("a message by REST passes the room policy and the backend as one of a socket does", async t => {
  const bridge: Bridge = {
    event: (kind, _, frame) =>
      kind === "message" && "message" in frame && frame.message === "bad"
        ? { allow: false, failure: gatewayFailure("POLICY_DENIED", "the backend says no") }
        : {
            allow: true,
            frame: "message" in frame ? { ...frame, message: frame.message.toUpperCase() } : frame,
          },
    call() {},
    cancel() {},
    drained() {},
    sessionClosed() {},
    close: async () => {},
  };
  const server = await serve(t, {
    settings: {
      bridge,
      roomPolicy: {
        allows: (_, room) => room !== "closed",
        require: (_, room) => {
          if (room === "closed") throw new GatewayError(gatewayFailure("POLICY_DENIED", "closed"));
        },
      },
    },
  });
  const send = (room_id: string, message: string) =>
    rest(server, "POST", "/send", { room_id, from: "A", message });
  assert.equal((await send("x", "loud")).message, "LOUD");
  assert.deepEqual(await reasonOf(send("x", "bad")), ["POLICY_DENIED", "the backend says no"]);
  assert.deepEqual(await reasonOf(send("closed", "m")), ["POLICY_DENIED", "closed"]);
});

test("servers publish once for each key, to one room or to several", async t => {
  const { open, realtime } = await serve(t);
  const client = await open();
  await client.join("a", "A");
  await client.join("b", "A");
  const { hub } = realtime;
  const post = { room: "a", from: "server", message: "m", id: "key" };
  const first = await hub.publish(post);
  assert.deepEqual(await hub.publish(post), { ...first, duplicate: true });
  assert.equal((await hub.publish({ ...post, room: "b" }))?.duplicate, false);
  const places = await hub.broadcast(["a", "b"], { from: "server", message: "all" });
  assert.deepEqual(
    places.map(place => place?.seq),
    [2, 2],
  );
  await client.settled();
  assert.deepEqual(
    client.frames.map(({ room_id, message }) => [room_id, message]),
    [
      ["a", "m"],
      ["b", "m"],
      ["a", "all"],
      ["b", "all"],
    ],
  );
  assert.deepEqual(
    (await hub.history("a", 1)).map(({ seq }) => seq),
    [2],
  );
  assert.deepEqual(await hub.rooms(), [
    { room: "a", members: 1, held: true },
    { room: "b", members: 1, held: true },
  ]);
  const [member] = await hub.members("a");
  assert.equal(member?.from, "A");
});

test("messages that servers publish are checked", async t => {
  const { realtime } = await serve(t);
  const post = (more: object) => async () =>
    realtime.hub.publish({ room: "a", from: "s", message: "m", ...more });
  await assert.rejects(post({ room: "" }), /room not provided/);
  await assert.rejects(post({ room: "a\n" }), /room: expected/);
  await assert.rejects(post({ from: "" }), /from not provided/);
  await assert.rejects(post({ message: 7 }), /message: expected a string/);
  await assert.rejects(post({ id: "a b" }), /id: expected/);
});

test("a server can disconnect all sockets of a subject, or one session", async t => {
  const { open, realtime } = await serve(t);
  const [a, b, c] = [await open(), await open(), await open()];
  await a.join("x", "A");
  await b.join("x", "A");
  await c.join("x", "C");
  assert.equal(realtime.hub.disconnect({ subject: "A", reason: "enough" }), 2);
  assert.deepEqual(await a.closed, { code: 4403, reason: "enough" });
  assert.deepEqual(await b.closed, { code: 4403, reason: "enough" });
  const [member] = await realtime.hub.members("x");
  assert.equal(realtime.hub.disconnect({ session: String(member?.session), reason: "you too" }), 1);
  assert.equal((await c.closed).code, 4403);
  assert.equal(realtime.hub.disconnect({ subject: "A", reason: "again" }), 0);
  assert.throws(() => realtime.hub.disconnect({ subject: "A", reason: "é".repeat(62) }), /at most 123 bytes/);
});

test("metrics count what happened, without names of rooms or people", async t => {
  const { open, metric, registry, empty } = await serve(t);
  const [a, b] = [await open(), await open()];
  await a.join("secret room", "secret name");
  await b.join("secret room", "b");
  await a.ask({ type: "send-message", room_id: "secret room", message: "m", id: 1 });
  await b.next("receive-message");
  const values: Readonly<Record<string, number>> = {
    protogate_ws_connections: 2,
    protogate_ws_rooms: 1,
    protogate_ws_members: 2,
    'protogate_ws_upgrades_total{result="accepted"}': 2,
    'protogate_ws_messages_total{direction="in",type="join-room"}': 2,
    'protogate_ws_messages_total{direction="in",type="send-message"}': 1,
    'protogate_ws_messages_total{direction="out",type="receive-message"}': 2,
    'protogate_ws_messages_total{direction="out",type="notice"}': 1,
    'protogate_ws_messages_total{direction="out",type="ack"}': 3,
    protogate_ws_fanout_recipients_sum: 3,
    protogate_ws_room_members_count: 2,
    protogate_ws_delivery_lag_seconds_count: 1,
  };
  for (const [name, value] of Object.entries(values)) assert.equal(await metric(name), value, name);
  a.socket.close(1000);
  b.socket.close(4999);
  await empty();
  assert.equal(await metric('protogate_ws_closes_total{code="1000"}'), 1);
  assert.equal(await metric('protogate_ws_closes_total{code="other"}'), 1);
  assert.ok(!(await registry.metrics()).includes("secret"));
});

test("a message of a server is bounded as those of clients are", async t => {
  const { realtime } = await serve(t, { limits: { message: 9 } });
  const post = (message: string) => realtime.hub.publish({ room: "x", from: "S", message });
  assert.throws(() => post("0123456789"), /a message may have 9 bytes/);
  assert.throws(() => post("\u20ac\u20ac\u20ac\u20ac"), /a message may have 9 bytes/);
  post("\u20ac\u20ac\u20ac");
});
