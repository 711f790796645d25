import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { openimStatus } from "../../src/dialects/openim/codes.js";
import { openimDialect, openimSuccess } from "../../src/dialects/openim/dialect.js";
import { type Failure, gatewayFailure, upstreamFailure } from "../../src/status/failure.js";
import { encode } from "../status/reference.js";

function rendered(failure: Failure): { readonly status: number; readonly envelope: unknown } {
  const { status, contentType, body } = openimDialect.renderFailure(failure, [], {
    requestId: "r",
    path: "/",
  });
  assert.equal(contentType, "application/json");
  return { status, envelope: JSON.parse(body) };
}

test("business codes have the HTTP status that says the same, unknown ones 500", () => {
  const expected: Readonly<Record<number, readonly number[]>> = {
    400: [1001, 1203, 1301, 1401, 1602, 1701, 10001, 10014, 20006, 20009],
    401: [1501, 1502, 1503, 1504, 1505, 1506, 1507, 20001, 20101],
    403: [1002, 1302, 1402, 1403, 1520, 20012, 20013],
    404: [1004, 1101, 1201, 20002, 20011],
    409: [1003, 1102, 1202, 1304, 20003, 20004, 20014],
    429: [1601, 20005, 20008],
    500: [17, 99, 500, 1000, 1603, 7777, 80000, 90002, 4294967295],
  };
  for (const [status, codes] of Object.entries(expected)) {
    for (const code of codes) {
      assert.equal(openimStatus(code), Number(status), String(code));
      const failure = upstreamFailure(code, "", undefined, openimStatus);
      assert.deepEqual([failure.httpStatus, failure.code], [Number(status), code]);
    }
  }
});

test("codes that gRPC defines keep their own status", () => {
  assert.equal(upstreamFailure(5, "", undefined).httpStatus, 404);
  assert.equal(upstreamFailure(16, "", undefined).httpStatus, 401);
});

test("a success is an envelope, without data where there is none", () => {
  assert.equal(openimSuccess('{"a":1}'), '{"errCode":0,"errMsg":"","errDlt":"","data":{"a":1}}');
  for (const nothing of [undefined, "null"])
    assert.equal(openimSuccess(nothing), '{"errCode":0,"errMsg":"","errDlt":""}');
});

test("a business error keeps code and message, and is HTTP 200", () => {
  assert.deepEqual(rendered(upstreamFailure(1501, "TokenExpiredError", undefined)), {
    status: 200,
    envelope: { errCode: 1501, errMsg: "TokenExpiredError", errDlt: "" },
  });
});

test("errDlt is the backend's warp joined by -> and its cause", () => {
  // openim.protobuf.ErrorInfo: cause = 4, warp = 5.
  const value = Buffer.concat([
    field(1, "chat.go"),
    Buffer.from([2 << 3, 7]),
    field(4, ": no rows"),
    field(5, "find user"),
    field(5, "login"),
  ]);
  const details = [{ type_url: "type.googleapis.com/openim.protobuf.ErrorInfo", value }];
  const failure = upstreamFailure(
    20002,
    "AccountNotFound",
    encode("google.rpc.Status", { code: 20002, details }),
  );
  assert.deepEqual(rendered(failure).envelope, {
    errCode: 20002,
    errMsg: "AccountNotFound",
    errDlt: "find user->login: no rows",
  });
});

test("a malformed ErrorInfo leaves errDlt empty", () => {
  const details = [{ type_url: "x/openim.protobuf.ErrorInfo", value: Buffer.from([0x22, 0x7f]) }];
  const failure = upstreamFailure(1001, "ArgsError", encode("google.rpc.Status", { details }));
  assert.deepEqual(rendered(failure).envelope, { errCode: 1001, errMsg: "ArgsError", errDlt: "" });
});

test("a refusal by the gateway has OpenIM's code and name, and the cause in errDlt", () => {
  const cases: readonly (readonly [Failure, number, string])[] = [
    [gatewayFailure("TOKEN_EXPIRED", "why"), 1501, "TokenExpiredError"],
    [gatewayFailure("CREDENTIALS_INVALID", "why"), 1502, "TokenInvalidError"],
    [gatewayFailure("CREDENTIALS_MISSING", "why"), 1507, "TokenNotExistError"],
    [gatewayFailure("POLICY_DENIED", "why"), 1002, "NoPermissionError"],
    [gatewayFailure("MISSING_HEADER", "why"), 1001, "ArgsError"],
    [gatewayFailure("VALIDATION_FAILED", "why"), 1001, "ArgsError"],
    [gatewayFailure("BODY_TOO_LARGE", "why"), 1001, "ArgsError"],
    [gatewayFailure("UPSTREAM_UNAVAILABLE", "why"), 500, "ServerInternalError"],
    [gatewayFailure("UPSTREAM_TIMEOUT", "why"), 500, "ServerInternalError"],
  ];
  for (const [failure, errCode, errMsg] of cases) {
    assert.deepEqual(rendered(failure), { status: 200, envelope: { errCode, errMsg, errDlt: "why" } });
  }
});

test("codes of gRPC become OpenIM's, with the backend's message", () => {
  const cases = [
    [3, 1001],
    [5, 1004],
    [6, 1003],
    [7, 1002],
    [8, 429],
    [13, 500],
    [14, 500],
    [16, 1505],
  ] as const;
  for (const [code, errCode] of cases) {
    assert.deepEqual(rendered(upstreamFailure(code, "from the backend", undefined)), {
      status: 200,
      envelope: { errCode, errMsg: "from the backend", errDlt: "" },
    });
  }
});

test("the HTTP status shows two failures only: the limiter's and the gateway's own", () => {
  assert.equal(rendered(gatewayFailure("RATE_LIMITED", "")).status, 429);
  assert.equal(rendered(gatewayFailure("INTERNAL", "")).status, 500);
  assert.equal(rendered(upstreamFailure(8, "", undefined)).status, 200);
  assert.equal(rendered(upstreamFailure(13, "", undefined)).status, 200);
});

test("an envelope is valid JSON whatever a backend says", () => {
  fc.assert(
    fc.property(fc.nat(), fc.string({ unit: "binary" }), fc.uint8Array(), (code, message, details) => {
      const { envelope } = rendered(upstreamFailure(code + 1, message, details));
      assert.notEqual((envelope as { errCode: number }).errCode, 0);
    }),
    { numRuns: 300 },
  );
});

function field(number: number, text: string): Buffer {
  return Buffer.concat([Buffer.from([(number << 3) | 2, text.length]), Buffer.from(text)]);
}
