import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import http from "node:http";
import type { AddressInfo } from "node:net";
import { after, test } from "node:test";
import { SignJWT } from "jose";
import { AccessToken, TokenVerifier } from "livekit-server-sdk";
import { send, startTestGateway } from "../gateway/harness.js";
import { apiKey, apiSecret, sample } from "./system.js";

const userSecret = "another secret of at least thirty-two characters";
const verifier = new TokenVerifier(apiKey, apiSecret);

/** A LiveKit server that only removes participants. */
const removed: unknown[] = [];
const sfu = http.createServer(async (request, response) => {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  const { room, identity } = JSON.parse(Buffer.concat(chunks).toString());
  removed.push([request.url, room, identity]);
  response.writeHead(200, { "content-type": "application/json" }).end("{}");
});
await new Promise<void>(resolve => sfu.listen(0, "127.0.0.1", resolve));

const gateway = await startTestGateway(
  `
auth:
  providers:
    users: { type: jwt, secret: "${userSecret}", algorithms: [HS256] }
    openim: { type: jwt, secret: "${userSecret}", algorithms: [HS256], header: token, subject: UserID }
livekit:
  url: wss://livekit.example.com
  api_url: http://127.0.0.1:${(sfu.address() as AddressInfo).port}
  api_key: ${apiKey}
  api_secret: ${apiSecret}
  grants:
    participant: { roomJoin: true, canPublish: true, canSubscribe: true }
  routes:
    - { post: /token, room: body.room, identity: body.identity, attributes: { org: claim.org }, grant: participant, auth: [users] }
    - { post: /user/rtc/get_token, room: body.room, identity: body.identity, grant: participant, auth: [openim], errors: openim }
  webhook: { path: /livekit/webhook }
telemetry: { log: { level: info } }
`,
  {},
);

after(async () => {
  await gateway.close();
  sfu.closeAllConnections();
  sfu.close();
});

function login(claims: Record<string, unknown>): Promise<string> {
  return new SignJWT(claims)
    .setProtectedHeader({ alg: "HS256" })
    .setExpirationTime("5m")
    .sign(new TextEncoder().encode(userSecret));
}

const json = { "content-type": "application/json" };

test("a thousand users that request LiveKit tokens at the same time each get their own", async () => {
  const before = await gatewayMetrics();
  const users = Array.from({ length: 1000 }, (_, index) => `user-${index}`);
  await Promise.all(
    users.map(async (user, index) => {
      const answer = await send(`${gateway.url}/token`, {
        method: "POST",
        headers: { ...json, authorization: `Bearer ${await login({ sub: user, org: `org-${index}` })}` },
        body: JSON.stringify({ room: `room-${index}`, identity: user }),
      });
      assert.equal(answer.status, 200, answer.text);
      const token = await verifier.verify(answer.json.token);
      assert.deepEqual([token.sub, token.video?.room], [user, `room-${index}`]);
      assert.deepEqual(token.attributes, { org: `org-${index}` });
    }),
  );
  const metrics = await gatewayMetrics();
  const issued = 'protogate_livekit_tokens_total{grant="participant",result="issued"}';
  assert.equal(sample(metrics, issued) - sample(before, issued), 1000);
  const requests =
    'protogate_http_requests_total{route="/token",method="POST",code="200",grpc_code="OK",service="livekit"}';
  assert.equal(sample(metrics, requests), 1000);
});

test("a token is issued to its authenticated user alone", async () => {
  const body = JSON.stringify({ room: "r", identity: "alice" });
  const nobody = await send(`${gateway.url}/token`, { method: "POST", headers: json, body });
  assert.equal(nobody.status, 401);
  assert.ok(nobody.headers.get("www-authenticate") !== null);
  const authorization = `Bearer ${await login({ sub: "bob" })}`;
  const bob = await send(`${gateway.url}/token`, {
    method: "POST",
    headers: { ...json, authorization },
    body,
  });
  assert.deepEqual([bob.status, bob.json.reason], [403, "IDENTITY_MISMATCH"]);
});

test("a LiveKit token that the gateway has issued is no login", async () => {
  const token = new AccessToken(apiKey, apiSecret, { identity: "alice" });
  const answer = await send(`${gateway.url}/token`, {
    method: "POST",
    headers: { ...json, authorization: `Bearer ${await token.toJwt()}` },
    body: JSON.stringify({ room: "r", identity: "alice" }),
  });
  assert.equal(answer.status, 401);
});

test("OpenIM's clients get their envelope, and the metrics the truth", async () => {
  const token = await login({ UserID: "u1", PlatformID: 1 });
  const ask = (body: unknown) =>
    send(`${gateway.url}/user/rtc/get_token`, {
      method: "POST",
      headers: { ...json, token, operationID: "op-1" },
      body: JSON.stringify(body),
    });
  const issued = await ask({ room: "r", identity: "u1" });
  assert.equal(issued.status, 200);
  assert.equal(issued.json.errCode, 0);
  assert.equal(issued.json.data.serverUrl, "wss://livekit.example.com");
  assert.equal((await verifier.verify(issued.json.data.token)).sub, "u1");
  const empty = await ask({ room: "", identity: "u1" });
  assert.equal(empty.status, 200);
  assert.equal(empty.json.errCode, 1001);
  assert.match(empty.text, /room/);
  const other = await ask({ room: "r", identity: "u2" });
  assert.deepEqual([other.status, other.json.errCode], [200, 1002]);
  const requests = (code: number, grpc: string): string =>
    `protogate_http_requests_total{route="/user/rtc/get_token",method="POST",code="${code}",grpc_code="${grpc}",service="livekit"}`;
  const metrics = await gatewayMetrics();
  assert.equal(sample(metrics, requests(400, "INVALID_ARGUMENT")), 1);
  assert.equal(sample(metrics, requests(403, "PERMISSION_DENIED")), 1);
});

test("webhooks need LiveKit's signature and nothing else", async () => {
  const body = JSON.stringify({ event: "room_started", id: "EV_1", room: { name: "r" } });
  const token = new AccessToken(apiKey, apiSecret, { ttl: 300 });
  token.sha256 = createHash("sha256").update(body).digest("base64");
  const post = (authorization: string) =>
    send(`${gateway.url}/livekit/webhook`, {
      method: "POST",
      headers: { "content-type": "application/webhook+json", authorization },
      body,
    });
  assert.equal((await post(await token.toJwt())).status, 200);
  const refused = await post(`Bearer ${await login({ sub: "alice" })}`);
  assert.deepEqual([refused.status, refused.json.reason], [401, "WEBHOOK_REJECTED"]);
  const line = await gateway.logged(each => each.msg === "LiveKit webhook rejected");
  assert.ok(typeof line.request_id === "string");
});

test("operators remove participants, and see the configuration without its secrets", async () => {
  const identity = `${"long ".repeat(30)}/ é`;
  const answer = await send(
    `${gateway.admin}/livekit/rooms/r%2F1/participants/${encodeURIComponent(identity)}`,
    { method: "DELETE" },
  );
  assert.equal(answer.status, 204, answer.text);
  assert.deepEqual(removed, [["/twirp/livekit.RoomService/RemoveParticipant", "r/1", identity]]);
  const config = await send(`${gateway.admin}/config`);
  assert.match(config.text, /"livekit":\{"url":"wss:\/\/livekit.example.com"/);
  for (const secret of [apiKey, apiSecret, userSecret]) assert.ok(!config.text.includes(secret));
  const told = `${await gatewayMetrics()}${JSON.stringify(gateway.log)}`;
  assert.ok(!told.includes(apiSecret));
});

async function gatewayMetrics(): Promise<string> {
  return (await send(`${gateway.admin}/metrics`)).text;
}
