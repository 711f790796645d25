import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { type EchoSystem, startEcho } from "../gateway/echo.js";
import { send } from "../gateway/harness.js";
import { call, enveloped } from "./client.js";

const origin = "https://app.example.com";
let system: EchoSystem;

before(async () => {
  system = await startEcho("", `http: { cors: { origins: ["${origin}"], expose_headers: [x-out] } }`);
});
after(() => system.close());

const preflight = (path: string): ReturnType<typeof send> =>
  send(`${system.gateway.url}${path}`, {
    method: "OPTIONS",
    headers: { origin, "access-control-request-method": "POST" },
  });

test("a preflight for the path of an RPC allows the headers that Connect and gRPC-Web send", async () => {
  const { status, headers } = await preflight("/test.v1.Echo/Get");
  assert.equal(status, 204);
  assert.equal(headers.get("access-control-allow-methods"), "POST");
  const allowed = headers.get("access-control-allow-headers")?.split(", ") ?? [];
  for (const name of [
    "authorization",
    "connect-protocol-version",
    "connect-timeout-ms",
    "x-grpc-web",
    "grpc-timeout",
  ])
    assert.ok(allowed.includes(name), name);
});

test("a preflight for a path of REST alone allows what is configured", async () => {
  const { headers } = await preflight("/v1/items");
  assert.equal(headers.get("access-control-allow-headers"), "authorization, content-type, x-request-id");
});

test("pages may read the status of gRPC-Web and the trailing metadata of Connect, on RPC paths alone", async () => {
  const url = `${system.gateway.url}/test.v1.Echo/Get`;
  const web = await call(url, "application/grpc-web", enveloped(0, Buffer.alloc(0)), { origin });
  const exposed = web.headers.get("access-control-expose-headers")?.split(", ") ?? [];
  for (const name of ["x-out", "trailer-x-out", "grpc-status", "grpc-message"])
    assert.ok(exposed.includes(name), name);
  const rest = await send(`${system.gateway.url}/v1/items/7`, { headers: { origin } });
  assert.equal(rest.headers.get("access-control-expose-headers"), "x-out");
});
