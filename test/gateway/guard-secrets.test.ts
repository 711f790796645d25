import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { after, describe, test } from "node:test";
import { status as Code } from "@grpc/grpc-js";
import { hashApiKey } from "../../src/auth/providers/api-key/key-file.js";
import { forged, signShared } from "../auth/tokens.js";
import { engineUnderTest } from "../engine.js";
import { noRedis, RedisServer } from "../limits/redis-server.js";
import { converse } from "../server/raw-client.js";
import { echo, send, startBackend, startTestGateway } from "./harness.js";

const proto = `
syntax = "proto3";
package safe.v1;
import "buf/validate/validate.proto";
import "google/api/annotations.proto";
service Safe {
  rpc Get(Note) returns (Note) { option (google.api.http) = { get: "/get/{name}" }; }
  rpc Put(Note) returns (Note) { option (google.api.http) = { post: "/put" body: "*" }; }
  rpc Key(Note) returns (Note) { option (google.api.http) = { get: "/key/{name}" }; }
  rpc Any(Note) returns (Note) { option (google.api.http) = { get: "/any/{name}" }; }
  rpc Ask(Note) returns (Note) { option (google.api.http) = { get: "/ask/{name}" }; }
}
service Auth { rpc Check(Note) returns (Note); }
message Note { string name = 1; string text = 2 [(buf.validate.field).string.max_len = 64]; }
`;

const random = (): string => randomBytes(24).toString("base64url");

describe(`secrets (${engineUnderTest()})`, () => {
  test("secrets are in no log line, metric, response or shown configuration", {
    skip: noRedis,
  }, async () => {
    const redis = await RedisServer.start();
    after(() => redis.stop());
    const [secret, livekitSecret, password, apiKey, wrongKey, session, body, query] = [
      random(),
      random(),
      random(),
      random(),
      random(),
      random(),
      random(),
      random(),
    ] as [string, string, string, string, string, string, string, string];
    const backend = await startBackend({
      "/safe.v1.Safe/Get": echo,
      "/safe.v1.Safe/Put": echo,
      "/safe.v1.Safe/Key": echo,
      "/safe.v1.Safe/Any": echo,
      "/safe.v1.Safe/Ask": echo,
      // Says what it was asked, as careless backends do.
      "/safe.v1.Auth/Check": (call, reply) => {
        const token = call.request.subarray(2).toString();
        const code = token.includes("down") ? Code.INTERNAL : Code.UNAUTHENTICATED;
        reply({ code, details: `token ${token} is not known` });
      },
    });
    const gateway = await startTestGateway(
      `
descriptors: [{ protos: ./protos }]
upstreams: { safe: { targets: ["127.0.0.1:${backend.port}"] } }
services:
  - service: safe.v1.Safe
    upstream: safe
    auth: users
    rate_limit: shared
    methods: { Key: { auth: keys }, Any: { auth: [cookies, queries, users, keys, ask] }, Ask: { auth: ask } }
auth:
  providers:
    users: { type: jwt, secret: "${secret}", algorithms: [HS256] }
    cookies: { type: jwt, secret: "${secret}", algorithms: [HS256], cookie: session }
    queries: { type: jwt, secret: "${secret}", algorithms: [HS256], query: access_token }
    keys: { type: api_key, keys: ./keys.yaml }
    ask: { type: rpc, upstream: safe, method: safe.v1.Auth/Check, token_field: name, subject_field: name, header: x-ask }
  policies: [{ name: nobody, match: { route: "/get/nobody" }, require: { scopes: [x] } }]
rate_limits: { shared: { requests: 1000000, store: redis, redis: "redis://user:${password}@127.0.0.1:${redis.port}", on_store_failure: allow } }
livekit: { url: "wss://livekit.example", api_key: devkey, api_secret: "${livekitSecret}", ttl: 10m, grants: {}, routes: [] }
telemetry: { log: { level: trace } }
`,
      {
        "protos/safe.proto": proto,
        "keys.yaml": `[{ hash: "${hashApiKey(apiKey)}", subject: acme }]`,
      },
    );
    after(async () => {
      await gateway.close();
      await backend.close();
    });
    const good = await signShared(secret);
    const expired = await signShared(secret, { exp: 1 });
    const foreign = await signShared(random());
    const none = forged({ alg: "none" }, { sub: random() });
    const garbled = `${random()}.${random()}`;
    const down = `down${random()}`;
    const unknown = random();
    const shown: string[] = [];
    const ask = async (
      path: string,
      headers: Record<string, string> = {},
      init: RequestInit = {},
    ): Promise<void> => {
      const { status, text, headers: replied } = await send(`${gateway.url}${path}`, { ...init, headers });
      shown.push(String(status), text, JSON.stringify([...replied]));
    };
    for (const token of [good, expired, foreign, none, garbled, unknown]) {
      await ask("/get/a", { authorization: `Bearer ${token}` });
      await ask("/get/nobody", { authorization: `Bearer ${token}` });
      await ask("/any/a", { authorization: `Bearer ${token}`, cookie: `session=${token}; other=${session}` });
      await ask(`/any/a?access_token=${token}`);
      await ask(`/get/a?access_token=${token}&password=${query}`, { authorization: `Bearer ${good}` });
      await ask("/get/a", { authorization: `Basic ${Buffer.from(`root:${session}`).toString("base64")}` });
      await ask("/nowhere", { authorization: `Bearer ${token}`, cookie: `session=${session}` });
    }
    for (const key of [apiKey, wrongKey]) {
      await ask("/key/a", { "x-api-key": key });
      await ask("/any/a", { "x-api-key": key });
    }
    for (const token of [unknown, down]) await ask("/ask/a", { "x-ask": token });
    for (const text of [
      `{"text":"${body}${body}${body}"}`,
      `{"text":"${body}"`,
      `{"${body}":1}`,
      `{"text":"${body}"}`,
    ]) {
      await ask(
        "/put",
        { authorization: `Bearer ${good}`, "content-type": "application/json" },
        { method: "POST", body: text },
      );
    }
    const broken = `GET /get/a HTTP/1.1\r\nhost: a\r\nauthorization: Bearer ${garbled}\r\nauthorization : Bearer ${garbled}\r\n\r\n`;
    if (engineUnderTest() === "fastify")
      shown.push((await converse(gateway.httpPort, [broken], 1, true)).text);
    for (const path of ["/metrics", "/config", "/readyz", "/routes"])
      shown.push((await send(`${gateway.admin}${path}`)).text);
    assert.match(shown.join("\n"), /redacted/);
    const everything = [...shown, ...gateway.log.map(line => JSON.stringify(line))].join("\n");
    const secrets = {
      secret,
      livekitSecret,
      password,
      apiKey,
      wrongKey,
      session,
      query,
      good,
      expired,
      foreign,
      none,
      garbled,
      unknown,
      down,
    };
    for (const [name, value] of Object.entries(secrets)) {
      for (const form of [
        value,
        encodeURIComponent(value),
        Buffer.from(value).toString("base64").replace(/=+$/, "").slice(0, -1),
      ]) {
        const at = everything.indexOf(form);
        assert.ok(at < 0, `${name}: ${everything.slice(Math.max(0, at - 300), at + 40)}`);
      }
    }
    // What a client has sent in a body is in no log line; a reply may hold it.
    const log = gateway.log.map(line => JSON.stringify(line)).join("\n");
    assert.ok(!log.includes(body), log.slice(Math.max(0, log.indexOf(body) - 300), log.indexOf(body) + 40));
  });
});
