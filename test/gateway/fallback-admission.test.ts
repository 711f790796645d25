import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { signShared } from "../auth/tokens.js";
import { engineUnderTest } from "../engine.js";
import { ask, EventStream } from "./event-stream.js";
import { startTestGateway, type TestGateway } from "./harness.js";

const secret = "a secret of at least thirty-two bytes";
const page = "https://app.example.com";

describe(`admission of sockets without a WebSocket (${engineUnderTest()})`, () => {
  let gateway: TestGateway;
  const cookieOf = async (claims: object): Promise<Record<string, string>> => ({
    cookie: `session=${await signShared(secret, { scope: "rooms", ...claims })}`,
  });
  before(async () => {
    gateway = await startTestGateway(
      `
realtime:
  path: /ws
  transports: [sse, poll]
  auth: [tokens, pages]
  origins: ["${page}"]
  rate_limit: places
  sessions: [{ key: claim.device, max: 1 }]
rate_limits: { places: { concurrency: 2, key: subject } }
auth:
  providers:
    tokens: { type: jwt, secret: "${secret}", algorithms: [HS256] }
    pages: { type: jwt, secret: "${secret}", algorithms: [HS256], cookie: session }
  policies: [{ match: { route: /ws }, require: { scopes: [rooms] } }]
server: { drain: 500ms }
`,
      {},
    );
  });
  after(() => gateway.close());

  const bearer = async (claims: object): Promise<Record<string, string>> => ({
    authorization: `Bearer ${await signShared(secret, { scope: "rooms", ...claims })}`,
  });
  const openings = [
    ["GET", { accept: "text/event-stream" }],
    ["POST", {}],
  ] as const;

  test("credentials and policies are those of a WebSocket, for either transport", async () => {
    const outsider = await bearer({ sub: "eve", scope: "other" });
    for (const [method, headers] of openings) {
      const unknown = await ask(gateway.httpPort, method, headers);
      assert.deepEqual([unknown.status, unknown.reason], [401, "CREDENTIALS_MISSING"]);
      assert.match(String(unknown.headers["www-authenticate"]), /^Bearer/);
      const refused = await ask(gateway.httpPort, method, { ...headers, ...outsider });
      assert.deepEqual([refused.status, refused.reason], [403, "SCOPE_MISSING"]);
    }
    const stream = await EventStream.open(gateway.httpPort, await bearer({ sub: "ann" }));
    await stream.say({ type: "join-room", room_id: "r", from: "bob", id: 1 });
    assert.equal((await stream.next({ id: 1 })).reason, "FROM_MISMATCH");
    stream.break();
  });

  test("a cookie counts from a listed origin, and from no other page", async () => {
    const cookie = await cookieOf({ sub: "cleo" });
    const stream = await EventStream.open(gateway.httpPort, { ...cookie, origin: page });
    assert.equal(stream.response.headers["access-control-allow-credentials"], "true");
    stream.break();
    for (const [method, headers] of openings) {
      const foreign = await ask(gateway.httpPort, method, {
        ...headers,
        ...cookie,
        origin: "https://evil.example",
      });
      assert.deepEqual([foreign.status, foreign.reason], [403, "ORIGIN_NOT_ALLOWED"]);
    }
  });

  test("a concurrency limit is held as long as the session is open", async () => {
    const headers = await bearer({ sub: "dora" });
    const first = await EventStream.open(gateway.httpPort, headers);
    const opened = await ask(gateway.httpPort, "POST", headers);
    assert.equal(opened.status, 200);
    const third = await ask(gateway.httpPort, "GET", { accept: "text/event-stream", ...headers });
    assert.deepEqual([third.status, third.reason], [429, "TOO_MANY_CONCURRENT"]);
    const { session } = JSON.parse(opened.text);
    assert.equal((await ask(gateway.httpPort, "DELETE", { "protogate-session": session })).status, 204);
    const again = await EventStream.open(gateway.httpPort, headers);
    again.break();
    first.break();
  });

  test("a newer session of the same class replaces one of another transport", async () => {
    const headers = await bearer({ sub: "emma", device: "phone" });
    const stream = await EventStream.open(gateway.httpPort, headers);
    assert.equal((await ask(gateway.httpPort, "POST", headers)).status, 200);
    const { code, reason = "" } = (await stream.closed) ?? {};
    assert.deepEqual([code, JSON.parse(reason).reason], [4409, "SESSION_REPLACED"]);
  });
});
