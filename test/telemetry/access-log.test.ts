import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { test } from "node:test";
import { type AccessEntry, AccessLog } from "../../src/telemetry/access-log.js";
import type { LogConfig } from "../../src/telemetry/config.js";
import { createLogger, type LogLevel } from "../../src/telemetry/logger.js";
import { Workspace } from "../config/workspace.js";

const success: AccessEntry = {
  requestId: "r-1",
  method: "GET",
  path: "/v1/messages/1",
  route: "/v1/messages/{message_id}",
  rpc: "/chat.v1.Messages/Get",
  upstream: "chat",
  status: 200,
  code: 0,
  seconds: 0.0123456789,
  upstreamSeconds: 0.01,
  requestBytes: 0,
  responseBytes: 42,
  reason: undefined,
  detail: undefined,
};

const config: LogConfig = { level: "info", subject: "none", upstream_address: false };

function written(use: (log: AccessLog) => void, level: LogLevel = "info"): Record<string, unknown>[] {
  const lines: string[] = [];
  use(new AccessLog(createLogger(level, { write: line => lines.push(line) }), { ...config, level }));
  return lines.map(line => JSON.parse(line));
}

function linesOf(level: LogLevel, ...entries: AccessEntry[]): Record<string, unknown>[] {
  return written(log => {
    for (const entry of entries) log.write(entry);
  }, level);
}

test("an access-log entry is one JSON line with outcome, route and durations", () => {
  const [line] = linesOf("info", success);
  const { time, ...rest } = line!;
  assert.match(String(time), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
  assert.deepEqual(rest, {
    level: "info",
    request_id: "r-1",
    method: "GET",
    route: "/v1/messages/{message_id}",
    path: "/v1/messages/1",
    status: 200,
    grpc_code: "OK",
    duration_ms: 12.346,
    rpc: "/chat.v1.Messages/Get",
    upstream: "chat",
    upstream_ms: 10,
    bytes_in: 0,
    bytes_out: 42,
  });
});

test("an access-log entry without a route has <none> and the reason", () => {
  const [line] = linesOf("info", {
    ...success,
    route: undefined,
    rpc: undefined,
    upstream: undefined,
    upstreamSeconds: undefined,
    status: 404,
    code: 5,
    reason: "ROUTE_NOT_FOUND",
  });
  assert.equal(line?.route, "<none>");
  assert.equal(line?.reason, "ROUTE_NOT_FOUND");
  assert.equal(line?.level, "info");
  assert.ok(!("upstream" in line!) && !("upstream_ms" in line!));
});

test("an access-log entry of a server error is a warning with its detail, and codes above 16 keep their number", () => {
  const [line] = linesOf("warn", success, {
    ...success,
    status: 500,
    code: 1501,
    detail: "connection reset",
  });
  assert.equal(line?.level, "warn");
  assert.equal(line?.grpc_code, "CODE_1501");
  assert.equal(line?.detail, "connection reset");
});

test("access-log lines below the level are not written", () => {
  assert.deepEqual(linesOf("warn", success), []);
  assert.deepEqual(linesOf("error", { ...success, status: 503 }), []);
  const takes = (level: LogLevel) => {
    const log = new AccessLog(createLogger(level, { write: () => {} }), config);
    return [log.takes(200), log.takes(503)];
  };
  assert.deepEqual(takes("info"), [true, true]);
  assert.deepEqual(takes("warn"), [false, true]);
  assert.deepEqual(takes("error"), [false, false]);
  assert.deepEqual(takes("silent"), [false, false]);
});

test("long paths are cut in the access log, and line breaks in them cannot forge a line", () => {
  const [line, ...more] = linesOf("info", { ...success, path: `/\n{"level":"error"}${"x".repeat(5000)}` });
  assert.equal(String(line?.path).length, 2048);
  assert.deepEqual(more, []);
});

test("the access log has no subject unless configured; plain ones are cut, hashed ones are an HMAC that others can compute", () => {
  const key = "0123456789abcdef";
  const identity = { provider: "users", subject: "alice" };
  const entry = { ...success, identity };
  const hash = createHmac("sha256", key).update("alice").digest("hex").slice(0, 32);
  const lines = written(log => {
    log.write(entry);
    log.use({ ...config, subject: "plain" });
    log.write(entry);
    log.write({ ...success, identity: { provider: "users", subject: "x".repeat(1000) } });
    log.use({ ...config, subject: "hash", hash_key: key });
    log.write(entry);
    log.write(entry);
    log.use({ ...config, subject: "hash", hash_key: `${key}2` });
    log.write(entry);
    log.write(success);
    log.use(config);
    log.write(entry);
  });
  const [, , cut, , , other] = lines;
  assert.equal(String(cut?.subject).length, 256);
  assert.match(String(other?.subject), /^[0-9a-f]{32}$/);
  assert.notEqual(other?.subject, hash);
  assert.deepEqual(
    lines.map(({ provider, subject }) => [provider, subject]),
    [
      [undefined, undefined],
      ["users", "alice"],
      ["users", cut?.subject],
      ["users", hash],
      ["users", hash],
      ["users", other?.subject],
      [undefined, undefined],
      [undefined, undefined],
    ],
  );
});

test("telemetry.log says what a hash of subjects needs", () => {
  const problems = (log: string): string =>
    new Workspace().problems(`listeners: { http: { address: ":0" } }\ntelemetry: { log: ${log} }`).join("\n");
  assert.equal(problems("{ subject: hash, hash_key: 0123456789abcdef, upstream_address: true }"), "");
  assert.match(
    problems("{ subject: hash }"),
    /expected "hash_key" beside "hash", found none \(at telemetry\.log\.subject\)/,
  );
  assert.match(
    problems("{ subject: hash, hash_key: short }"),
    /expected 16 characters or more, found 5 \(at telemetry\.log\.hash_key\)/,
  );
  assert.match(problems("{ subject: all }"), /telemetry\.log\.subject/);
});
