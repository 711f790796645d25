import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { gunzipSync, gzipSync } from "node:zlib";
import { type EchoSystem, startEcho } from "../gateway/echo.js";
import { send } from "../gateway/harness.js";
import { call, enveloped, envelopes, webTrailers } from "./client.js";
import { failures, withMetadata } from "./replies.js";

/** `Item { id: "7" }` */
const item = Buffer.from([0x0a, 1, 0x37]);

let system: EchoSystem;
let base: string;

before(async () => {
  system = await startEcho(
    "metadata: { request: [x-in, data-bin], response: [x-out, x-end, data-bin] }, methods: { Hidden: { protocols: [connect] } }",
    "http: { limits: { body: 64KiB } }",
    {
      ...failures,
      Create: withMetadata(() => Buffer.from([1, 2, 255])),
    },
  );
  base = `${system.gateway.url}/test.v1.Echo`;
});

after(() => system.close());

test("Connect calls a method by JSON and by protobuf on the path of its RPC", async () => {
  const json = await call(`${base}/Get`, "application/json", '{"id":"7","unknown":1}');
  assert.equal(json.status, 200);
  assert.equal(json.headers.get("content-type"), "application/json");
  assert.deepEqual(JSON.parse(json.body.toString()), { id: "7" });
  const proto = await call(`${base}/Get`, "application/proto", item);
  assert.equal(proto.headers.get("content-type"), "application/proto");
  assert.deepEqual(proto.body, item);
});

test("Connect carries initial metadata as headers and trailing metadata behind trailer-", async () => {
  const { headers } = await call(`${base}/Create`, "application/proto", item, { "x-in": "yes" });
  assert.equal(headers.get("x-out"), "yes");
  assert.equal(headers.get("data-bin"), "AQL/");
  assert.equal(headers.get("trailer-x-end"), "late");
  assert.equal(headers.get("x-secret"), null);
});

test("a failure of the backend is Connect's error with its details", async () => {
  const { status, headers, body } = await call(`${base}/List`, "application/json", "{}");
  assert.equal(status, 404);
  assert.equal(headers.get("content-type"), "application/json");
  assert.equal(headers.get("trailer-x-end"), "late");
  assert.deepEqual(JSON.parse(body.toString()), { code: "not_found", message: "no 100% of €" });
});

test("a code above those of gRPC is unknown in Connect, with its number in the metadata", async () => {
  const { status, headers, body } = await call(`${base}/Rename`, "application/json", "{}");
  assert.equal(status, 500);
  assert.equal(headers.get("grpc-status"), "5002");
  assert.deepEqual(JSON.parse(body.toString()), { code: "unknown", message: "own" });
});

test("a failure of the gateway has its reason as a google.rpc.ErrorInfo in Connect's error", async () => {
  const { status, body } = await call(`${base}/Get`, "application/json", '{"id":7}');
  assert.equal(status, 400);
  const error = JSON.parse(body.toString());
  assert.equal(error.code, "invalid_argument");
  assert.equal(error.details[0].type, "google.rpc.ErrorInfo");
  assert.match(Buffer.from(error.details[0].value, "base64").toString(), /INVALID_VALUE.*protogate/s);
  assert.deepEqual(error.details[0].debug, { reason: "INVALID_VALUE", domain: "protogate" });
});

test("gRPC-Web gets message and trailers in the body", async () => {
  const { status, headers, body } = await call(
    `${base}/Create`,
    "application/grpc-web+proto",
    enveloped(0, item),
    {
      "x-in": "yes",
    },
  );
  assert.equal(status, 200);
  assert.equal(headers.get("content-type"), "application/grpc-web+proto");
  assert.equal(headers.get("x-out"), "yes");
  const [first] = envelopes(body);
  assert.deepEqual(first, { flags: 0, message: item });
  assert.deepEqual(webTrailers(body), { "grpc-status": "0", "x-end": "late" });
});

test("gRPC-Web in text takes messages that were padded one by one and responds in base64", async () => {
  const bytes = enveloped(0, item);
  const body = bytes.subarray(0, 4).toString("base64") + bytes.subarray(4).toString("base64");
  const response = await call(`${base}/Get`, "application/grpc-web-text", body);
  assert.equal(response.headers.get("content-type"), "application/grpc-web-text");
  const decoded = Buffer.from(response.body.toString(), "base64");
  assert.deepEqual(envelopes(decoded)[0]?.message, item);
  assert.equal(webTrailers(decoded)["grpc-status"], "0");
});

test("a failure of the backend has its details untouched in the trailers of gRPC-Web", async () => {
  const { status, body } = await call(`${base}/List`, "application/grpc-web", enveloped(0, item));
  assert.equal(status, 200);
  assert.deepEqual(webTrailers(body), {
    "grpc-status": "5",
    "grpc-message": "no 100%25 of %E2%82%AC",
    "grpc-status-details-bin": "CAUSAmhp",
    "x-end": "late",
  });
  const above = await call(`${base}/Rename`, "application/grpc-web", enveloped(0, item));
  assert.equal(webTrailers(above.body)["grpc-status"], "5002");
});

test("a compressed message is decompressed for the backend, and a large response compressed for clients that compress", async () => {
  const large = Buffer.concat([Buffer.from([0x22, 0x90, 0x4e]), Buffer.alloc(10_000, "a")]);
  const headers = { "grpc-encoding": "gzip", "grpc-accept-encoding": "identity,gzip" };
  const web = await call(`${base}/Get`, "application/grpc-web", enveloped(1, gzipSync(large)), headers);
  assert.equal(web.headers.get("grpc-encoding"), "gzip");
  const [first] = envelopes(web.body);
  assert.equal(first?.flags, 1);
  assert.deepEqual(gunzipSync(first?.message ?? ""), large);
  const connect = await call(`${base}/Get`, "application/proto", gzipSync(large), {
    "content-encoding": "gzip",
  });
  assert.equal(connect.headers.get("content-encoding"), "gzip");
  assert.deepEqual(connect.body, large);
});

test("a message that expands beyond the limit of bodies is refused before it is expanded", async () => {
  const bomb = gzipSync(Buffer.alloc(1 << 20));
  const web = await call(`${base}/Get`, "application/grpc-web", enveloped(1, bomb), {
    "grpc-encoding": "gzip",
  });
  assert.equal(webTrailers(web.body)["grpc-status"], "8");
  const connect = await call(`${base}/Get`, "application/proto", bomb, { "content-encoding": "gzip" });
  assert.equal(connect.status, 429);
  assert.equal(JSON.parse(connect.body.toString()).code, "resource_exhausted");
});

const malformed: readonly (readonly [
  what: string,
  body: Buffer,
  headers: Record<string, string>,
  status: string,
])[] = [
  ["no message", Buffer.alloc(0), {}, "12"],
  ["two messages", Buffer.concat([enveloped(0, item), enveloped(0, item)]), {}, "12"],
  ["an envelope that is cut off", enveloped(0, item).subarray(0, 6), {}, "3"],
  ["the head of an envelope that is cut off", Buffer.from([0, 0]), {}, "3"],
  ["flags that nobody defines", enveloped(4, item), {}, "3"],
  ["trailers from the client", enveloped(0x80, item), {}, "3"],
  ["an announced length beyond the limit", Buffer.from([0, 0xff, 0xff, 0xff, 0xff, 1]), {}, "8"],
  ["a compressed message without an encoding", enveloped(1, gzipSync(item)), {}, "13"],
  ["a compressed message that is not gzip", enveloped(1, item), { "grpc-encoding": "gzip" }, "3"],
  ["an encoding that is not supported", enveloped(0, item), { "grpc-encoding": "br" }, "12"],
  ["a timeout that is none", enveloped(0, item), { "grpc-timeout": "5" }, "3"],
  ["a timeout that has passed", enveloped(0, item), { "grpc-timeout": "0m" }, "4"],
];

for (const [what, body, headers, status] of malformed) {
  test(`gRPC-Web with ${what} is refused with code ${status} in the trailers, and no call is made`, async () => {
    const before = system.backend.calls.length;
    const response = await call(`${base}/Get`, "application/grpc-web", body, headers);
    assert.equal(response.status, 200);
    assert.equal(webTrailers(response.body)["grpc-status"], status);
    assert.equal(system.backend.calls.length, before);
  });
}

test("an encoding that is not supported is refused with the list of those that are", async () => {
  const web = await call(`${base}/Get`, "application/grpc-web", enveloped(0, item), {
    "grpc-encoding": "br",
  });
  assert.equal(web.headers.get("grpc-accept-encoding"), "gzip, identity");
  const connect = await call(`${base}/Get`, "application/proto", item, { "content-encoding": "br" });
  assert.equal(connect.headers.get("accept-encoding"), "gzip, identity");
  assert.equal(JSON.parse(connect.body.toString()).code, "unimplemented");
});

test("a version of Connect that is not 1 is refused", async () => {
  const { status, body } = await call(`${base}/Get`, "application/json", "{}", {
    "connect-protocol-version": "2",
  });
  assert.equal(status, 400);
  assert.equal(JSON.parse(body.toString()).code, "invalid_argument");
});

test("a content type that no protocol reads is 415 with the list of those that are", async () => {
  for (const type of ["text/plain", undefined]) {
    const { status, headers, body } = await call(`${base}/Get`, type, Buffer.from("x"));
    assert.equal(status, 415);
    // Clients of Connect take no error from it but the status, as the conformance suite demands.
    assert.equal(headers.get("content-type"), "text/plain; charset=utf-8");
    const found =
      type === undefined ? "there is no content-type" : 'content-type "text/plain" is not supported';
    const text = body.toString();
    assert.ok(text.startsWith(`${found}; expected one of application/json, application/proto`), text);
    assert.match(
      headers.get("accept-post") ?? "",
      /application\/proto, application\/grpc-web.*application\/grpc$|application\/grpc\+proto/,
    );
  }
  const own = await call(`${base}/Get`, "application/grpc-web+thrift", enveloped(0, item));
  assert.equal(own.status, 415);
  assert.equal(webTrailers(own.body)["grpc-status"], "3");
});

test("gRPC over HTTP/1.1 is refused in gRPC's form", async () => {
  const { status, headers } = await call(`${base}/Get`, "application/grpc", enveloped(0, item));
  assert.equal(status, 400);
  assert.equal(headers.get("grpc-status"), "3");
  assert.match(headers.get("grpc-message") ?? "", /HTTP\/2/);
});

test("an unknown method is unimplemented in the form of the protocol of its request", async () => {
  const web = await call(`${base}/None`, "application/grpc-web", enveloped(0, item));
  assert.equal(web.status, 200);
  assert.equal(webTrailers(web.body)["grpc-status"], "12");
  const connect = await call(`${base}/None`, "application/proto", item);
  assert.equal(connect.status, 404);
  assert.equal(JSON.parse(connect.body.toString()).code, "unimplemented");
  const rest = await call(`${base}/None`, "application/json", "{}");
  assert.equal(JSON.parse(rest.body.toString()).reason, "ROUTE_NOT_FOUND");
});

test("Connect calls a method without side effects by GET, in every form of its parameters", async () => {
  const json = `encoding=json&message=${encodeURIComponent('{"id":"7"}')}`;
  const proto = `encoding=proto&base64=1&message=${item.toString("base64url")}`;
  const packed = `encoding=proto&base64=1&compression=gzip&message=${gzipSync(item).toString("base64url")}`;
  for (const query of [json, `connect=v1&${json}`, proto, packed]) {
    const { status, headers, text } = await send(`${base}/Peek?${query}`);
    assert.equal(status, 200, text);
    assert.match(headers.get("content-type") ?? "", query.includes("json") ? /json/ : /proto/);
  }
  for (const query of [
    "",
    "encoding=json",
    `connect=v2&${json}`,
    "encoding=xml&message=a",
    "encoding=json&message=%",
  ]) {
    const { status, json: error } = await send(`${base}/Peek?${query}`);
    assert.ok(status === 400 || status === 415, query);
    assert.equal(error.code, "invalid_argument", query);
  }
  const other = await send(`${base}/Get?${json}`);
  assert.equal(other.status, 405);
  assert.equal(other.headers.get("allow"), "OPTIONS, POST");
  assert.equal(other.headers.get("content-type"), "text/plain; charset=utf-8");
  assert.match(other.text, /^.*POST.*\n$/);
});

test("a method without a route is called only by the protocols that it names", async () => {
  assert.equal((await call(`${base}/Hidden`, "application/json", "{}")).status, 200);
  const web = await call(`${base}/Hidden`, "application/grpc-web", enveloped(0, item));
  assert.equal(web.status, 415);
  assert.equal(webTrailers(web.body)["grpc-status"], "3");
});

test("metrics and log name the method's path and count the real outcome of a call that is HTTP 200", async () => {
  await call(`${base}/List`, "application/grpc-web", enveloped(0, item));
  const line = await system.gateway.logged(
    entry => entry.route === "/test.v1.Echo/List" && entry.status === 404,
  );
  assert.equal(line.rpc, "/test.v1.Echo/List");
  const { text } = await send(`${system.gateway.admin}/metrics`);
  assert.match(text, /\{route="\/test.v1.Echo\/List"[^}]*NOT_FOUND/);
});
