import assert from "node:assert/strict";
import { test } from "node:test";
import type { TransportKind } from "../../src/upstream/options.js";
import { scriptsOfGateway } from "../gateway-scripts.js";

const proto = `
syntax = "proto3";
package test.v1;
service Echo {
  rpc Get(Item) returns (Item);
}
message Item {
  string id = 1;
}
`;

function configuration(transport: TransportKind | undefined): string {
  return `
listeners:
  http: { address: "127.0.0.1:0" }
  admin: { address: "127.0.0.1:0" }
upstreams:
  echo:
    targets: ["127.0.0.1:1"]${transport === undefined ? "" : `\n    transport: ${transport}`}
descriptors:
  - protos: echo.proto
services:
  - service: test.v1.Echo
    upstream: echo
http:
  rules: [{ selector: test.v1.Echo.Get, get: "/v1/items/{id}" }]
`;
}

test("a gateway loads no file of the libraries that its configuration does not use", async t => {
  const urls = await scriptsOfGateway(configuration(undefined), { "echo.proto": proto });
  assert.ok(urls.some(url => url.includes("/src/upstream/create-channel")));
  assert.ok(urls.some(url => url.includes("/src/pipeline/forward")));
  for (const [library, use] of [
    ["@grpc/", "the default transport"],
    ["(undici|@fastify/http-proxy)/", "the client of passing through"],
    [
      "(ajv|@fastify/ajv-compiler|@fastify/fast-json-stringify-compiler)/",
      "compilers of the schemas of routes",
    ],
    ["(openid-client|oauth4webapi)/", "logins of browsers"],
    ["typebox/", "the types of the configuration"],
  ])
    await t.test(`a small gateway does without ${library} (${use})`, () => {
      assert.deepEqual(
        urls.filter(url => new RegExp(`/node_modules/${library}`).test(url)),
        [],
      );
    });
});

test("a gateway with an upstream on grpc-js loads @grpc/grpc-js", async () => {
  const urls = await scriptsOfGateway(configuration("grpc-js"), { "echo.proto": proto });
  assert.ok(urls.some(url => url.includes("/@grpc/grpc-js/")));
});
