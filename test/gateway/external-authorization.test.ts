import assert from "node:assert/strict";
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { after, describe, test } from "node:test";
import protobuf from "protobufjs";
import { engineUnderTest } from "../engine.js";
import { echo, type RawHandler, startBackend, startTestGateway } from "./harness.js";

const proto = `
syntax = "proto3";
package notes.v1;
import "google/api/annotations.proto";
service Notes {
  rpc Http(Note) returns (Note) { option (google.api.http) = { get: "/http/{text}" }; }
  rpc Grpc(Note) returns (Note) { option (google.api.http) = { post: "/grpc/{text}" body: "*" }; }
  rpc Both(Note) returns (Note) { option (google.api.http) = { get: "/both" }; }
}
message Note { string text = 1; }
`;

// The parts of envoy/service/auth/v3 that are used, with their numbers.
const external = protobuf.parse(`
syntax = "proto3";
package envoy.service.auth.v3;
message CheckRequest { AttributeContext attributes = 1; }
message AttributeContext {
  message Peer { Address address = 1; string principal = 4; }
  message Address { SocketAddress socket_address = 1; }
  message SocketAddress { string address = 2; }
  message Request { Timestamp time = 1; HttpRequest http = 2; }
  message Timestamp { int64 seconds = 1; }
  message HttpRequest {
    string method = 2; map<string, string> headers = 3; string path = 4; string host = 5; string scheme = 6; int64 size = 9;
  }
  Peer source = 1;
  Request request = 4;
  map<string, string> context_extensions = 10;
}
message Status { int32 code = 1; string message = 2; }
message HttpStatus { int32 code = 1; }
message HeaderValue { string key = 1; string value = 2; bytes raw_value = 3; }
message HeaderValueOption { HeaderValue header = 1; int32 append_action = 3; }
message DeniedHttpResponse { HttpStatus status = 1; repeated HeaderValueOption headers = 2; string body = 3; }
message OkHttpResponse { repeated HeaderValueOption headers = 2; repeated string headers_to_remove = 5; }
message CheckResponse {
  Status status = 1;
  oneof http_response { DeniedHttpResponse denied_response = 2; OkHttpResponse ok_response = 3; }
}`).root;
const CheckRequest = external.lookupType("CheckRequest");
const CheckResponse = external.lookupType("CheckResponse");

const header = (key: string, value: string) => ({ header: { key, value } });

describe(`services that decide about requests (${engineUnderTest()})`, async () => {
  let respond: (request: IncomingMessage, response: ServerResponse) => void = () => undefined;
  const asked: { readonly url: string | undefined; readonly headers: IncomingHttpHeaders }[] = [];
  const service = createServer((request, response) => {
    asked.push({ url: request.url, headers: request.headers });
    respond(request, response);
  });
  await new Promise<void>(resolve => service.listen(0, "127.0.0.1", resolve));

  let decide: RawHandler = () => undefined;
  const allow = (response: object): void => {
    decide = (_, reply) =>
      reply(null, Buffer.from(CheckResponse.encode(CheckResponse.fromObject(response)).finish()));
  };
  const check = "/envoy.service.auth.v3.Authorization/Check";
  const backend = await startBackend({
    "/notes.v1.Notes/Http": echo,
    "/notes.v1.Notes/Grpc": echo,
    "/notes.v1.Notes/Both": echo,
    [check]: (call, reply) => decide(call, reply),
  });
  const gateway = await startTestGateway(
    `
descriptors: [{ protos: ./protos }]
upstreams: { notes: { targets: ["127.0.0.1:${backend.port}"] } }
services:
  - service: notes.v1.Notes
    upstream: notes
    methods: { Http: { auth: http }, Grpc: { auth: grpc }, Both: { auth: [http, grpc] } }
auth:
  providers:
    http:
      type: forward_auth
      url: http://127.0.0.1:${(service.address() as AddressInfo).port}/verify?app=notes
      headers: [authorization, cookie, X-Tenant]
      scopes: x-groups
      claims_to_metadata: { x-user-id: x-user, x-email: x-mail }
    grpc:
      type: ext_authz
      upstream: notes
      subject: x-subject
      context: { app: notes }
      claims_to_metadata: { x-subject: x-user }
      timeout: 300ms
  policies: [{ match: { rpc: notes.v1.Notes/Http }, require: { scopes: [write] } }]
`,
    { "protos/notes.proto": proto },
  );
  after(async () => {
    service.close();
    service.closeAllConnections();
    await gateway.close();
    await backend.close();
  });

  const reasonOf = async (response: Response): Promise<unknown> =>
    ((await response.json()) as { reason: unknown }).reason;

  test("a 2xx of an HTTP service allows the request, and its headers say who calls", async () => {
    respond = (_, response) => {
      response.writeHead(204, {
        "x-user-id": "ada",
        "x-email": "ada@example.com",
        "x-groups": "read, write",
      });
      response.end();
    };
    const response = await fetch(`${gateway.url}/http/a%20b?text=a+b&`, {
      headers: {
        authorization: "Basic x",
        cookie: "session=1",
        "x-tenant": "acme",
        "x-other": "no",
        "x-user": "forged",
      },
    });
    assert.equal(response.status, 200);
    const seen = asked.at(-1);
    assert.equal(seen?.url, "/verify?app=notes");
    const { headers = {} } = seen ?? {};
    assert.deepEqual(
      [headers.authorization, headers.cookie, headers["x-tenant"], headers["x-other"]],
      ["Basic x", "session=1", "acme", undefined],
    );
    assert.deepEqual(
      ["method", "proto", "host", "uri", "for"].map(name => headers[`x-forwarded-${name}`]),
      ["GET", "http", new URL(gateway.url).host, "/http/a%20b?text=a+b&", "127.0.0.1"],
    );
    const { metadata } = backend.calls.at(-1) ?? {};
    assert.deepEqual(metadata?.get("x-user"), ["ada"]);
    assert.deepEqual(metadata?.get("x-mail"), ["ada@example.com"]);
  });

  const statuses: [
    status: number,
    headers: Record<string, string>,
    expected: [number, string],
    header?: [string, string],
  ][] = [
    [
      401,
      { "www-authenticate": "Basic realm=x" },
      [401, "CREDENTIALS_INVALID"],
      ["www-authenticate", "Basic realm=x"],
    ],
    [
      302,
      { location: "https://login.example" },
      [401, "CREDENTIALS_INVALID"],
      ["www-authenticate", 'Bearer realm="protogate"'],
    ],
    [403, {}, [403, "ACCESS_DENIED"]],
    [404, {}, [403, "ACCESS_DENIED"]],
    [429, { "retry-after": "7" }, [429, "RATE_LIMITED"], ["retry-after", "7"]],
    [500, {}, [503, "AUTH_UNAVAILABLE"]],
    [200, {}, [401, "CREDENTIALS_INVALID"]],
    [
      200,
      { "x-user-id": "ada", "x-more": "x".repeat(16_000), "x-yet": "y".repeat(400) },
      [503, "AUTH_UNAVAILABLE"],
    ],
    [200, { "x-user-id": "ada", "x-groups": "read" }, [403, "SCOPE_MISSING"]],
  ];
  for (const [status, headers, expected, carried] of statuses) {
    test(`a ${status} of an HTTP service with the headers ${Object.keys(headers).join(" and ") || "of none"} is ${expected.join(" ")}`, async () => {
      const before = backend.calls.length;
      respond = (_, response) => void response.writeHead(status, headers).end("a page");
      const response = await fetch(`${gateway.url}/http/x`);
      assert.deepEqual([response.status, await reasonOf(response)], expected);
      if (carried !== undefined) assert.equal(response.headers.get(carried[0]), carried[1]);
      assert.equal(backend.calls.length, before);
    });
  }

  test("a gRPC service sees the request, and its headers say who calls", async () => {
    const requests: Buffer[] = [];
    decide = (call, reply) => {
      requests.push(call.request);
      const response = { okResponse: { headers: [header("X-Subject", "bob")], headersToRemove: ["x"] } };
      reply(null, Buffer.from(CheckResponse.encode(CheckResponse.fromObject(response)).finish()));
    };
    const response = await fetch(`${gateway.url}/grpc/x`, {
      method: "POST",
      headers: { authorization: "Bearer t", "content-type": "application/json" },
      body: "{}",
    });
    assert.equal(response.status, 200);
    assert.deepEqual(backend.calls.at(-1)?.metadata.get("x-user"), ["bob"]);
    const { attributes } = CheckRequest.toObject(CheckRequest.decode(requests[0] ?? Buffer.alloc(0)), {
      longs: Number,
    });
    const { time, http } = attributes.request;
    assert.ok(Math.abs(time.seconds - Date.now() / 1000) < 3600);
    assert.deepEqual(http, {
      method: "POST",
      headers: { authorization: "Bearer t" },
      path: "/grpc/x",
      host: new URL(gateway.url).host,
      scheme: "http",
      size: -1,
    });
    assert.deepEqual(attributes.contextExtensions, { app: "notes" });
    assert.deepEqual(attributes.source, { address: { socketAddress: { address: "127.0.0.1" } } });
  });

  const decisions: [name: string, response: object, expected: [number, string]][] = [
    ["with an error of gRPC and nothing else", { status: { code: 7 } }, [403, "ACCESS_DENIED"]],
    [
      "with an error of gRPC and 401",
      { status: { code: 16 }, deniedResponse: { status: { code: 401 } } },
      [401, "CREDENTIALS_INVALID"],
    ],
    [
      "with an error of gRPC and 429",
      {
        status: { code: 8 },
        deniedResponse: { status: { code: 429 }, headers: [header("Retry-After", "3")] },
      },
      [429, "RATE_LIMITED"],
    ],
    ["that allows nobody in particular", { status: { code: 0 } }, [401, "CREDENTIALS_INVALID"]],
  ];
  for (const [name, response, expected] of decisions) {
    test(`a response of a gRPC service ${name} is ${expected.join(" ")}`, async () => {
      allow(response);
      const received = await fetch(`${gateway.url}/grpc/x`, { method: "POST" });
      assert.deepEqual([received.status, await reasonOf(received)], expected);
    });
  }

  test("a gRPC service that fails, is late or responds with other bytes is 503", async () => {
    const handlers: RawHandler[] = [
      (_, reply) => reply({ code: 13, details: "broken" }),
      () => undefined,
      (_, reply) => reply(null, Buffer.from([0x0a, 0xff])),
      (_, reply) => reply(null, Buffer.from([0x1a, 0x02, 0x12, 0x7f])),
    ];
    for (const handler of handlers) {
      decide = handler;
      const response = await fetch(`${gateway.url}/grpc/x`, { method: "POST" });
      assert.deepEqual([response.status, await reasonOf(response)], [503, "AUTH_UNAVAILABLE"]);
    }
  });

  test("where one of two services allows the request, the denial of the other does not count", async () => {
    respond = (_, response) => void response.writeHead(403).end();
    allow({ okResponse: { headers: [header("x-subject", "bob")] } });
    assert.equal((await fetch(`${gateway.url}/both`)).status, 200);
    allow({ status: { code: 7 } });
    assert.equal((await fetch(`${gateway.url}/both`)).status, 403);
  });
});
