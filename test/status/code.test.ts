import assert from "node:assert/strict";
import { test } from "node:test";
import { Code, codeName, httpStatus } from "../../src/status/code.js";

test("every gRPC code has the HTTP status of the design", () => {
  const expected = {
    OK: 200,
    INVALID_ARGUMENT: 400,
    FAILED_PRECONDITION: 400,
    OUT_OF_RANGE: 400,
    UNAUTHENTICATED: 401,
    PERMISSION_DENIED: 403,
    NOT_FOUND: 404,
    ALREADY_EXISTS: 409,
    ABORTED: 409,
    RESOURCE_EXHAUSTED: 429,
    CANCELLED: 499,
    UNKNOWN: 500,
    INTERNAL: 500,
    DATA_LOSS: 500,
    UNIMPLEMENTED: 501,
    UNAVAILABLE: 503,
    DEADLINE_EXCEEDED: 504,
  };
  const actual = Object.fromEntries(Object.entries(Code).map(([name, code]) => [name, httpStatus(code)]));
  assert.deepEqual(actual, { ...expected });
});

test("a code has its name, and codes that gRPC does not define are named by number and are HTTP 500", () => {
  for (const [name, code] of Object.entries(Code)) assert.equal(codeName(code), name);
  assert.equal(codeName(1501), "CODE_1501");
  assert.equal(httpStatus(1501), 500);
});
