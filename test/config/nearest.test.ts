import assert from "node:assert/strict";
import { test } from "node:test";
import { nearest } from "../../src/config/nearest.js";

const names = ["timeout", "targets", "tls", "chat"];

for (const [written, meant] of [
  ["timeuot", "timeout"],
  ["Timeout", "timeout"],
  ["target", "targets"],
  ["chta", "chat"],
  ["tsl", "tls"],
  ["t", undefined],
  ["keepalive", undefined],
  ["", undefined],
  ["x".repeat(100_000), undefined],
] as const) {
  test(`the nearest name to "${written.slice(0, 20)}" is ${meant ?? "none"}`, () => {
    assert.equal(nearest(written, names), meant);
  });
}
