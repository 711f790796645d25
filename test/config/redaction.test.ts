import assert from "node:assert/strict";
import { test } from "node:test";
import { redact } from "../../src/config/redaction.js";
import { Workspace } from "./workspace.js";

const workspace = new Workspace({ "cert.pem": "", "key.pem": "", name: "chat.internal\n" });

test("what came from the environment or a file, and keys, are redacted; defaults and the rest are not", () => {
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
  assert.equal(config.listeners.http.address, "127.0.0.1:80");
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
