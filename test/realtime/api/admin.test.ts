import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { startAdmin } from "../../../src/admin/server.js";
import { roomsRoutes } from "../../../src/realtime/api/admin-routes.js";
import { Metrics } from "../../../src/telemetry/metrics.js";
import { type Json, serve, type TestServer } from "../harness.js";

interface Api extends TestServer {
  get(path: string): Promise<{ readonly status: number; readonly json: Json }>;
  post(path: string, body: unknown): Promise<{ readonly status: number; readonly json: Json }>;
}

async function start(t: TestContext): Promise<Api> {
  const served = await serve(t);
  const routes = roomsRoutes(() => served.realtime.hub);
  const admin = await startAdmin({
    address: { host: "127.0.0.1", port: 0 },
    metrics: new Metrics({ version: "0", buckets: [1] }),
    ready: () => ({ ready: true, checks: {} }),
    status: () => ({}),
    config: () => ({}),
    bindings: () => [],
    routes: () => routes,
  });
  t.after(() => admin.close());
  const ask = async (path: string, init?: RequestInit) => {
    const answer = await fetch(`http://127.0.0.1:${admin.address.port}${path}`, init);
    return { status: answer.status, json: (await answer.json()) as Json };
  };
  return {
    ...served,
    get: path => ask(path),
    post: (path, body) =>
      ask(path, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: typeof body === "string" ? body : JSON.stringify(body),
      }),
  };
}

test("members get what a server publishes, once for each id", async t => {
  const { open, post } = await start(t);
  const client = await open();
  const { epoch } = await client.join("general", "jdoe");
  const message = { room: "general", from: "system", message: "Hello!", id: "m1" };
  const { status, json } = await post("/realtime/publish", message);
  assert.equal(status, 200);
  assert.deepEqual(json, { epoch, seq: 1, duplicate: false });
  assert.deepEqual((await post("/realtime/publish", message)).json, { epoch, seq: 1, duplicate: true });
  await post("/realtime/publish", { room: "general", from: "system", message: "Bye!" });
  const { sent_at: _, ...first } = await client.next("receive-message");
  assert.deepEqual(first, {
    type: "receive-message",
    room_id: "general",
    from: "system",
    message: "Hello!",
    seq: 1,
    epoch,
  });
  assert.equal((await client.next("receive-message")).message, "Bye!");
});

test("servers publish JSON with its digits, passing messages, and read history before a number", async t => {
  const { open, get, post } = await start(t);
  const client = await open();
  const { epoch } = await client.join("general", "jdoe");
  const data = '{"room":"general","from":"s","event":"order","data":{"id":9007199254740993}}';
  assert.deepEqual((await post("/realtime/publish", data)).json, { epoch, seq: 1, duplicate: false });
  const passing = { room: "general", from: "s", event: "typing", ephemeral: true };
  assert.deepEqual((await post("/realtime/publish", passing)).json, { ephemeral: true });
  assert.equal((await client.next("receive-message")).event, "order");
  const typing = await client.next("receive-message");
  assert.deepEqual([typing.event, typing.seq], ["typing", undefined]);
  await post("/realtime/publish", { room: "general", from: "s", message: "2" });
  const { json } = await get("/realtime/rooms/general/history?before=2");
  assert.deepEqual(
    (json.messages as Json[]).map(({ seq, event }) => [seq, event]),
    [[1, "order"]],
  );
  for (const [body, problem] of [
    [{ message: "m", event: "e" }, /expected either message, or event and data/],
    [{ event: "e", ephemeral: "yes" }, /ephemeral: expected true or false/],
    [{ event: "e", ephemeral: true, id: "i" }, /expected no id/],
    [{}, /message not provided/],
  ] as const) {
    const refused = await post("/realtime/publish", { room: "general", from: "s", ...body });
    assert.equal(refused.status, 400);
    assert.match(String(refused.json.message), problem);
  }
});

test("servers put users into rooms, send to them and ban them by REST", async t => {
  const { open, post } = await start(t);
  const client = await open();
  await client.join("general", "jdoe");
  const subject = "jdoe";
  assert.deepEqual((await post("/realtime/subscribe", { subject, room: "team" })).json, { sessions: 1 });
  assert.equal((await client.next("joined")).room_id, "team");
  const greeting = { subject, from: "system", message: "hi" };
  assert.deepEqual((await post("/realtime/send", greeting)).json, { sessions: 1 });
  assert.equal((await client.next("direct-message")).message, "hi");
  const ban = { subject, room: "team", reason: "spam", ban_seconds: 60 };
  assert.deepEqual((await post("/realtime/unsubscribe", ban)).json, { sessions: 1 });
  assert.equal((await client.next("left")).reason, "spam");
  assert.equal((await client.join("team", "jdoe")).reason, "BANNED");
  const wrong = await post("/realtime/unsubscribe", { ...ban, ban_seconds: "60" });
  assert.equal(wrong.status, 400);
});

test("a broadcast reaches several rooms", async t => {
  const { open, post } = await start(t);
  const [one, two] = [await open(), await open()];
  await one.join("a", "jdoe");
  await two.join("b", "hsue");
  const { json } = await post("/realtime/broadcast", {
    rooms: ["a", "b", "c"],
    from: "system",
    message: "all",
  });
  const published = json.published as Json[];
  assert.deepEqual(
    published.map(({ room, seq, duplicate }) => ({ room, seq, duplicate })),
    ["a", "b", "c"].map(room => ({ room, seq: 1, duplicate: false })),
  );
  assert.equal((await one.next("receive-message")).room_id, "a");
  assert.equal((await two.next("receive-message")).room_id, "b");
});

test("the admin API lists rooms, members and history", async t => {
  const { open, get, post } = await start(t);
  const client = await open();
  await client.join("ge/neral ü", "jdoe");
  const room = encodeURIComponent("ge/neral ü");
  for (const message of ["1", "2", "3"])
    await post("/realtime/publish", { room: "ge/neral ü", from: "x", message });
  assert.deepEqual((await get("/realtime/rooms")).json, {
    rooms: [{ room: "ge/neral ü", members: 1, held: true }],
  });
  const { members } = (await get(`/realtime/rooms/${room}/members`)).json as { members: Json[] };
  assert.deepEqual(
    members.map(({ from }) => from),
    ["jdoe"],
  );
  const all = (await get(`/realtime/rooms/${room}/history`)).json.messages as Json[];
  assert.deepEqual(
    all.map(({ message, seq }) => [message, seq]),
    [
      ["1", 1],
      ["2", 2],
      ["3", 3],
    ],
  );
  const epoch = String(all[0]?.epoch);
  const page = (await get(`/realtime/rooms/${room}/history?epoch=${epoch}&seq=1`)).json;
  assert.deepEqual(page.position, { epoch, seq: 3 });
  assert.equal(page.recovered, true);
  assert.equal((page.messages as Json[]).length, 2);
  const last = (await get(`/realtime/rooms/${room}/history?limit=1`)).json.messages as Json[];
  assert.deepEqual(
    last.map(({ seq }) => seq),
    [3],
  );
});

test("a user is disconnected with all sockets, one socket alone", async t => {
  const { open, get, post } = await start(t);
  const [one, two, other] = [await open(), await open(), await open()];
  await one.join("general", "jdoe");
  await two.join("general", "jdoe");
  await other.join("general", "hsue");
  const { members } = (await get("/realtime/rooms/general/members")).json as { members: Json[] };
  const session = members.find(({ from }) => from === "hsue")?.session;
  assert.deepEqual((await post("/realtime/disconnect", { session })).json, { closed: 1 });
  await other.closed;
  const { json } = await post("/realtime/disconnect", { subject: "jdoe", reason: "banned" });
  assert.deepEqual(json, { closed: 2 });
  const { code, reason } = await one.closed;
  assert.ok(code >= 4000, String(code));
  assert.equal(reason, "banned");
  await two.closed;
});

test("an invalid request to the admin API gets an error that says what is wrong", async t => {
  const { get, post } = await start(t);
  const wrong: readonly [path: string, body: unknown, reason: string, message: RegExp][] = [
    ["/realtime/publish", "{", "MALFORMED_JSON", /not valid JSON/],
    ["/realtime/publish", [], "INVALID_VALUE", /JSON object/],
    ["/realtime/publish", { room: "a", from: "b" }, "INVALID_VALUE", /message not provided/],
    [
      "/realtime/publish",
      { room: "a", from: "b", message: 1 },
      "INVALID_VALUE",
      /message: expected a string/,
    ],
    ["/realtime/publish", { room: "", from: "b", message: "m" }, "INVALID_VALUE", /room not provided/],
    ["/realtime/publish", { rom: "a" }, "UNKNOWN_FIELD", /rom: unknown field; did you mean "room"/],
    ["/realtime/publish", { room: "a", from: "b", message: "m", id: " " }, "INVALID_VALUE", /id: expected/],
    [
      "/realtime/broadcast",
      { rooms: [], from: "b", message: "m" },
      "INVALID_VALUE",
      /rooms: expected 1 to 1000/,
    ],
    ["/realtime/broadcast", { rooms: "a", from: "b", message: "m" }, "INVALID_VALUE", /list of strings/],
    ["/realtime/broadcast", { rooms: ["a", "a"], from: "b", message: "m" }, "INVALID_VALUE", /once/],
    ["/realtime/disconnect", {}, "INVALID_VALUE", /either subject or session/],
    ["/realtime/disconnect", { subject: "a", session: "b" }, "INVALID_VALUE", /either/],
    ["/realtime/disconnect", { subject: "a", reason: "x".repeat(124) }, "INVALID_VALUE", /123 bytes/],
  ];
  for (const [path, body, reason, message] of wrong) {
    const { status, json } = await post(path, body);
    assert.equal(status, 400, JSON.stringify(body));
    assert.equal(json.reason, reason);
    assert.match(String(json.message), message);
  }
  for (const query of ["seq=1", "epoch=e&seq=x", "epoch=e&seq=-1", "limit=0", "limit=1e3", "since=3"]) {
    const { status } = await get(`/realtime/rooms/general/history?${query}`);
    assert.equal(status, 400, query);
  }
});
