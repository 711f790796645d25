import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { redact } from "../../../src/config/redaction.js";
import { loadConfig } from "../../../src/gateway/config.js";

function load(realtime: string) {
  const folder = mkdtempSync(join(tmpdir(), "protogate-api-"));
  const file = join(folder, "gateway.yaml");
  writeFileSync(
    file,
    `listeners: { http: { address: 127.0.0.1:8080 }, realtime: { address: 127.0.0.1:8081 } }\nrealtime: ${realtime}\n`,
  );
  try {
    return loadConfig(file, {});
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function problems(realtime: string): string[] {
  return load(realtime).diagnostics.map(({ path, message }) => `${path}: ${message}`);
}

test("the rooms API on loopback needs no token, elsewhere it does", () => {
  assert.deepEqual(problems("{ api: { address: 127.0.0.1:9091 } }"), []);
  assert.deepEqual(problems('{ api: { address: "[::1]:9091" } }'), []);
  assert.deepEqual(problems("{ api: { address: 0.0.0.0:9091, token: abc } }"), []);
  assert.deepEqual(problems("{ api: { address: 0.0.0.0:9091 } }"), [
    'realtime.api.address: an address that others reach needs a token; expected one on 127.0.0.1, found "0.0.0.0:9091"',
  ]);
});

test("the rooms API needs a port of its own", () => {
  assert.deepEqual(problems("{ api: { address: 127.0.0.1:8081 } }"), [
    'realtime.api.address: listeners.realtime has that port already; expected another, found "127.0.0.1:8081"',
  ]);
});

test("a prefix that keys and subjects cannot begin with is refused", () => {
  assert.deepEqual(problems('{ broker: { type: nats, url: "nats://localhost", prefix: a.b } }'), [
    'realtime.broker.prefix: expected letters, digits, _ and -, found "a.b"',
  ]);
});

test("the token and the broker's password are not shown", () => {
  const { config, secrets } = load(
    '{ api: { address: 127.0.0.1:9091, token: abc123 }, broker: { type: redis, url: "redis://u:pw123@localhost:6379" } }',
  );
  assert.ok(config !== undefined);
  const shown = JSON.stringify(redact(config, secrets));
  assert.ok(!shown.includes("abc123") && !shown.includes("pw123"), shown);
});
