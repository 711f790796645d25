import assert from "node:assert/strict";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { after, test } from "node:test";
import { dialectNames } from "../../src/dialects/dialects.js";
import { type Answer, echo, type RawHandler, send, startBackend, startTestGateway } from "./harness.js";

// Every content type × every dialect × every kind of route; the folder runs on every engine.

const proto = (dialect: string): string => `
syntax = "proto3";
package ${packageOf(dialect)};
import "google/api/annotations.proto";
import "google/api/httpbody.proto";
service Matrix {
  rpc Whole(Item) returns (Item) { option (google.api.http) = { post: "/whole" body: "*" }; }
  rpc Field(Item) returns (Item) { option (google.api.http) = { post: "/field/{name}" body: "child" }; }
  rpc Raw(google.api.HttpBody) returns (google.api.HttpBody) { option (google.api.http) = { post: "/raw" body: "*" }; }
  rpc Missing(Item) returns (Item) { option (google.api.http) = { post: "/missing" body: "*" }; }
  rpc Business(Item) returns (Item) { option (google.api.http) = { post: "/business" body: "*" }; }
}
message Item { string name = 1; Item child = 2; }
`;

function packageOf(dialect: string): string {
  return `matrix.as_${dialect.replace("-", "_")}`;
}

const refuseWith =
  (code: number, details: string): RawHandler =>
  (_call, reply) =>
    reply({ code, details });

const handlers = Object.fromEntries(
  dialectNames.flatMap(dialect => [
    ...["Whole", "Field", "Raw"].map(name => [`/${packageOf(dialect)}.Matrix/${name}`, echo] as const),
    [`/${packageOf(dialect)}.Matrix/Missing`, refuseWith(5, "no such item")] as const,
    [`/${packageOf(dialect)}.Matrix/Business`, refuseWith(1004, "no such record")] as const,
  ]),
);
const backend = await startBackend(handlers);
const legacy = createServer((request, response) => {
  response.setHeader("content-type", request.headers["content-type"] ?? "none/none");
  request.pipe(response);
});
await new Promise<void>(resolve => legacy.listen(0, "127.0.0.1", resolve));

const gateway = await startTestGateway(
  `
descriptors: [{ protos: ./protos }]
upstreams:
  rpc: { targets: ["127.0.0.1:${backend.port}"], timeout: 30s }
  legacy: { protocol: http, targets: ["http://127.0.0.1:${(legacy.address() as AddressInfo).port}"] }
services:
${dialectNames.map(name => `  - { service: ${packageOf(name)}.Matrix, upstream: rpc, prefix: /${name}, errors: ${name} }`).join("\n")}
http: { proxy: [{ prefix: /legacy, upstream: legacy }] }
auth: { default: none }
livekit:
  url: wss://livekit.example.com
  api_key: APIkey
  api_secret: a secret of at least thirty-two characters
  grants: { participant: { roomJoin: true } }
  routes:
${dialectNames.map(name => `    - { post: /token/${name}, room: body.room, identity: body.identity, grant: participant, allow_other_identities: true, errors: ${name} }`).join("\n")}
`,
  Object.fromEntries(dialectNames.map(name => [`protos/${packageOf(name)}.proto`, proto(name)])),
);

after(async () => {
  await gateway.close();
  await backend.close();
  legacy.close();
});

/** What clients say of a body that holds JSON, and whether a route that reads JSON takes it. */
const contentTypes: readonly { readonly type: string | undefined; readonly json: boolean }[] = [
  { type: "application/json", json: true },
  { type: "application/json; charset=utf-8", json: true },
  { type: "Application/JSON;charset=UTF-8", json: true },
  { type: "application/vnd.shop+json", json: true },
  { type: undefined, json: true },
  { type: "application/json; charset=latin1", json: false },
  { type: "text/plain", json: false },
  { type: "application/x-www-form-urlencoded", json: false },
  { type: "application/octet-stream", json: false },
  { type: "application/grpc", json: false },
  { type: "json", json: false },
];

interface Expected {
  readonly httpStatus: number;
  readonly code: number;
  readonly reason: string;
  readonly origin: "gateway" | "upstream";
  readonly openimCode: number;
}

/** The dialect's own form of a failure, status and media type included. */
function assertFailure(dialect: string, answer: Answer, expected: Expected): void {
  const { json } = answer;
  const openim = dialect === "openim";
  assert.equal(answer.status, openim ? 200 : expected.httpStatus);
  const type = dialect === "problem" ? "application/problem+json" : "application/json";
  assert.equal(answer.headers.get("content-type"), type);
  switch (dialect) {
    case "status":
      assert.deepEqual(
        [Object.keys(json), json.code, json.reason],
        [["code", "reason", "message", "details"], expected.code, expected.reason],
      );
      return;
    case "google":
      assert.deepEqual([Object.keys(json), json.error.code], [["error"], expected.httpStatus]);
      return;
    case "problem":
      assert.deepEqual(
        [json.type, json.status, json.reason],
        ["about:blank", expected.httpStatus, expected.reason],
      );
      return;
    case "openim":
      assert.deepEqual(
        [Object.keys(json), json.errCode],
        [["errCode", "errMsg", "errDlt"], expected.openimCode],
      );
      return;
    case "chat-api":
      assert.deepEqual([Object.keys(json), typeof json.error], [["error"], "string"]);
      return;
    default:
      assert.fail(`the matrix does not know the dialect ${dialect}`);
  }
}

function assertSuccess(dialect: string, answer: Answer, value: unknown): void {
  assert.equal(answer.status, 200, answer.text);
  assert.equal(answer.headers.get("content-type"), "application/json");
  assert.deepEqual(
    answer.json,
    dialect === "openim" ? { errCode: 0, errMsg: "", errDlt: "", data: value } : value,
  );
}

function post(path: string, type: string | undefined, body: string): Promise<Answer> {
  // fetch gives a text body a type of its own, bytes none.
  return send(gateway.url + path, {
    method: "POST",
    body: Buffer.from(body),
    headers: { operationid: "matrix", ...(type !== undefined && { "content-type": type }) },
  });
}

const unsupported: Expected = {
  httpStatus: 415,
  code: 3,
  reason: "UNSUPPORTED_MEDIA_TYPE",
  origin: "gateway",
  openimCode: 1001,
};

for (const dialect of dialectNames) {
  for (const { type, json } of contentTypes) {
    const what = type === undefined ? "without content-type" : `of type ${type}`;
    const verdict = json ? "is read" : "gets 415";

    test(`a body ${what} ${verdict} on a route with body "*" and errors: ${dialect}`, async () => {
      const answer = await post(`/${dialect}/whole`, type, '{"name":"a"}');
      if (json) assertSuccess(dialect, answer, { name: "a" });
      else assertFailure(dialect, answer, unsupported);
    });

    test(`a body ${what} ${verdict} on a route whose body is a field and errors: ${dialect}`, async () => {
      const answer = await post(`/${dialect}/field/x`, type, '{"name":"a"}');
      if (json) assertSuccess(dialect, answer, { name: "x", child: { name: "a" } });
      else assertFailure(dialect, answer, unsupported);
    });

    test(`a body ${what} ${verdict} on a route of the gateway itself and errors: ${dialect}`, async () => {
      const answer = await post(`/token/${dialect}`, type, '{"room":"r","identity":"i"}');
      if (!json) {
        assertFailure(dialect, answer, unsupported);
        return;
      }
      const token = dialect === "openim" ? answer.json.data : answer.json;
      assert.equal(answer.status, 200);
      assert.equal(typeof token.token, "string");
    });

    test(`a body ${what} passes as it is through HttpBody and errors: ${dialect}`, async () => {
      const answer = await post(`/${dialect}/raw`, type, '{"name": "a"}');
      assert.equal(answer.status, 200);
      assert.equal(answer.text, '{"name": "a"}');
    });
  }

  test(`a backend's NOT_FOUND is 404 in the form of errors: ${dialect}`, async () => {
    assertFailure(dialect, await post(`/${dialect}/missing`, "application/json", "{}"), {
      httpStatus: 404,
      code: 5,
      reason: "NOT_FOUND",
      origin: "upstream",
      openimCode: 1004,
    });
  });

  test(`a backend's own code 1004 has a meaning in the form of errors: ${dialect} only if that is openim`, async () => {
    assertFailure(dialect, await post(`/${dialect}/business`, "application/json", "{}"), {
      httpStatus: 500,
      code: 1004,
      reason: "CODE_1004",
      origin: "upstream",
      openimCode: 1004,
    });
  });

  test(`an unknown field is 400 in the form of errors: ${dialect}`, async () => {
    assertFailure(dialect, await post(`/${dialect}/whole`, "application/json", '{"nam":"a"}'), {
      httpStatus: 400,
      code: 3,
      reason: "UNKNOWN_FIELD",
      origin: "gateway",
      openimCode: 1001,
    });
  });
}

for (const { type } of contentTypes) {
  const what = type === undefined ? "without content-type" : `of type ${type}`;
  test(`a body ${what} passes as it is through a prefix`, async () => {
    const answer = await post("/legacy/x", type, '{"a": 1}');
    assert.equal(answer.status, 200);
    assert.equal(answer.text, '{"a": 1}');
    assert.equal(answer.headers.get("content-type"), type ?? "none/none");
  });
}
