import assert from "node:assert/strict";
import { test } from "node:test";
import { redact } from "../../src/config/redaction.js";
import { httpListenersOf } from "../../src/server/config.js";
import { Workspace } from "./workspace.js";

const workspace = new Workspace({ "cert.pem": "", "key.pem": "", name: "chat.internal\n" });

test("the resolved configuration redacts keys and values from the environment or a file, not defaults and the rest", () => {
  const yaml = `
listeners:
  http:
    address: "127.0.0.1:§{PORT:-8080}"
    tls: { cert: cert.pem, key: key.pem }
  admin: { address: "127.0.0.1:§{ADMIN_PORT:-9090}" }
upstreams:
  secret-token:
    targets: ["localhost:1", "§{TARGET}"]
    tls: { server_name: "§{file:name}" }
services:
  - { service: a.B, upstream: secret-token, metadata: { request: [authorization, token] } }
server: { workers: "§{WORKERS}" }
`.replaceAll("§", "$");
  const { config, secrets } = workspace.load(yaml, { PORT: "80", TARGET: "localhost:2", WORKERS: "1" });
  assert.ok(config !== undefined);
  const shown = JSON.parse(JSON.stringify(redact(config, secrets)));
  assert.deepEqual(shown.listeners, {
    http: {
      address: "[redacted]",
      engine: "fastify",
      tls: { cert: workspace.path("cert.pem"), key: "[redacted]" },
    },
    admin: { address: "127.0.0.1:9090" },
  });
  const upstream = shown.upstreams["secret-token"];
  assert.deepEqual(upstream.targets, ["localhost:1", "[redacted]"]);
  assert.deepEqual(upstream.tls, { server_name: "[redacted]" });
  assert.equal(upstream.timeout, 5000);
  assert.deepEqual(shown.services[0].metadata.request, ["authorization", "token"]);
  assert.equal(shown.server.workers, "[redacted]");
  assert.equal(httpListenersOf(config.listeners.http)[0]?.listener.address, "127.0.0.1:80");
});

test("the credentials in a URL are redacted, the rest of it is not", () => {
  const yaml = `
listeners: { http: { address: ":0" } }
rate_limits:
  shared: { requests: 1, store: redis, redis: "redis://app:hunter2@redis.internal:6379/1" }
  odd: { requests: 1, store: redis, redis: "rediss://:p@ss@redis.internal" }
`;
  const { config, secrets } = workspace.load(yaml);
  assert.ok(config !== undefined);
  const shown = JSON.stringify(redact(config, secrets));
  assert.match(shown, /"key":"ip"/);
  assert.match(shown, /redis:\/\/\[redacted\]@redis\.internal:6379\/1/);
  assert.match(shown, /rediss:\/\/\[redacted\]@redis\.internal"/);
  assert.doesNotMatch(shown, /hunter2|p@ss/);
});

test("each server of a list loses its credentials, and URLs their queries", () => {
  const yaml = `
listeners: { http: { address: ":0" } }
auth: { providers: { users: { type: jwt, issuer: "https://id.example.com/?key=s3cret-1", jwks: "https://id.example.com/jwks?sig=s3cret-3#s3cret-4", algorithms: [RS256] } } }
upstreams: { legacy: { protocol: http, targets: ["http://a.internal:80"] } }
realtime:
  path: /ws
  broker: { type: nats, url: "nats://a:s3cret-5@n1:4222, nats://b:s3cret-6@n2:4222,tls://s3cret-7@n3" }
`;
  const { config, secrets } = workspace.load(yaml);
  assert.ok(config !== undefined);
  const shown = JSON.stringify(redact(config, secrets));
  assert.doesNotMatch(shown, /s3cret/);
  for (const kept of ["n1:4222", "n2:4222", "n3", "id.example.com/jwks", "http://a.internal:80"])
    assert.ok(shown.includes(kept), kept);
});

test("the resolved configuration redacts secrets of the schema that are written in the file or are defaults", () => {
  const secret = "s3cret-of-at-least-thirty-two-letters";
  const yaml = `
listeners: { http: { address: ":0" } }
auth:
  providers:
    users: { type: jwt, secret: "${secret}", algorithms: [HS256], cookie: session }
    others: { type: jwt, secret: "§{ABSENT:-${secret}}", algorithms: [HS256], header: token }
livekit:
  url: wss://livekit.example.com
  api_key: s3cret-key
  api_secret: ${secret}
  grants: { participant: { roomJoin: true } }
  routes: [{ post: /token, room: body.room, identity: body.identity, grant: participant, auth: [users] }]
realtime: { path: /ws, api: { address: "127.0.0.1:0", token: s3cret-token } }
http: { cors: { origins: [https://app.example.com], credentials: true } }
`.replaceAll("§", "$");
  const { config, secrets } = workspace.load(yaml, {});
  assert.ok(config !== undefined);
  const shown = redact(config, secrets) as typeof config;
  assert.doesNotMatch(JSON.stringify(shown), /s3cret/);
  assert.equal(shown.http.cors?.credentials, true);
  const { users, others } = shown.auth.providers as Record<string, Record<string, unknown>>;
  assert.deepEqual([users?.cookie, users?.secret], ["session", "[redacted]"]);
  assert.deepEqual([others?.header, others?.secret], ["token", "[redacted]"]);
});

test("no message repeats a secret or the credentials of a URL", () => {
  const problems = workspace.problems(`
listeners: { http: { address: ":0" } }
auth: { providers: { users: { type: jwt, secret: 83746, algorithms: [HS256] } } }
upstreams:
  legacy: { protocol: http, targets: ["http://u:s3cret@a.internal/path?key=s3cret"] }
  chat: { targets: ["http://u:s3cret@a.internal:80"] }
`);
  assert.ok(problems.length >= 3, problems.join("\n"));
  assert.doesNotMatch(problems.join("\n"), /s3cret|83746/);
  assert.match(problems.join("\n"), /expected a string.*found a value that is not shown/);
});
