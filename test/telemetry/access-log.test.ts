import assert from "node:assert/strict";
import { test } from "node:test";
import { type AccessEntry, AccessLog } from "../../src/telemetry/access-log.js";
import { createLogger, type LogLevel } from "../../src/telemetry/logger.js";

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

function linesOf(level: LogLevel, ...entries: AccessEntry[]): Record<string, unknown>[] {
  const lines: string[] = [];
  const log = new AccessLog(createLogger(level, { write: line => lines.push(line) }));
  for (const entry of entries) log.write(entry);
  return lines.map(line => JSON.parse(line));
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
    const log = new AccessLog(createLogger(level, { write: () => {} }));
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
