import assert from "node:assert/strict";
import { test } from "node:test";
import { securityHeaders } from "../../src/pipeline/response-headers.js";

test("replies forbid browsers to guess content types, and carry nothing else by themselves", () => {
  assert.deepEqual(securityHeaders({})(true), [["x-content-type-options", "nosniff"]]);
});

test("headers are added, replaced and left out as configured", () => {
  const headers = securityHeaders({ "X-Content-Type-Options": "", "Referrer-Policy": "no-referrer" });
  assert.deepEqual(headers(false), [["referrer-policy", "no-referrer"]]);
});

test("HSTS is sent over TLS only", () => {
  const headers = securityHeaders({ "strict-transport-security": "max-age=31536000" });
  assert.deepEqual(headers(false), [["x-content-type-options", "nosniff"]]);
  assert.deepEqual(headers(true), [
    ["x-content-type-options", "nosniff"],
    ["strict-transport-security", "max-age=31536000"],
  ]);
});
