import assert from "node:assert/strict";
import { test } from "node:test";
import { requestIdOf } from "../../src/telemetry/ids.js";

test("a request id of 1 to 128 visible ASCII characters is kept", () => {
  for (const id of ["a", "req-1", "!~", "x".repeat(128)]) assert.equal(requestIdOf(id), id);
});

test("any other request id is replaced by 128 random bits in hex", () => {
  for (const id of [undefined, "", "a b", "a, b", "x".repeat(129), "a\n", "é", "\x7f", "\0"])
    assert.match(requestIdOf(id), /^[0-9a-f]{32}$/);
});

test("generated request ids do not repeat", () => {
  const ids = new Set(Array.from({ length: 5000 }, () => requestIdOf(undefined)));
  assert.equal(ids.size, 5000);
});
