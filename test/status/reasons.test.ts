import assert from "node:assert/strict";
import { test } from "node:test";
import { codeName } from "../../src/status/code.js";
import { reasons } from "../../src/status/reasons.js";

test("every reason fits ErrorInfo.reason and says in one sentence what it means", () => {
  for (const [reason, entry] of Object.entries(reasons)) {
    assert.match(reason, /^[A-Z][A-Z0-9_]{0,61}[A-Z0-9]$/);
    assert.match(entry.doc, /^[A-Z].*[^.]\.$/, reason);
  }
});

test("every reason is an HTTP error with a gRPC code that gRPC defines and is not OK", () => {
  for (const [reason, entry] of Object.entries(reasons)) {
    assert.ok(entry.httpStatus >= 400 && entry.httpStatus <= 599, reason);
    assert.doesNotMatch(codeName(entry.code), /^OK$|^CODE_/, reason);
  }
});
