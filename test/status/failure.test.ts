import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Code } from "../../src/status/code.js";
import { GatewayError, gatewayFailure, upstreamFailure } from "../../src/status/failure.js";
import { any, decode, encode } from "./reference.js";

test("a failure of the gateway takes status and code from the table of reasons", () => {
  assert.deepEqual(gatewayFailure("ROUTE_NOT_FOUND", "no route has this path"), {
    origin: "gateway",
    httpStatus: 404,
    code: Code.NOT_FOUND,
    reason: "ROUTE_NOT_FOUND",
    message: "no route has this path",
    details: [],
    retryAfter: undefined,
    headers: [],
    allow: undefined,
  });
});

test("a failure of the gateway names its fields in one BadRequest", () => {
  const violation = { field: "message.author.login", description: "expected a string, found a number" };
  const failure = gatewayFailure("INVALID_VALUE", "message.author.login: expected a string", [violation]);
  assert.equal(failure.details.length, 1);
  assert.deepEqual(decode("google.rpc.BadRequest", failure.details[0]!.value), {
    fieldViolations: [violation],
  });
});

test("a failure of the gateway carries Allow and Retry-After where they are given", () => {
  assert.deepEqual(gatewayFailure("METHOD_NOT_ALLOWED", "m", [], { allow: ["GET", "HEAD"] }).allow, [
    "GET",
    "HEAD",
  ]);
  assert.equal(gatewayFailure("SHUTTING_DOWN", "m", [], { retryAfter: 5 }).retryAfter, 5);
});

test("a backend that sends only a code and a message is reported by the name of the code", () => {
  assert.deepEqual(upstreamFailure(Code.ALREADY_EXISTS, "login taken", undefined), {
    origin: "upstream",
    httpStatus: 409,
    code: 6,
    reason: "ALREADY_EXISTS",
    message: "login taken",
    details: [],
    retryAfter: undefined,
    headers: [],
    allow: undefined,
  });
});

test("codes above 16 survive, with the status that the caller gives them, else 500", () => {
  const plain = upstreamFailure(1501, "token expired", undefined);
  assert.deepEqual([plain.code, plain.httpStatus, plain.reason], [1501, 500, "CODE_1501"]);
  const mapped = upstreamFailure(1501, "token expired", undefined, code => (code === 1501 ? 401 : 500));
  assert.deepEqual([mapped.code, mapped.httpStatus, mapped.reason], [1501, 401, "CODE_1501"]);
  assert.equal(upstreamFailure(5, "", undefined, () => 418).httpStatus, 404, "gRPC's own codes are fixed");
});

test("reason and Retry-After come from the details, and every detail is kept in order", () => {
  const details = [
    any("google.rpc.Help", { links: [{ url: "https://example.com" }] }),
    any("google.rpc.RetryInfo", { retryDelay: { seconds: 1, nanos: 1 } }),
    any("google.rpc.ErrorInfo", { reason: "QUOTA", domain: "chat" }),
    { type_url: "type.googleapis.com/not.known", value: Uint8Array.of(0xff) },
  ];
  const failure = upstreamFailure(8, "slow down", encode("google.rpc.Status", { code: 8, details }));
  assert.equal(failure.reason, "QUOTA");
  assert.equal(failure.retryAfter, 2);
  assert.deepEqual(
    failure.details.map(detail => detail.typeUrl),
    details.map(detail => detail.type_url),
  );
});

test("the header wins over the details where code or message differ", () => {
  const bin = encode("google.rpc.Status", { code: 13, message: "inner" });
  const failure = upstreamFailure(Code.NOT_FOUND, "outer", bin);
  assert.deepEqual([failure.code, failure.httpStatus, failure.message], [5, 404, "outer"]);
});

test("the message of the details is used where the header has none", () => {
  assert.equal(upstreamFailure(5, "", encode("google.rpc.Status", { message: "inner" })).message, "inner");
});

test("malformed details leave code and message as they came", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 100 }), bytes => {
      const failure = upstreamFailure(5, "message", bytes);
      assert.deepEqual([failure.code, failure.message], [5, "message"]);
    }),
    { numRuns: 1000 },
  );
});

test("a malformed ErrorInfo or RetryInfo is kept as a detail and otherwise ignored", () => {
  const broken = Uint8Array.of(0x0a, 0x7f);
  const details = ["google.rpc.ErrorInfo", "google.rpc.RetryInfo"].map(type => ({
    type_url: `type.googleapis.com/${type}`,
    value: broken,
  }));
  const failure = upstreamFailure(5, "m", encode("google.rpc.Status", { details }));
  assert.deepEqual([failure.reason, failure.retryAfter, failure.details.length], ["NOT_FOUND", undefined, 2]);
});

test("a GatewayError carries its failure", () => {
  const failure = gatewayFailure("INTERNAL", "unforeseen");
  const error = new GatewayError(failure);
  assert.equal(error.failure, failure);
  assert.equal(error.message, "unforeseen");
});
