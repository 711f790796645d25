import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { dialectNames, dialects } from "../../src/dialects/dialects.js";
import { gatewayFailure, upstreamFailure } from "../../src/status/failure.js";
import { any, encode } from "../status/reference.js";

const context = { requestId: "r-1", path: "/v1/messages/1" };
const violation = { field: "login", description: "taken" };
const badRequestJson = `{"@type":"type.googleapis.com/google.rpc.BadRequest","fieldViolations":[{"field":"login","description":"taken"}]}`;

test("status: code, reason, message and details", () => {
  const failure = gatewayFailure("INVALID_VALUE", "login is taken", [violation]);
  assert.deepEqual(dialects.status.renderFailure(failure, [badRequestJson], context), {
    status: 400,
    contentType: "application/json",
    body: `{"code":3,"reason":"INVALID_VALUE","message":"login is taken","details":[${badRequestJson}]}`,
  });
});

test("status: details are an empty list where there are none", () => {
  const { body } = dialects.status.renderFailure(upstreamFailure(5, "no such user", undefined), [], context);
  assert.equal(body, `{"code":5,"reason":"NOT_FOUND","message":"no such user","details":[]}`);
});

test("google: AIP-193 with an ErrorInfo added for what the gateway found itself", () => {
  const failure = gatewayFailure("INVALID_VALUE", "login is taken", [violation]);
  const { status, contentType, body } = dialects.google.renderFailure(failure, [badRequestJson], context);
  assert.equal(status, 400);
  assert.equal(contentType, "application/json");
  assert.deepEqual(JSON.parse(body), {
    error: {
      code: 400,
      message: "login is taken",
      status: "INVALID_ARGUMENT",
      details: [
        {
          "@type": "type.googleapis.com/google.rpc.ErrorInfo",
          reason: "INVALID_VALUE",
          domain: "protogate",
        },
        JSON.parse(badRequestJson),
      ],
    },
  });
});

test("google: the details of a backend are passed on as they are", () => {
  const details = [any("google.rpc.ErrorInfo", { reason: "FULL", domain: "chat" })];
  const failure = upstreamFailure(8, "full", encode("google.rpc.Status", { details }));
  const json = `{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"FULL","domain":"chat"}`;
  const { body } = dialects.google.renderFailure(failure, [json], context);
  assert.equal(
    body,
    `{"error":{"code":429,"message":"full","status":"RESOURCE_EXHAUSTED","details":[${json}]}}`,
  );
  const bare = dialects.google.renderFailure(upstreamFailure(5, "gone", undefined), [], context).body;
  assert.equal(bare, `{"error":{"code":404,"message":"gone","status":"NOT_FOUND","details":[]}}`);
});

test("google: status is a google.rpc.Code, also for a code that gRPC does not define", () => {
  for (const [code, status, httpStatus] of [
    [1501, "UNAUTHENTICATED", 401],
    [7777, "UNKNOWN", 500],
  ] as const) {
    const { body } = dialects.google.renderFailure(
      upstreamFailure(code, "no", undefined, () => httpStatus),
      [],
      context,
    );
    assert.equal(JSON.parse(body).error.status, status);
    assert.equal(JSON.parse(body).error.code, httpStatus);
  }
});

test("problem: RFC 9457 members and extensions", () => {
  const { status, contentType, body } = dialects.problem.renderFailure(
    gatewayFailure("INVALID_VALUE", "login is taken", [violation]),
    [badRequestJson],
    context,
  );
  assert.equal(status, 400);
  assert.equal(contentType, "application/problem+json");
  assert.deepEqual(JSON.parse(body), {
    type: "about:blank",
    title: "Bad Request",
    status: 400,
    detail: "login is taken",
    instance: "/v1/messages/1",
    code: 3,
    reason: "INVALID_VALUE",
    details: [JSON.parse(badRequestJson)],
    request_id: "r-1",
  });
});

test("problem: an empty message leaves the detail out, and 499 has a title", () => {
  const problem = JSON.parse(
    dialects.problem.renderFailure(upstreamFailure(1, "", undefined), [], context).body,
  );
  assert.equal(problem.title, "Client Closed Request");
  assert.ok(!("detail" in problem));
});

test("problem: the instance is a URI reference whatever the path holds", () => {
  const paths = [
    ["/a%2Fb", "/a%2Fb"],
    ['/a b|"<é', "/a%20b%7C%22%3C%C3%A9"],
    ["/100%", "/100%25"],
    ["//evil.example/x", "/.//evil.example/x"],
    ["/\ud800", "/%EF%BF%BD"],
  ] as const;
  for (const [path, instance] of paths) {
    const { body } = dialects.problem.renderFailure(gatewayFailure("ROUTE_NOT_FOUND", "m"), [], {
      requestId: "",
      path,
    });
    assert.equal(JSON.parse(body).instance, instance);
  }
});

test("chat-api: one message, never empty", () => {
  const { status, contentType, body } = dialects["chat-api"].renderFailure(
    upstreamFailure(3, "room_id not provided", undefined),
    [],
    context,
  );
  assert.deepEqual(
    [status, contentType, body],
    [400, "application/json", `{"error":"room_id not provided"}`],
  );
  const silent = dialects["chat-api"].renderFailure(upstreamFailure(5, "", undefined), [], context);
  assert.equal(silent.body, `{"error":"Not Found"}`);
});

test("every dialect writes valid JSON whatever text it is given", () => {
  const text = fc.string({ unit: "binary" });
  fc.assert(
    fc.property(fc.constantFrom(...dialectNames), text, text, text, (name, message, path, requestId) => {
      const failure = upstreamFailure(5, message, undefined);
      JSON.parse(dialects[name].renderFailure(failure, ["{}"], { requestId, path }).body);
    }),
    { numRuns: 500 },
  );
});
