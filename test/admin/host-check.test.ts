import assert from "node:assert/strict";
import { test } from "node:test";
import { hostCheck } from "../../src/admin/server.js";

test("a loopback listener in any spelling serves local Host headers and its own name alone", () => {
  for (const bound of ["localhost", "LocalHost", "127.0.0.1", "127.0.0.53", "::1", "::ffff:127.0.0.1"]) {
    const accepts = hostCheck(bound);
    assert.ok(!accepts("evil.example"), bound);
    assert.ok(accepts(bound.includes(":") ? `[${bound}]:9090` : `${bound}:9090`), bound);
    assert.ok(accepts("localhost"), bound);
  }
});

test("an address that others can reach is not guarded", () => {
  for (const bound of ["0.0.0.0", "::", "10.0.0.7", "gateway.internal", "127.evil.example"])
    assert.ok(hostCheck(bound)("anything"), bound);
});

test("a malformed Host header is refused", () => {
  const accepts = hostCheck("127.0.0.1");
  for (const header of ["", "localhost:x", "localhost:1:2", "[::1", "localhost@evil.example", "::1"])
    assert.ok(!accepts(header), header);
});
