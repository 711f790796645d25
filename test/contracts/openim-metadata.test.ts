import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { SignJWT } from "jose";
import {
  type Backend,
  echo,
  type RecordedCall,
  send,
  startBackend,
  startTestGateway,
} from "../gateway/harness.js";

const secret = "a-secret-of-more-than-thirty-two-bytes";
const proto = `
  syntax = "proto3";
  package shop;
  import "google/protobuf/empty.proto";
  import "google/api/httpbody.proto";
  message Note { string text = 1; }
  message Nothing {}
  service Notes {
    rpc Echo(Note) returns (Note);
    rpc Clear(Nothing) returns (Nothing);
    rpc Drop(Nothing) returns (google.protobuf.Empty);
    rpc Fetch(Note) returns (google.api.HttpBody);
    rpc Fail(Nothing) returns (Note);
    rpc Break(Nothing) returns (Note);
  }
`;
const yaml = (port: number): string => `
descriptors: [{ protos: ./protos }]
upstreams:
  shop: { targets: ["127.0.0.1:${port}"] }
  nowhere: { targets: ["127.0.0.1:1"] }
auth:
  providers:
    im:
      type: jwt
      secret: ${secret}
      algorithms: [HS256]
      header: token
      subject: UserID
      claims_to_metadata: { Org: x-org, Role: opusertype }
services:
  - service: shop.Notes
    upstream: shop
    errors: openim
    empty_response: 204
    metadata: { request: [operationID, opUserID, platform, connID, customHeader, x-lang] }
    auth: [im]
    methods: { Clear: { auth: none } }
http:
  rules:
    - { selector: shop.Notes.Echo, post: /echo, body: "*", additional_bindings: [{ get: /echo }, { post: /text, body: "*", response_body: text }] }
    - { selector: shop.Notes.Clear, post: /clear, body: "*" }
    - { selector: shop.Notes.Drop, post: /drop, body: "*" }
    - { selector: shop.Notes.Fetch, post: /fetch, body: "*" }
    - { selector: shop.Notes.Fail, post: /fail, body: "*" }
    - { selector: shop.Notes.Break, post: /break, body: "*" }
`;

let backend: Backend;
let gateway: Awaited<ReturnType<typeof startTestGateway>>;
before(async () => {
  const empty: typeof echo = (_call, reply) => reply(null, Buffer.alloc(0));
  backend = await startBackend({
    "/shop.Notes/Echo": echo,
    "/shop.Notes/Clear": empty,
    "/shop.Notes/Drop": empty,
    // HttpBody: content_type = 1, data = 2.
    "/shop.Notes/Fetch": (_call, reply) => reply(null, Buffer.from("\x0a\x09image/png\x12\x03png")),
    "/shop.Notes/Fail": (_call, reply) => reply({ code: 14, details: "store is down" }),
    "/shop.Notes/Break": (_call, reply) => reply(null, Buffer.from([0x0a, 0x7f])),
  });
  gateway = await startTestGateway(yaml(backend.port), { "protos/shop.proto": proto });
});
after(async () => {
  await gateway.close();
  await backend.close();
});

function tokenOf(claims: Record<string, unknown>): Promise<string> {
  return new SignJWT({ UserID: "u1", exp: 4102444800, ...claims })
    .setProtectedHeader({ alg: "HS256" })
    .sign(new TextEncoder().encode(secret));
}

async function call(path: string, headers: Record<string, string>, body: object = {}) {
  const json = { "content-type": "application/json", ...headers };
  const answer = await send(gateway.url + path, {
    method: "POST",
    headers: json,
    body: JSON.stringify(body),
  });
  return { ...answer, call: backend.calls.at(-1) as RecordedCall };
}

function told({ metadata }: RecordedCall): Record<string, string[]> {
  const names = ["operationid", "opuserid", "opusertype", "platform", "customheader", "x-org", "x-lang"];
  // Node's HTTP/2 joins the values of one name.
  return Object.fromEntries(
    names.map(name => [name, metadata.get(name).flatMap(value => String(value).split(", "))]),
  );
}

test("a backend gets the metadata of call and caller once, whatever the client sends", async () => {
  const token = await tokenOf({ UserType: 1, PlatformID: 5, Org: "acme", Role: "2" });
  const forged = {
    opUserID: "root",
    opUserType: "2",
    platform: "Admin",
    connID: "forged",
    customHeader: "x-admin",
    "x-lang": "de",
  };
  const { status, call: made } = await call("/echo", { token, operationID: "op-7", ...forged });
  assert.equal(status, 200);
  assert.deepEqual(told(made), {
    operationid: ["op-7"],
    opuserid: ["u1"],
    opusertype: ["1"],
    platform: ["Web"],
    customheader: ["opUserType", "x-org"],
    "x-org": ["acme"],
    "x-lang": ["de"],
  });
  const [connid, ...more] = made.metadata.get("connid");
  assert.deepEqual([connid === undefined, connid === "forged", more], [false, false, []]);
});

test("a token without type and platform says neither", async () => {
  const { call: made } = await call("/echo", { token: await tokenOf({ PlatformID: 0 }), operationID: "1" });
  assert.deepEqual(told(made), {
    operationid: ["1"],
    opuserid: ["u1"],
    opusertype: [],
    platform: [],
    customheader: [],
    "x-org": [],
    "x-lang": [],
  });
});

test("a method without authentication gets no metadata of a caller", async () => {
  const headers = { operationID: "op-8", opUserID: "root", opUserType: "2", customHeader: "opUserType" };
  const { json, call: made } = await call("/clear", headers);
  assert.deepEqual(json, { errCode: 0, errMsg: "", errDlt: "" });
  assert.deepEqual(
    ["opuserid", "opusertype", "customheader"].flatMap(name => made.metadata.get(name)),
    [],
  );
});

test("GET needs no operationID; the request's id takes its place", async () => {
  const headers = { token: await tokenOf({}), "x-request-id": "req-1" };
  const answer = await send(`${gateway.url}/echo?text=hi`, { headers });
  assert.deepEqual(answer.json, { errCode: 0, errMsg: "", errDlt: "", data: { text: "hi" } });
  assert.deepEqual(backend.calls.at(-1)?.metadata.get("operationid"), ["req-1"]);
});

test("an operationID that metadata cannot carry is refused", async () => {
  const { status, json } = await call("/clear", { operationID: "op-ü-1" });
  assert.deepEqual([status, json.errCode, json.errMsg], [200, 1001, "ArgsError"]);
});

test("a user ID that metadata cannot carry is refused", async () => {
  const { json } = await call("/echo", { token: await tokenOf({ UserID: "Ümlaut" }), operationID: "1" });
  assert.equal(json.errCode, 1502);
});

test("data is the response of the route, and is left out where a message has no fields", async () => {
  const headers = { token: await tokenOf({}), operationID: "1" };
  const success = { errCode: 0, errMsg: "", errDlt: "" };
  assert.deepEqual((await call("/echo", headers, { text: "hi" })).json, { ...success, data: { text: "hi" } });
  assert.deepEqual((await call("/text", headers, { text: "hi" })).json, { ...success, data: "hi" });
  const dropped = await call("/drop", headers);
  assert.deepEqual([dropped.status, dropped.json], [200, success]);
});

test("a raw body stays as it is", async () => {
  const { headers, text } = await call("/fetch", { token: await tokenOf({}), operationID: "1" });
  assert.deepEqual([headers.get("content-type"), text], ["image/png", "png"]);
});

test("a failure of the backend is 500 in the envelope and its own status in the log", async () => {
  const headers = { token: await tokenOf({}), operationID: "1" };
  const failed = await call("/fail", { ...headers, "x-request-id": "failing" });
  assert.deepEqual(
    [failed.status, failed.json],
    [200, { errCode: 500, errMsg: "store is down", errDlt: "" }],
  );
  assert.equal((await gateway.logged(line => line.request_id === "failing")).status, 503);
  const broken = await call("/break", { ...headers, "x-request-id": "broken" });
  assert.deepEqual(
    [broken.status, broken.json.errCode, broken.json.errMsg],
    [200, 500, "ServerInternalError"],
  );
  assert.equal((await gateway.logged(line => line.request_id === "broken")).status, 502);
});
