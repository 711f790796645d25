import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import { status } from "@grpc/grpc-js";
import { SignJWT } from "jose";
import { AccessToken } from "livekit-server-sdk";
import { type Answer, send, startBackend } from "../gateway/harness.js";
import { apiKey, apiSecret, type LiveKitSystem, sample, startLiveKit } from "./system.js";

/** Signs a body as the LiveKit server does: a token with the hash of the bytes. */
async function signature(
  body: string,
  { key = apiKey, secret = apiSecret, expires = "5m" } = {},
): Promise<string> {
  const token = new AccessToken(key, secret, { ttl: expires });
  token.sha256 = createHash("sha256").update(body).digest("base64");
  return token.toJwt();
}

async function deliver(system: LiveKitSystem, event: object, authorization?: string): Promise<Answer> {
  const body = JSON.stringify(event);
  return send(`${system.url}/livekit/webhook`, {
    method: "POST",
    headers: {
      "content-type": "application/webhook+json",
      authorization: authorization ?? (await signature(body)),
    },
    body,
  });
}

const joined = {
  event: "participant_joined",
  id: "EV_1",
  createdAt: "1700000000",
  room: { name: "r1", sid: "RM_1", creationTime: "1690000000" },
  participant: { identity: "alice", name: "Alice", metadata: "for the server alone", joinedAt: "1700000000" },
  somethingNew: { unknown: true },
};

test("a signed event is published to the realtime room that the template names, without what is not theirs", async () => {
  const published: [string, unknown][] = [];
  const system = await startLiveKit(
    `webhook: { path: /livekit/webhook, publish: { room: "livekit:{room}", from: sfu } }`,
    { publish: (room, { from, message }) => void published.push([room, [from, JSON.parse(message)]]) },
  );
  try {
    const answer = await deliver(system, joined);
    assert.deepEqual([answer.status, answer.text], [200, ""]);
    const digest = {
      event: "participant_joined",
      id: "EV_1",
      created_at: 1700000000,
      room: "r1",
      identity: "alice",
      name: "Alice",
    };
    assert.deepEqual(published, [["livekit:r1", ["sfu", digest]]]);

    const ingress = { url: "rtmp://x", streamKey: "secret key", roomName: "r2", state: {} };
    await deliver(system, { event: "ingress_started", id: "EV_2", ingressInfo: ingress });
    assert.equal(published[1]?.[0], "livekit:r2");
    assert.ok(!JSON.stringify(published).includes("secret key"));

    // An event without a room has none to be published to.
    assert.equal((await deliver(system, { event: "egress_ended", id: "EV_3" })).status, 200);
    assert.equal(published.length, 2);
    const track = { sid: "TR_1", name: "cam", muted: true };
    await deliver(system, { ...joined, event: "track_published", id: "EV_4", track });
    assert.match(JSON.stringify(published[2]), /"track":\{"sid":"TR_1","name":"cam","muted":true\}/);
  } finally {
    await system.close();
  }
});

test("an event that comes again, or twice at once, is delivered once", async () => {
  const waiting: (() => void)[] = [];
  let published = 0;
  const system = await startLiveKit(`webhook: { path: /livekit/webhook, publish: { room: all } }`, {
    publish: () => {
      published++;
      return new Promise<void>(resolve => waiting.push(resolve));
    },
  });
  try {
    const first = deliver(system, joined);
    const second = deliver(system, joined);
    while (waiting.length === 0) await new Promise(setImmediate);
    waiting[0]?.();
    assert.deepEqual([(await first).status, (await second).status], [200, 200]);
    assert.equal((await deliver(system, joined)).status, 200);
    assert.equal(published, 1);
    const metrics = await system.metrics();
    const series = 'protogate_livekit_webhooks_total{event="participant_joined",result=';
    assert.equal(sample(metrics, `${series}"accepted"}`), 1);
    assert.equal(sample(metrics, `${series}"repeated"}`), 2);
  } finally {
    await system.close();
  }
});

test("a webhook of a LiveKit whose clock is up to a minute apart is taken", async () => {
  const system = await startLiveKit("webhook: { path: /livekit/webhook }");
  try {
    const body = JSON.stringify(joined);
    const hash = createHash("sha256").update(body).digest("base64");
    const now = Math.floor(Date.now() / 1000);
    const signed = (nbf: number, exp: number): Promise<string> =>
      new SignJWT({ sha256: hash, nbf, exp })
        .setProtectedHeader({ alg: "HS256" })
        .setIssuer(apiKey)
        .sign(new TextEncoder().encode(apiSecret));
    for (const [nbf, exp, status] of [
      [20, 300, 200],
      [50, 300, 200],
      [-300, -50, 200],
      [90, 300, 401],
      [-300, -90, 401],
    ] as const) {
      const answer = await deliver(system, joined, await signed(now + nbf, now + exp));
      assert.equal(answer.status, status, `nbf ${nbf}, exp ${exp}`);
    }
  } finally {
    await system.close();
  }
});

test("a webhook that LiveKit has not signed is refused", async () => {
  let published = 0;
  const system = await startLiveKit(`webhook: { path: /livekit/webhook, publish: { room: all } }`, {
    publish: () => void published++,
  });
  try {
    const body = JSON.stringify(joined);
    const participant = new AccessToken(apiKey, apiSecret, { identity: "alice" });
    participant.addGrant({ roomJoin: true, room: "r1" });
    const hash = createHash("sha256").update(body).digest("base64");
    const foreign = new SignJWT({ sha256: hash })
      .setProtectedHeader({ alg: "HS256" })
      .setIssuer("other")
      .setExpirationTime("5m")
      .sign(new TextEncoder().encode(apiSecret));
    const unsigned = ["none", "None"].map(alg => {
      const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString("base64url");
      return `${part({ alg })}.${part({ iss: apiKey, sha256: hash, exp: 4e9 })}.`;
    });
    const refused: Record<string, string> = {
      nothing: "",
      "no token": "x",
      "another key": await signature(body, { secret: "x".repeat(40) }),
      "another issuer": await foreign,
      "another body": await signature(`${body} `),
      "a signature of yesterday": await signature(body, { expires: "-1d" }),
      "a token to join": await participant.toJwt(),
      "no algorithm": unsigned[0] ?? "",
      "no Algorithm": unsigned[1] ?? "",
    };
    for (const [what, authorization] of Object.entries(refused)) {
      const answer = await deliver(system, joined, authorization);
      assert.equal(answer.status, 401, what);
      assert.equal(answer.json.reason, "WEBHOOK_REJECTED", what);
      assert.equal(answer.headers.get("www-authenticate"), "Bearer");
    }
    assert.equal(published, 0);
    const metrics = await system.metrics();
    assert.equal(sample(metrics, 'protogate_livekit_webhooks_total{event="other",result="rejected"}'), 9);
    const form = await send(`${system.url}/livekit/webhook`, {
      method: "POST",
      headers: { "content-type": "text/plain", authorization: await signature(body) },
      body,
    });
    assert.equal(form.status, 415);
  } finally {
    await system.close();
  }
});

test("an event becomes the request of a method by ProtoJSON, and the webhook gets 503 where that fails", async () => {
  let down = true;
  const backend = await startBackend({
    "/rooms.v1.Rooms/Happened": (_call, reply) => {
      if (down) return reply({ code: status.NOT_FOUND, details: "the database is elsewhere" });
      reply(null, Buffer.alloc(0));
    },
  });
  const system = await startLiveKit(
    `webhook: { path: /livekit/webhook, call: { upstream: rooms, method: rooms.v1.Rooms/Happened } }`,
    { upstream: backend.port },
  );
  try {
    const failed = await deliver(system, joined);
    assert.equal(failed.status, 503);
    assert.equal(failed.json.reason, "WEBHOOK_FAILED");
    assert.ok(!failed.text.includes("database"));
    assert.match(JSON.stringify(system.log), /NOT_FOUND: the database is elsewhere/);
    down = false;
    assert.equal((await deliver(system, joined)).status, 200);
    assert.equal((await deliver(system, joined)).status, 200);
    assert.equal(backend.calls.length, 2);
    const expected = Buffer.concat([
      Buffer.from("\x0a\x12participant_joined\x12\x04EV_1\x18", "latin1"),
      varint(1700000000),
      Buffer.from("\x22\x0a\x0a\x02r1\x10", "latin1"),
      varint(1690000000),
    ]);
    assert.deepEqual(backend.calls[1]?.request, expected);
    const metrics = await system.metrics();
    const series = 'protogate_livekit_webhooks_total{event="participant_joined",result=';
    assert.equal(sample(metrics, `${series}"failed"}`), 1);
    assert.equal(sample(metrics, `${series}"accepted"}`), 1);
  } finally {
    await system.close();
    await backend.close();
  }
});

test("events of names to come are taken and counted as other", async () => {
  const system = await startLiveKit("webhook: { path: /livekit/webhook }");
  try {
    assert.equal((await deliver(system, { event: "room_moved", id: "EV_9" })).status, 200);
    assert.equal((await deliver(system, { event: "room_finished" })).status, 200);
    assert.equal((await deliver(system, { event: "room_finished" })).status, 200);
    const metrics = await system.metrics();
    assert.equal(sample(metrics, 'protogate_livekit_webhooks_total{event="other",result="accepted"}'), 1);
    assert.equal(
      sample(metrics, 'protogate_livekit_webhooks_total{event="room_finished",result="accepted"}'),
      2,
    );
  } finally {
    await system.close();
  }
});

function varint(value: number): Buffer {
  const bytes: number[] = [];
  for (let rest = value; ; rest = Math.floor(rest / 128)) {
    if (rest < 128) return Buffer.from([...bytes, rest]);
    bytes.push((rest % 128) + 128);
  }
}

test("webhooks are accepted from every project, and with a key that is being replaced", async () => {
  const previous = "the secret before this one, also of thirty-two characters";
  const other = "the secret of another project, also of thirty-two characters";
  const system = await startLiveKit(`previous_keys: [{ api_key: APIold, api_secret: "${previous}" }]
projects: { eu: { url: "wss://eu.example.com", api_key: APIeu, api_secret: "${other}" } }
webhook: { path: /livekit/webhook }`);
  try {
    const statusWith = async (id: string, key: string, secret: string): Promise<number> => {
      const event = { ...joined, id };
      return (await deliver(system, event, await signature(JSON.stringify(event), { key, secret }))).status;
    };
    assert.equal(await statusWith("EV_a", "APIold", previous), 200);
    assert.equal(await statusWith("EV_b", "APIeu", other), 200);
    assert.equal(await statusWith("EV_c", apiKey, apiSecret), 200);
    assert.equal(await statusWith("EV_d", "APIeu", previous), 401);
    assert.equal(await statusWith("EV_e", "APInone", other), 401);
  } finally {
    await system.close();
  }
});
