import assert from "node:assert/strict";
import { after, test } from "node:test";
import type { AdminResponse, AdminRoute } from "../../src/bindings/admin-route.js";
import { Removals } from "../../src/livekit/removals.js";
import { GatewayError } from "../../src/status/failure.js";
import { Workspace } from "../config/workspace.js";
import { send } from "../gateway/harness.js";
import { apiKey, apiSecret, compileLiveKit, configuration, startLiveKit } from "./system.js";
import { startTwirp } from "./twirp.js";

/** LiveKit's server API as far as it is needed: rooms `r1` with alice, who has two tracks; others do not exist. */
const server = await startTwirp(async ({ method, body, claims }) => {
  const { video } = claims;
  const listing = ["ListRooms", "CreateRoom", "DeleteRoom"].includes(method);
  const allowed = listing
    ? video?.roomList === true || video?.roomCreate === true
    : video?.roomAdmin === true && video.room === body.room;
  if (!allowed) return [401, { code: "unauthenticated", msg: "permissions denied" }];
  if (body.room === "broken") return [500, { code: "internal", msg: "node 7 at 10.0.0.3 is gone" }];
  const alice = {
    identity: "alice",
    name: "Alice",
    state: "ACTIVE",
    joinedAt: "1700000000",
    tracks: [
      { sid: "TR_a", name: "mic", type: "AUDIO", source: "MICROPHONE" },
      { sid: "TR_v", name: "cam", type: "VIDEO", source: "CAMERA" },
    ],
  };
  switch (method) {
    case "ListRooms":
      return [200, { rooms: [{ name: "r1", sid: "RM_1", numParticipants: 1, creationTime: "1700000000" }] }];
    case "CreateRoom":
      return [200, { ...body, sid: "RM_2", creationTime: "1700000000" }];
    case "ListParticipants":
      return [200, { participants: body.room === "r1" ? [alice] : [] }];
    case "GetParticipant":
      return [200, alice];
    case "MutePublishedTrack":
      return [200, { track: { sid: body.trackSid, type: "AUDIO", source: "MICROPHONE", muted: body.muted } }];
    case "MoveParticipant":
      return [501, { code: "unimplemented", msg: "only on LiveKit Cloud" }];
    case "RemoveParticipant":
      if (body.identity !== "alice/1") return [404, { code: "not_found", msg: "participant does not exist" }];
      return [200, {}];
    default:
      return [200, {}];
  }
});
const { calls, port } = server;
after(() => server.close());

const workspace = new Workspace();

async function ask(
  route: AdminRoute,
  parameters: Record<string, string> = {},
  body: unknown = undefined,
  query = "",
): Promise<AdminResponse> {
  const bytes = body === undefined ? new Uint8Array(0) : Buffer.from(JSON.stringify(body));
  return route.handle({ parameters, query: new URLSearchParams(query), body: bytes });
}

/** The routes by method and path below /livekit/rooms. */
async function routes(
  apiUrl: string,
  secret = apiSecret,
  removals = new Removals(),
  more = "",
): Promise<(method: string, path: string) => AdminRoute> {
  const yaml = configuration(`api_url: ${apiUrl}\n${more}`).replace(apiSecret, secret);
  const { adminRoutes, close } = await compileLiveKit(workspace, yaml, { removals });
  await close();
  return (method, path) => {
    const found = adminRoutes.find(
      route => route.method === method && route.path === `/livekit/rooms${path}`,
    );
    assert.ok(found !== undefined, `${method} ${path}`);
    return found;
  };
}

const people = "/:room/participants";
const person = `${people}/:identity`;

async function refusal(answer: Promise<unknown>): Promise<[status: number, reason: string, message: string]> {
  const error = await answer.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  assert.ok(error instanceof GatewayError, String(error));
  const { httpStatus, reason, message } = error.failure;
  return [httpStatus, reason, message];
}

test("a participant is removed, and LiveKit gets the time from which tokens are valid", async () => {
  const remove = (await routes(`http://127.0.0.1:${port}`))("DELETE", person);
  const before = Math.floor(Date.now() / 1000);
  const answer = await ask(remove, { room: "r1", identity: "alice/1" });
  assert.deepEqual(answer, { status: 204, body: undefined });
  const call = calls.at(-1);
  assert.equal(call?.method, "RemoveParticipant");
  assert.deepEqual([call?.body.room, call?.body.identity], ["r1", "alice/1"]);
  assert.ok(Number(call?.body.revokeTokenTs) > before);
});

test("a removed identity, there or not, gets no further token for that room until the longest ttl has passed", async () => {
  let now = Date.now();
  const removals = new Removals(10, () => now);
  const remove = (await routes(`http://127.0.0.1:${port}`, apiSecret, removals))("DELETE", person);
  const system = await startLiveKit(
    "routes: [{ post: /token, room: body.room, identity: subject, grant: participant }]",
    { removals },
  );
  const tokenFor = (subject: string, room: string) =>
    send(`${system.url}/token`, {
      method: "POST",
      headers: { "content-type": "application/json", "x-subject": subject },
      body: JSON.stringify({ room }),
    });
  try {
    await ask(remove, { room: "r1", identity: "alice/1" });
    await refusal(ask(remove, { room: "r1", identity: "bob" }));
    for (const identity of ["alice/1", "bob"]) {
      const refused = await tokenFor(identity, "r1");
      assert.deepEqual([refused.status, refused.json.reason], [403, "PARTICIPANT_REMOVED"]);
    }
    assert.equal((await tokenFor("alice/1", "r2")).status, 200);
    assert.equal((await tokenFor("carol", "r1")).status, 200);
    now += 599_000;
    assert.equal((await tokenFor("alice/1", "r1")).status, 403);
    now += 1_000;
    assert.equal((await tokenFor("alice/1", "r1")).status, 200);
  } finally {
    await system.close();
  }
});

test("removals are bounded, the oldest is forgotten first, and they last as long as the longest token given out", () => {
  let now = 0;
  const removals = new Removals(2, () => now);
  removals.issued(3600);
  removals.add(undefined, "r", "a", 60);
  assert.equal(removals.secondsLeft(undefined, "r", "a"), 3600);
  removals.add(undefined, "r", "b", 7200);
  removals.add(undefined, "r", "c", 60);
  assert.deepEqual(
    ["a", "b", "c"].map(identity => removals.secondsLeft(undefined, "r", identity)),
    [0, 7200, 3600],
  );
  now = 3_600_000;
  removals.add(undefined, "r", "d", 60);
  assert.deepEqual(
    ["b", "c", "d"].map(identity => removals.secondsLeft(undefined, "r", identity)),
    [3600, 0, 3600],
  );
  removals.add(undefined, "x".repeat(300), "a", 60);
  assert.equal(removals.secondsLeft(undefined, "x".repeat(300), "a"), 0);
});

test("participants are listed with their tracks", async () => {
  const list = (await routes(`ws://127.0.0.1:${port}`))("GET", people);
  const alice = {
    identity: "alice",
    name: "Alice",
    state: "active",
    joined_at: "2023-11-14T22:13:20.000Z",
    tracks: [
      { sid: "TR_a", name: "mic", type: "audio", source: "microphone", muted: false },
      { sid: "TR_v", name: "cam", type: "video", source: "camera", muted: false },
    ],
  };
  assert.deepEqual(await ask(list, { room: "r1" }), { status: 200, body: { participants: [alice] } });
  assert.deepEqual(await ask(list, { room: "r2" }), { status: 200, body: { participants: [] } });
});

test("rooms are listed, created with their settings, and ended", async () => {
  const route = await routes(`http://127.0.0.1:${port}`);
  const listed = await ask(route("GET", ""));
  const shown = {
    name: "r1",
    sid: "RM_1",
    participants: 1,
    max_participants: 0,
    created_at: "2023-11-14T22:13:20.000Z",
    recording: false,
    metadata: "",
  };
  assert.deepEqual(listed.body, { rooms: [shown] });
  const created = await ask(
    route("POST", ""),
    {},
    { name: "r2", empty_timeout: 60, max_participants: 5, metadata: "m" },
  );
  assert.deepEqual(created.body, {
    ...shown,
    name: "r2",
    sid: "RM_2",
    participants: 0,
    max_participants: 5,
    metadata: "m",
  });
  assert.equal(calls.at(-1)?.body.emptyTimeout, 60);
  assert.deepEqual(await ask(route("DELETE", "/:room"), { room: "r2" }), { status: 204, body: undefined });
  assert.deepEqual(calls.at(-1), { method: "DeleteRoom", body: { room: "r2" } });
});

test("muting reaches the tracks of sound, or the one that is named", async () => {
  const mute = (await routes(`http://127.0.0.1:${port}`))("POST", `${person}/mute`);
  const muted = await ask(mute, { room: "r1", identity: "alice" });
  assert.deepEqual(muted.body, {
    tracks: [{ sid: "TR_a", name: "", type: "audio", source: "microphone", muted: true }],
  });
  await ask(mute, { room: "r1", identity: "alice" }, { track: "TR_v", muted: false });
  const { body } = calls.at(-1) ?? {};
  assert.deepEqual([body.trackSid, body.muted ?? false], ["TR_v", false]);
  assert.deepEqual(await refusal(ask(mute, { room: "r1", identity: "alice" }, { track: "TR_x" })), [
    400,
    "INVALID_VALUE",
    "track: no track of the participant; it has TR_a, TR_v",
  ]);
});

test("data goes to a room, reliably unless said otherwise", async () => {
  const data = (await routes(`http://127.0.0.1:${port}`))("POST", "/:room/data");
  await ask(data, { room: "r1" }, { data: "grüß", topic: "chat", identities: ["alice"] });
  const { body } = calls.at(-1) ?? {};
  assert.equal(Buffer.from(body.data, "base64").toString(), "grüß");
  assert.deepEqual([body.topic, body.destinationIdentities], ["chat", ["alice"]]);
  await ask(data, { room: "r1" }, { data: "x", reliable: false });
  assert.equal(calls.at(-1)?.body.kind, "LOSSY");
});

test("an action that LiveKit does not have gets 501, as moving does with its open-source server", async () => {
  const move = (await routes(`http://127.0.0.1:${port}`))("POST", `${person}/move`);
  const said = await refusal(ask(move, { room: "r1", identity: "alice" }, { to: "r2" }));
  assert.deepEqual(said, [501, "UNIMPLEMENTED", "only on LiveKit Cloud"]);
  const { body } = calls.at(-1) ?? {};
  assert.deepEqual([body.room, body.identity, body.destinationRoom], ["r1", "alice", "r2"]);
});

test("bodies of the admin listener name what is wrong with them", async () => {
  const route = await routes(`http://127.0.0.1:${port}`);
  const wrong: readonly [AdminRoute, unknown, string][] = [
    [route("POST", ""), {}, "name not provided"],
    [
      route("POST", ""),
      { name: "r", emptytimeout: 1 },
      'emptytimeout: unknown field; did you mean "empty_timeout"?',
    ],
    [
      route("POST", ""),
      { name: "r", max_participants: "5" },
      'max_participants: expected an integer from 0 to 2147483647, found the string "5"',
    ],
    [route("POST", "/:room/data"), { data: "x".repeat(20_000) }, "data: must have at most 15360 bytes"],
    [
      route("POST", "/:room/data"),
      { data: "x", identities: [1] },
      "identities: expected a list of strings, found a list",
    ],
    [route("POST", `${person}/move`), { to: "" }, "to: must not be empty"],
  ];
  for (const [asked, body, message] of wrong) {
    const [status, , said] = await refusal(ask(asked, { room: "r1", identity: "alice" }, body));
    assert.deepEqual([status, said], [400, message]);
  }
});

test("another project has its own server and keys, and its removals are its own", async () => {
  const removals = new Removals();
  const project = `projects: { eu: { url: "ws://127.0.0.1:${port}", api_key: ${apiKey}, api_secret: ${apiSecret} } }`;
  const route = await routes("http://127.0.0.1:1", apiSecret, removals, project);
  assert.equal((await ask(route("GET", ""), {}, undefined, "project=eu")).status, 200);
  assert.equal((await refusal(ask(route("GET", ""))))[0], 503);
  assert.deepEqual(await refusal(ask(route("GET", ""), {}, undefined, "project=e")), [
    400,
    "UNKNOWN_PARAMETER",
    'project: there is no project "e"; did you mean "eu"?',
  ]);
  await ask(route("DELETE", person), { room: "r1", identity: "alice/1" }, undefined, "project=eu");
  assert.equal(removals.secondsLeft(undefined, "r1", "alice/1"), 0);
  assert.ok(removals.secondsLeft("eu", "r1", "alice/1") > 0);
});

test("refusals of LiveKit keep their meaning, and its internals are hidden", async () => {
  const route = await routes(`http://127.0.0.1:${port}`);
  const [list, remove] = [route("GET", people), route("DELETE", person)];
  const unknown = await refusal(ask(remove, { room: "r1", identity: "bob" }));
  assert.deepEqual(unknown, [404, "NOT_FOUND", "participant does not exist"]);
  const broken = await refusal(ask(list, { room: "broken" }));
  assert.deepEqual(broken.slice(0, 2), [502, "UPSTREAM_PROTOCOL"]);
  assert.ok(!broken[2].includes("10.0.0.3"));
  const wrong = await routes(`http://127.0.0.1:${port}`, "another secret of at least thirty-two characters");
  const denied = await refusal(ask(wrong("GET", people), { room: "r1" }));
  assert.deepEqual(denied.slice(0, 2), [502, "UPSTREAM_PROTOCOL"]);
  assert.match(denied[2], /401 unauthenticated; are address, key and secret right\?$/);
  const nobody = await routes("http://127.0.0.1:1");
  assert.deepEqual((await refusal(ask(nobody("GET", people), { room: "r1" }))).slice(0, 2), [
    503,
    "UPSTREAM_UNAVAILABLE",
  ]);
});
