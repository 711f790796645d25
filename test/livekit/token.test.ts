import assert from "node:assert/strict";
import { test } from "node:test";
import { status } from "@grpc/grpc-js";
import { jwtVerify } from "jose";
import { TokenVerifier } from "livekit-server-sdk";
import { type Answer, send, startBackend } from "../gateway/harness.js";
import { apiKey, apiSecret, type LiveKitSystem, sample, startLiveKit } from "./system.js";

const verifier = new TokenVerifier(apiKey, apiSecret);
const path = "/user/rtc/get_token";

function post(system: LiveKitSystem, body: unknown, headers: Record<string, string> = {}): Promise<Answer> {
  return send(`${system.url}${path}`, {
    method: "POST",
    headers: { "content-type": "application/json", "x-subject": "alice", ...headers },
    body: typeof body === "string" ? body : JSON.stringify(body),
  });
}

/** The fields that a failure names, with what is wrong with them. */
function violations({ json: { details } }: Answer): Record<string, string> {
  const { fieldViolations } = details[0];
  return Object.fromEntries(
    fieldViolations.map((each: { field: string; description: string }) => [each.field, each.description]),
  );
}

const json = { "content-type": "application/json" };

const plain = `routes: [{ post: ${path}, room: body.room, identity: body.identity, grant: participant }]`;

test("a token is for the room, the caller and the grant of the route, for the SDK's verifier and for jose", async () => {
  const system = await startLiveKit(plain);
  try {
    const before = Math.floor(Date.now() / 1000);
    const answer = await post(system, { room: "r1", identity: "alice" });
    assert.equal(answer.status, 200);
    assert.equal(answer.headers.get("content-type"), "application/json");
    assert.equal(answer.headers.get("cache-control"), "no-store");
    assert.deepEqual(Object.keys(answer.json), ["serverUrl", "token"]);
    assert.equal(answer.json.serverUrl, "wss://livekit.example.com");

    const grants = await verifier.verify(answer.json.token);
    assert.deepEqual(grants.video, { roomJoin: true, canPublish: true, canSubscribe: true, room: "r1" });
    const { payload, protectedHeader } = await jwtVerify(
      answer.json.token,
      new TextEncoder().encode(apiSecret),
      { issuer: apiKey, subject: "alice", algorithms: ["HS256"] },
    );
    assert.deepEqual(protectedHeader, { alg: "HS256" });
    assert.deepEqual(Object.keys(payload).sort(), ["exp", "iss", "nbf", "sub", "video"]);
    assert.ok((payload.nbf ?? 0) >= before);
    assert.ok(Math.abs((payload.exp ?? 0) - (payload.nbf ?? 0) - 600) <= 1);
    await assert.rejects(new TokenVerifier(apiKey, "another secret").verify(answer.json.token));
  } finally {
    await system.close();
  }
});

test("room, identity, name, metadata and attributes come from path, query, claims, subject and literals", async () => {
  const system = await startLiveKit(`
ttl: 1h
routes:
  - get: /rooms/{room}/token
    room: path.room
    grant: speaker
    ttl: 1500ms
    name: claim.profile.name
    metadata: claim.profile
    attributes: { org: claim.org, level: claim.level, gone: claim.gone, device: query.device, kind: literal.web }
    room_config: { max_participants: 5, empty_timeout: 90s, agents: [{ agent_name: scribe }] }
    room_preset: small
    response: { url: server_url, jwt: participant_token }
  - { post: /lobby, room: literal.the lobby, identity: claim.email, grant: participant }
`);
  try {
    const claims = { org: "acme", level: 3, email: "a@b.example", profile: { name: "Alice" } };
    const headers = { "x-subject": "alice", "x-claims": JSON.stringify(claims) };
    const { json } = await send(`${system.url}/rooms/a%2Fb/token?device=phone`, { headers });
    assert.deepEqual(Object.keys(json), ["server_url", "participant_token"]);
    const token = await verifier.verify(json.participant_token);
    assert.deepEqual(token.video, {
      roomJoin: true,
      hidden: false,
      canPublishSources: ["microphone", "screen_share"],
      room: "a/b",
    });
    assert.equal(token.sub, "alice");
    assert.equal(token.name, "Alice");
    assert.equal(token.metadata, '{"name":"Alice"}');
    assert.deepEqual(token.attributes, { org: "acme", level: "3", device: "phone", kind: "web" });
    assert.deepEqual(token.roomConfig, {
      emptyTimeout: 90,
      maxParticipants: 5,
      agents: [{ agentName: "scribe" }],
    });
    assert.equal(token.roomPreset, "small");
    assert.ok(Math.abs((token.exp ?? 0) - (token.nbf ?? 0) - 2) <= 1);

    const lobby = await send(`${system.url}/lobby`, { method: "POST", headers });
    const second = await verifier.verify(lobby.json.token);
    assert.equal(second.video?.room, "the lobby");
    assert.equal(second.sub, "a@b.example");
    assert.ok(Math.abs((second.exp ?? 0) - (second.nbf ?? 0) - 3600) <= 1);
    assert.equal(second.attributes, undefined);
  } finally {
    await system.close();
  }
});

test("an identity other than the caller's is refused unless the route allows it", async () => {
  const system = await startLiveKit(`
routes:
  - { post: ${path}, room: body.room, identity: body.identity, grant: participant }
  - { post: /any, room: body.room, identity: body.identity, grant: participant, allow_other_identities: true }
  - { post: /admins, room: body.room, identity: body.identity, grant: speaker, allow_other_identities: { scopes: [admin, rooms] } }
`);
  try {
    const body = { room: "r1", identity: "bob" };
    const refused = await post(system, body);
    assert.equal(refused.status, 403);
    assert.equal(refused.json.reason, "IDENTITY_MISMATCH");
    assert.match(refused.json.message, /^identity: /);
    for (const other of ["Alice", "alice ", "alic\u0435"]) {
      assert.equal((await post(system, { room: "r1", identity: other })).json.reason, "IDENTITY_MISMATCH");
    }
    const ask = (route: string, scopes: string) =>
      send(`${system.url}${route}`, {
        method: "POST",
        headers: { ...json, "x-subject": "alice", "x-scopes": scopes },
        body: JSON.stringify(body),
      });
    const allowed = await ask("/any", "");
    assert.equal((await verifier.verify(allowed.json.token)).sub, "bob");
    assert.equal((await ask("/admins", "admin")).status, 403);
    assert.equal((await ask("/admins", "rooms admin")).status, 200);
    const nobody = await send(`${system.url}${path}`, {
      method: "POST",
      headers: json,
      body: JSON.stringify(body),
    });
    assert.equal(nobody.status, 403);
    const metrics = await system.metrics();
    assert.equal(sample(metrics, 'protogate_livekit_tokens_total{grant="participant",result="refused"}'), 5);
    assert.equal(sample(metrics, 'protogate_livekit_tokens_total{grant="participant",result="issued"}'), 1);
    assert.equal(sample(metrics, 'protogate_livekit_tokens_total{grant="speaker",result="refused"}'), 1);
  } finally {
    await system.close();
  }
});

test("each field of a LiveKit token request that is empty, too long or not text is named", async () => {
  const system = await startLiveKit(plain);
  try {
    const empty = await post(system, { room: "", identity: "" });
    assert.equal(empty.status, 400);
    assert.deepEqual(violations(empty), { room: "must not be empty", identity: "must not be empty" });
    assert.deepEqual(violations(await post(system, "")), violations(empty));
    assert.deepEqual(violations(await post(system, { room: null, identity: " " })), violations(empty));
    const long = await post(system, { room: "é".repeat(129), identity: "alice" });
    assert.deepEqual(violations(long), { room: "must have at most 256 bytes" });
    assert.equal((await post(system, { room: "é".repeat(128), identity: "alice" })).status, 200);
    const control = await post(system, { room: "a\u0000b", identity: "alice" });
    assert.deepEqual(violations(control), { room: "must not hold control characters" });
    const number = await post(system, { room: 7, identity: "alice" });
    assert.deepEqual(violations(number), { room: "expected a string, found the number 7" });
    const metrics = await system.metrics();
    assert.equal(sample(metrics, 'protogate_livekit_tokens_total{grant="participant",result="invalid"}'), 6);
  } finally {
    await system.close();
  }
});

test("a client cannot say what its token allows", async () => {
  const system = await startLiveKit(plain);
  try {
    const own = { room: "r1", identity: "alice" };
    for (const [name, value] of Object.entries({
      grants: { roomAdmin: true },
      video: { roomAdmin: true },
      roomConfig: { egress: {} },
      metadata: "x",
      ttl: "6h",
      __proto__x: 1,
    })) {
      const answer = await post(system, { ...own, [name]: value });
      assert.equal(answer.status, 400, name);
      assert.deepEqual(Object.keys(violations(answer)), [name]);
    }
    const polluting = await post(system, '{"room":"r1","identity":"alice","__proto__":{"roomAdmin":true}}');
    assert.equal(polluting.json.reason, "UNKNOWN_FIELD");
    const close = await post(system, { ...own, rooms: "r2" });
    assert.match(close.json.message, /did you mean "room"\?$/);
    const query = await send(`${system.url}${path}?room=r2`, {
      method: "POST",
      headers: { ...json, "x-subject": "alice" },
      body: JSON.stringify(own),
    });
    assert.equal(query.json.reason, "UNKNOWN_PARAMETER");
  } finally {
    await system.close();
  }
});

test("bodies that are not one plain JSON object are refused", async () => {
  const system = await startLiveKit(plain);
  try {
    const twice = await post(system, '{"room":"r1","room":"r2","identity":"alice"}');
    assert.equal(twice.json.reason, "DUPLICATE_KEY");
    assert.equal((await post(system, "[]")).json.reason, "INVALID_VALUE");
    assert.equal((await post(system, "{")).json.reason, "MALFORMED_JSON");
    assert.equal((await post(system, '{"room":{"a":{}}}')).json.reason, "INVALID_VALUE");
    assert.equal((await post(system, "[".repeat(8000))).json.reason, "TOO_DEEP");
    for (const type of [
      "text/plain",
      "application/x-www-form-urlencoded",
      "application/json; charset=latin1",
    ]) {
      const answer = await post(system, { room: "r1", identity: "alice" }, { "content-type": type });
      assert.equal(answer.json.reason, "UNSUPPORTED_MEDIA_TYPE", type);
    }
    const utf8 = { "content-type": 'application/json; charset="UTF-8"' };
    assert.equal((await post(system, { room: "r1", identity: "alice" }, utf8)).status, 200);
    const zipped = await post(system, { room: "r1", identity: "alice" }, { "content-encoding": "gzip" });
    assert.equal(zipped.json.reason, "UNSUPPORTED_MEDIA_TYPE");
  } finally {
    await system.close();
  }
});

test("claims that are too long for a token, or not Unicode, make no token", async () => {
  const system = await startLiveKit(
    `routes: [{ get: /token, room: literal.r, grant: participant, name: claim.name, attributes: { bio: claim.bio } }]`,
  );
  try {
    const ask = (claims: unknown) =>
      send(`${system.url}/token`, { headers: { "x-subject": "alice", "x-claims": JSON.stringify(claims) } });
    assert.deepEqual(violations(await ask({ bio: "x".repeat(4097) })), {
      "attributes.bio": "must have at most 4096 bytes",
    });
    assert.deepEqual(violations(await ask({ name: "\ud800" })), { name: "must be valid Unicode" });
    assert.equal((await ask({ bio: "x".repeat(4096), name: null })).status, 200);
  } finally {
    await system.close();
  }
});

test("a backend that authorizes gets room, identity and caller, and its refusal is the response", async () => {
  const backend = await startBackend({
    "/rooms.v1.Rooms/Enter": (call, reply) => {
      const room = call.request.subarray(2, 2 + (call.request[1] ?? 0)).toString();
      if (room === "open") return reply(null, Buffer.alloc(0));
      const code = room === "broken" ? status.INTERNAL : status.PERMISSION_DENIED;
      reply({ code, details: `no way into ${room}` });
    },
  });
  const system = await startLiveKit(
    `routes: [{ post: ${path}, room: body.room, identity: body.identity, grant: participant,
  authorize: { upstream: rooms, method: rooms.v1.Rooms/Enter, identity_field: who.login } }]`,
    { upstream: backend.port },
  );
  try {
    const open = await post(system, { room: "open", identity: "alice" });
    assert.equal(open.status, 200);
    const [call] = backend.calls;
    assert.equal(call?.request.toString("latin1"), "\x0a\x04open\x1a\x07\x0a\x05alice");
    assert.deepEqual(call?.metadata.get("x-request-id"), ["request-1"]);
    assert.deepEqual(call?.metadata.get("x-user-id"), ["alice"]);

    const closed = await post(system, { room: "shut", identity: "alice" });
    assert.equal(closed.status, 403);
    assert.deepEqual([closed.json.reason, closed.json.message], ["PERMISSION_DENIED", "no way into shut"]);
    assert.equal((await post(system, { room: "broken", identity: "alice" })).status, 500);
    // Whoever asks for somebody else is refused before the backend hears of it.
    assert.equal((await post(system, { room: "open", identity: "bob" })).status, 403);
    assert.equal(backend.calls.length, 3);
    await backend.close();
    const down = await post(system, { room: "open", identity: "alice" });
    assert.equal(down.status, 503);
    assert.equal(down.json.token, undefined);
    const metrics = await system.metrics();
    assert.equal(sample(metrics, 'protogate_livekit_tokens_total{grant="participant",result="issued"}'), 1);
    assert.equal(sample(metrics, 'protogate_livekit_tokens_total{grant="participant",result="refused"}'), 2);
    assert.equal(sample(metrics, 'protogate_livekit_tokens_total{grant="participant",result="failed"}'), 2);
  } finally {
    await system.close();
  }
});

test("no failure, log line or metric holds the secret", async () => {
  const system = await startLiveKit(`${plain}\nwebhook: { path: /hook }`);
  try {
    const answers = [
      await post(system, { room: "", identity: "" }),
      await post(system, { room: "r", identity: "bob" }),
      await post(system, "{"),
      await send(`${system.url}/hook`, { method: "POST", body: "{}", headers: { authorization: "x" } }),
    ];
    const told = [...answers.map(answer => answer.text), JSON.stringify(system.log), await system.metrics()];
    assert.ok(told.every(text => !text.includes(apiSecret)));
  } finally {
    await system.close();
  }
});

test("a route of another project gives out its address, and tokens signed with its key", async () => {
  const secret = "the secret of another project, also of thirty-two characters";
  const system =
    await startLiveKit(`projects: { eu: { url: "wss://eu.example.com", api_key: APIeu, api_secret: "${secret}" } }
routes: [{ post: ${path}, project: eu, room: body.room, identity: subject, grant: participant }]`);
  try {
    const response = await post(system, { room: "r1" });
    assert.equal(response.json.serverUrl, "wss://eu.example.com");
    const claims = await new TokenVerifier("APIeu", secret).verify(response.json.token);
    assert.equal(claims.video?.room, "r1");
  } finally {
    await system.close();
  }
});
