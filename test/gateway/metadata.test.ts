import assert from "node:assert/strict";
import http from "node:http";
import { after, before, describe, it } from "node:test";
import { Metadata } from "@grpc/grpc-js";
import { type EchoSystem, startEcho } from "./echo.js";
import { type RawHandler, send } from "./harness.js";

const answering: RawHandler = (call, reply) => {
  const initial = new Metadata();
  initial.add("set-cookie", "a=1; HttpOnly");
  initial.add("set-cookie", "b=2");
  initial.add("x-secret", "internal");
  initial.add("x-data-bin", Buffer.of(1, 2, 255));
  call.sendMetadata(initial);
  const trailing = new Metadata();
  trailing.add("x-total-count", "12");
  reply(null, call.request, trailing);
};

describe("headers and metadata", () => {
  let system: EchoSystem;
  before(async () => {
    system = await startEcho(
      "metadata: { request: [Accept-Language, x-blob-bin, x-forwarded-for], response: [set-cookie, x-total-count, x-data-bin] }",
      "",
      { Get: answering },
    );
  });
  after(() => system.close());

  const get = (headers: Record<string, string>) => send(`${system.gateway.url}/v1/items/a`, { headers });
  const sent = (name: string) => system.backend.calls.at(-1)?.metadata.get(name);

  it("declared request headers reach the backend, others do not", async () => {
    await get({ "accept-language": "de", authorization: "Bearer x", cookie: "c=1", "x-other": "1" });
    assert.deepEqual(sent("accept-language"), ["de"]);
    for (const name of ["authorization", "cookie", "x-other"]) assert.deepEqual(sent(name), [], name);
  });

  it("names of gRPC and of the connection are never forwarded", async () => {
    await get({ "grpc-encoding": "gzip", "grpc-status": "5", te: "trailers" });
    for (const name of ["grpc-encoding", "grpc-status"]) assert.deepEqual(sent(name), [], name);
  });

  it("-bin headers are base64 in HTTP and bytes in gRPC, both ways", async () => {
    const answer = await get({ "x-blob-bin": "AQL/" });
    assert.deepEqual(sent("x-blob-bin"), [Buffer.of(1, 2, 255)]);
    assert.equal(answer.headers.get("x-data-bin"), "AQL/");
  });

  it("a -bin header that is not base64 is 400 and calls nothing", async () => {
    const calls = system.backend.calls.length;
    const answer = await get({ "x-blob-bin": "*" });
    assert.equal(answer.status, 400);
    assert.equal(answer.json.reason, "INVALID_HEADER");
    assert.equal(system.backend.calls.length, calls);
  });

  it("declared response metadata becomes headers, several cookies stay several", async () => {
    const answer = await get({});
    assert.deepEqual(answer.headers.getSetCookie(), ["a=1; HttpOnly", "b=2"]);
    assert.equal(answer.headers.get("x-total-count"), "12");
    assert.equal(answer.headers.get("x-secret"), null);
  });

  it("a request id is generated, or forwarded when it is well-formed", async () => {
    const made = (await get({})).headers.get("x-request-id") ?? "";
    assert.match(made, /^[0-9a-f]{32}$/);
    assert.deepEqual(sent("x-request-id"), [made]);
    const passed = await get({ "x-request-id": "abc-123" });
    assert.equal(passed.headers.get("x-request-id"), "abc-123");
    assert.deepEqual(sent("x-request-id"), ["abc-123"]);
    const refused = await get({ "x-request-id": "x".repeat(200) });
    assert.match(refused.headers.get("x-request-id") ?? "", /^[0-9a-f]{32}$/);
  });

  it("a valid traceparent is forwarded with its state, an invalid one is not", async () => {
    const traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    await get({ traceparent, tracestate: "a=1" });
    assert.deepEqual(sent("traceparent"), [traceparent]);
    assert.deepEqual(sent("tracestate"), ["a=1"]);
    await get({ traceparent: "00-0-0-01", tracestate: "a=1" });
    assert.deepEqual(sent("traceparent"), []);
    assert.deepEqual(sent("tracestate"), []);
  });

  it("a Host header that is not a host is refused, whether a route has the path or not", async () => {
    for (const path of ["/v1/items/a", "/nowhere"]) {
      const status = await new Promise((resolve, reject) => {
        const options = { headers: { host: "a/b" }, agent: false };
        http
          .get(`${system.gateway.url}${path}`, options, response => resolve(response.resume().statusCode))
          .on("error", reject);
      });
      assert.equal(status, 400, path);
    }
  });

  it("x-forwarded-* has the peer's address, whatever a client claims", async () => {
    await get({ "x-forwarded-for": "6.6.6.6", "x-forwarded-proto": "https", "x-forwarded-host": "evil" });
    assert.deepEqual(sent("x-forwarded-for"), ["127.0.0.1"]);
    assert.deepEqual(sent("x-forwarded-proto"), ["http"]);
    assert.deepEqual(sent("x-forwarded-host"), [`127.0.0.1:${system.gateway.httpPort}`]);
  });
});

describe("trusted proxies", () => {
  it("trusted proxies are believed for as many hops as are declared, from the right", async () => {
    const system = await startEcho("", "http: { forwarded: { trusted_hops: 1 } }");
    try {
      await send(`${system.gateway.url}/v1/items/a`, {
        headers: {
          "x-forwarded-for": "6.6.6.6, 10.0.0.1",
          "x-forwarded-proto": "https",
          "x-forwarded-host": "api.example.com",
        },
      });
      const metadata = system.backend.calls.at(-1)?.metadata;
      assert.deepEqual(metadata?.get("x-forwarded-for"), ["10.0.0.1, 127.0.0.1"]);
      assert.deepEqual(metadata?.get("x-forwarded-proto"), ["https"]);
      assert.deepEqual(metadata?.get("x-forwarded-host"), ["api.example.com"]);
    } finally {
      await system.close();
    }
  });

  it("trusted proxies may write a port, brackets, quotes and IPv4 in IPv6, and schemes in any case", async () => {
    const system = await startEcho("", "http: { forwarded: { trusted_hops: 1 } }");
    const told = async (name: string, value: string): Promise<readonly unknown[]> => {
      await send(`${system.gateway.url}/v1/items/a`, { headers: { [name]: value } });
      return system.backend.calls.at(-1)?.metadata.get(name) ?? [];
    };
    try {
      for (const [written, address] of [
        ["203.0.113.9:5123", "203.0.113.9"],
        ["[2001:db8::1]", "2001:db8::1"],
        ["[2001:db8::1]:443", "2001:db8::1"],
        ['"[2001:DB8::1]:443"', "2001:db8::1"],
        ["::ffff:707:707", "7.7.7.7"],
      ] as const)
        assert.deepEqual(await told("x-forwarded-for", written), [`${address}, 127.0.0.1`], written);
      for (const [written, scheme] of [
        ["https, https", "https"],
        ["HTTPS", "https"],
        ["https,http", "http"],
      ] as const)
        assert.deepEqual(await told("x-forwarded-proto", written), [scheme], written);
      const own = `127.0.0.1:${system.gateway.httpPort}`;
      assert.deepEqual(await told("x-forwarded-host", "a/b"), [own]);
    } finally {
      await system.close();
    }
  });
});
