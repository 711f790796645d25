import assert from "node:assert/strict";
import http from "node:http";
import type { AddressInfo } from "node:net";
import { after, test } from "node:test";
import { TokenVerifier } from "livekit-server-sdk";
import type { AdminResponse, AdminRoute } from "../../src/bindings/admin-route.js";
import { Removals } from "../../src/livekit/removals.js";
import { GatewayError } from "../../src/status/failure.js";
import { Workspace } from "../config/workspace.js";
import { send } from "../gateway/harness.js";
import { apiKey, apiSecret, compileLiveKit, configuration, startLiveKit } from "./system.js";

interface Twirp {
  readonly method: string;
  // biome-ignore lint/suspicious/noExplicitAny: what the SDK sent, as JSON
  readonly body: any;
}

const calls: Twirp[] = [];
const verifier = new TokenVerifier(apiKey, apiSecret);

/** LiveKit's server API as far as it is needed: rooms `r1` with alice; others do not exist. */
const server = http.createServer(async (request, response) => {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  const body = JSON.parse(Buffer.concat(chunks).toString());
  const reply = (status: number, json: unknown): void => {
    response.writeHead(status, { "content-type": "application/json" });
    response.end(JSON.stringify(json));
  };
  const token = request.headers.authorization?.replace(/^Bearer /, "") ?? "";
  const claims = await verifier.verify(token).catch(() => undefined);
  if (claims?.video?.roomAdmin !== true || claims.video.room !== body.room) {
    return reply(401, { code: "unauthenticated", msg: "permissions denied" });
  }
  const method = request.url?.replace("/twirp/livekit.RoomService/", "") ?? "";
  calls.push({ method, body });
  if (body.room === "broken") return reply(500, { code: "internal", msg: "node 7 at 10.0.0.3 is gone" });
  if (method === "ListParticipants") {
    const participants = [{ identity: "alice", name: "Alice", state: "ACTIVE", joinedAt: "1700000000" }];
    return reply(200, { participants: body.room === "r1" ? participants : [] });
  }
  if (body.identity !== "alice/1") {
    return reply(404, { code: "not_found", msg: "participant does not exist" });
  }
  reply(200, {});
});
await new Promise<void>(resolve => server.listen(0, "127.0.0.1", resolve));
const { port } = server.address() as AddressInfo;
after(() => {
  server.closeAllConnections();
  server.close();
});

const workspace = new Workspace();

async function ask(route: AdminRoute, parameters: Record<string, string>): Promise<AdminResponse> {
  return route.handle({ parameters, query: new URLSearchParams(), body: new Uint8Array(0) });
}

async function routes(
  apiUrl: string,
  secret = apiSecret,
  removals = new Removals(),
): Promise<{ list: AdminRoute; remove: AdminRoute }> {
  const yaml = configuration(`api_url: ${apiUrl}`).replace(apiSecret, secret);
  const { adminRoutes, close } = await compileLiveKit(workspace, yaml, { removals });
  await close();
  const [list, remove] = adminRoutes;
  assert.ok(list !== undefined && remove !== undefined);
  return { list, remove };
}

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
  const { remove } = await routes(`http://127.0.0.1:${port}`);
  assert.deepEqual([remove.method, remove.path], ["DELETE", "/livekit/rooms/:room/participants/:identity"]);
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
  const { remove } = await routes(`http://127.0.0.1:${port}`, apiSecret, removals);
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
  removals.add("r", "a", 60);
  assert.equal(removals.secondsLeft("r", "a"), 3600);
  removals.add("r", "b", 7200);
  removals.add("r", "c", 60);
  assert.deepEqual(
    ["a", "b", "c"].map(identity => removals.secondsLeft("r", identity)),
    [0, 7200, 3600],
  );
  now = 3_600_000;
  removals.add("r", "d", 60);
  assert.deepEqual(
    ["b", "c", "d"].map(identity => removals.secondsLeft("r", identity)),
    [3600, 0, 3600],
  );
  removals.add("x".repeat(300), "a", 60);
  assert.equal(removals.secondsLeft("x".repeat(300), "a"), 0);
});

test("participants are listed", async () => {
  const { list } = await routes(`ws://127.0.0.1:${port}`);
  assert.deepEqual([list.method, list.path], ["GET", "/livekit/rooms/:room/participants"]);
  const alice = { identity: "alice", name: "Alice", state: "active", joined_at: "2023-11-14T22:13:20.000Z" };
  assert.deepEqual(await ask(list, { room: "r1" }), { status: 200, body: { participants: [alice] } });
  assert.deepEqual(await ask(list, { room: "r2" }), { status: 200, body: { participants: [] } });
});

test("refusals of LiveKit keep their meaning, and its internals are hidden", async () => {
  const { list, remove } = await routes(`http://127.0.0.1:${port}`);
  const unknown = await refusal(ask(remove, { room: "r1", identity: "bob" }));
  assert.deepEqual(unknown, [404, "NOT_FOUND", "participant does not exist"]);
  const broken = await refusal(ask(list, { room: "broken" }));
  assert.deepEqual(broken.slice(0, 2), [502, "UPSTREAM_PROTOCOL"]);
  assert.ok(!broken[2].includes("10.0.0.3"));
  const wrong = await routes(`http://127.0.0.1:${port}`, "another secret of at least thirty-two characters");
  const denied = await refusal(ask(wrong.list, { room: "r1" }));
  assert.deepEqual(denied.slice(0, 2), [502, "UPSTREAM_PROTOCOL"]);
  assert.match(denied[2], /401 unauthenticated; are address, key and secret right\?$/);
  const nobody = await routes("http://127.0.0.1:1");
  assert.deepEqual((await refusal(ask(nobody.list, { room: "r1" }))).slice(0, 2), [
    503,
    "UPSTREAM_UNAVAILABLE",
  ]);
});
