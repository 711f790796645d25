import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { after, before, describe, it } from "node:test";
import { credentials, makeGenericClientConstructor, type ServiceError } from "@grpc/grpc-js";
import { WebSocket } from "ws";
import { engineUnderTest } from "../engine.js";
import { exchangeHttp2 } from "../http2-client.js";
import { converse } from "../server/raw-client.js";
import { type Backend, echo, startBackend } from "./harness.js";
import { askHost, type ListenersGateway, startListeners } from "./own-listeners.js";

const proto = `syntax = "proto3";
package shop.v1;
import "google/api/annotations.proto";
message Item { string id = 1; string by = 2; }
service Public {
  rpc Get(Item) returns (Item) { option (google.api.http) = { get: "/v1/items/{id}" }; }
}
service Partner {
  rpc Get(Item) returns (Item) { option (google.api.http) = { get: "/v1/items/{id}" }; }
  rpc Put(Item) returns (Item) { option (google.api.http) = { put: "/v1/items" body: "*" }; }
  rpc Watch(Item) returns (stream Item) { option (google.api.http) = { get: "/v1/watch" }; }
}
`;

const yaml = (ports: { readonly backend: number; readonly legacy: number }): string => `
descriptors: [{ protos: ./protos }]
upstreams:
  shop: { targets: ["127.0.0.1:${ports.backend}"] }
  legacy: { protocol: http, targets: ["http://127.0.0.1:${ports.legacy}"] }
services:
  - { service: shop.v1.Public, upstream: shop }
  - { service: shop.v1.Partner, upstream: shop }
http:
  docs: { path: /docs }
  proxy: [{ prefix: /legacy, upstream: legacy, rewrite: /, websocket: ${engineUnderTest() !== "uws"} }]
  grpc: { health: {}, reflection: {} }
  hosts:
    API.example.com: { services: [shop.v1.Public, grpc.health.v1.Health] }
    "*.partners.example.com": { services: [shop.v1.Partner, "grpc.**"] }
    "[0::1]": { services: [shop.v1.Public] }
    chat.example.com: { routes: [/ws, "/chat/**", "/legacy/**"], docs: false }
realtime: { path: /ws, rest: /chat, auth: none, origins: ["*"] }
`;

describe("virtual hosts and their routes", () => {
  let backend: Backend;
  let legacy: Server;
  let open: ListenersGateway;
  let port = 0;
  let inside = 0;
  let text = "";
  before(async () => {
    backend = await startBackend({
      "/shop.v1.Public/Get": (call, reply) => reply(null, Buffer.concat([call.request, field("public")])),
      "/shop.v1.Partner/Get": (call, reply) => reply(null, Buffer.concat([call.request, field("partner")])),
      "/shop.v1.Partner/Put": echo,
    });
    legacy = createServer((request, response) => response.end(`legacy ${request.url}`));
    legacy.listen(0, "127.0.0.1");
    await once(legacy, "listening");
    text = yaml({ backend: backend.port, legacy: (legacy.address() as AddressInfo).port });
    const listeners = `[{ name: all, address: "127.0.0.1:0", engine: ENGINE },
      { name: inside, address: "127.0.0.1:0", engine: ENGINE, hosts: ["*.eu.partners.example.com", chat.example.com] }]`;
    open = await startListeners(listeners, text, { "protos/shop.proto": proto });
    ({ all: port = 0, inside = 0 } = open.gateway.httpPorts as Record<string, number>);
  });
  after(async () => {
    await open.close();
    legacy.close();
    await backend.close();
  });

  /** A field `by` on the wire. */
  function field(value: string): Buffer {
    return Buffer.from([0x12, value.length, ...Buffer.from(value)]);
  }

  const status = async (path: string, host: string, at = port): Promise<number> =>
    (await askHost(at, path, host)).status;

  it("one path is served by another service at each host, however the host is written", async () => {
    for (const [host, by] of [
      ["api.example.com", "public"],
      ["Api.Example.COM.:8080", "public"],
      ["[::1]:80", "public"],
      ["[0:0:0::1]", "public"],
      ["acme.partners.example.com", "partner"],
      ["a.b.partners.example.com.", "partner"],
    ] as const)
      assert.equal((await askHost(port, "/v1/items/7", host)).text, `{"id":"7","by":"${by}"}`, host);
  });

  it("a route of another host is 404, also for OPTIONS, and a host that is not named is 421", async () => {
    const put = { method: "PUT", body: "{}", headers: { "content-type": "application/json" } };
    assert.equal((await askHost(port, "/v1/items", "x.partners.example.com", put)).status, 200);
    assert.equal((await askHost(port, "/v1/items", "api.example.com", put)).status, 404);
    assert.equal((await askHost(port, "/v1/items", "api.example.com", { method: "OPTIONS" })).status, 404);
    assert.equal(await status("/v1/items/7", "chat.example.com"), 404);
    for (const host of ["example.com", "partners.example.com", "api.example.com.evil.test", "127.0.0.1"]) {
      const { status: code, text: body } = await askHost(port, "/v1/items/7", host);
      assert.equal(code, 421, host);
      assert.equal(JSON.parse(body).reason, "MISDIRECTED_REQUEST");
    }
  });

  it("a malformed host, none, and more than one are 400", async () => {
    assert.equal(await status("/v1/items/7", "api.example.com/evil"), 400);
    for (const hosts of ["", "host: api.example.com\r\nhost: x.partners.example.com\r\n"]) {
      const head = `GET /v1/items/7 HTTP/1.1\r\n${hosts}connection: close\r\n\r\n`;
      assert.match((await converse(port, [head], 1, true)).text, /^HTTP\/1\.1 400 /, hosts);
    }
  });

  const originFormOnly = engineUnderTest() === "uws" && "the engine uws does not take the absolute form";
  it("the host of a target in absolute form counts, not the Host header", {
    skip: originFormOnly,
  }, async () => {
    const ask = async (target: string): Promise<string> => {
      const head = `GET ${target} HTTP/1.1\r\nhost: api.example.com\r\nconnection: close\r\n\r\n`;
      return (await converse(port, [head], 1, true)).text;
    };
    assert.match(await ask("http://a.partners.example.com:80/v1/items/7"), /"by":"partner"/);
    assert.match(await ask("http://evil.test/v1/items/7"), /^HTTP\/1\.1 421 /);
    assert.match(await ask("http://api.example.com@evil.test/v1/items/7"), /^HTTP\/1\.1 400 /);
  });

  it("Connect and gRPC-Web reach the services of the host alone", async () => {
    const partnerCalls = (): number =>
      backend.calls.filter(({ path }) => path === "/shop.v1.Partner/Get").length;
    const before = partnerCalls();
    for (const [type, body] of [
      ["application/json", "{}"],
      ["application/grpc-web+proto", "\0\0\0\0\0"],
    ] as const) {
      const ask = async (service: string, host: string): Promise<string> => {
        const headers = { "content-type": type };
        const path = `/shop.v1.${service}/Get`;
        const answer = await askHost(port, path, host, { method: "POST", headers, body });
        return `${answer.status} ${answer.text.includes(service.toLowerCase())}`;
      };
      assert.equal(await ask("Public", "api.example.com"), "200 true");
      assert.equal(await ask("Partner", "a.partners.example.com"), "200 true");
      assert.match(await ask("Partner", "api.example.com"), / false$/);
      assert.match(await ask("Partner", "evil.test"), / false$/);
    }
    assert.equal(partnerCalls() - before, 2);
  });

  const withoutHttp2 = engineUnderTest() === "uws" && "the engine uws speaks HTTP/1.1 alone";
  it("over HTTP/2 the host is that of :authority, for REST and for gRPC", {
    skip: withoutHttp2,
  }, async () => {
    const by = async (host: string): Promise<string> =>
      (await exchangeHttp2(port, "GET", "/v1/items/7", { host }, undefined)).body.toString();
    assert.equal(await by("API.example.com:443"), '{"id":"7","by":"public"}');
    assert.equal(await by("a.partners.example.com"), '{"id":"7","by":"partner"}');
    const calls = [
      ["api.example.com", "Public", undefined],
      ["a.partners.example.com", "Partner", undefined],
      ["api.example.com", "Partner", 12],
      ["evil.test", "Public", 7],
    ] as const;
    for (const [authority, service, code] of calls)
      assert.equal(
        (await callGrpc(authority, `/shop.v1.${service}/Get`)).code,
        code,
        `${authority} ${service}`,
      );
  });

  it("the gateway's own health and reflection list the services of the host alone", {
    skip: withoutHttp2,
  }, async () => {
    const name = (text: string): Buffer => Buffer.from([10, text.length, ...Buffer.from(text)]);
    const health = (authority: string, service: string): Promise<{ code: number | undefined }> =>
      callGrpc(authority, "/grpc.health.v1.Health/Check", name(service));
    assert.equal((await health("api.example.com", "shop.v1.Public")).code, undefined);
    assert.equal((await health("api.example.com", "shop.v1.Partner")).code, 5);
    assert.equal((await health("a.partners.example.com", "shop.v1.Partner")).code, undefined);
    const list = Buffer.from([0x3a, 1, 0x2a]);
    const path = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";
    assert.equal((await streamGrpc("api.example.com", path, list)).code, 12);
    const { bytes } = await streamGrpc("a.partners.example.com", path, list);
    const listed = [...bytes.toString("latin1").matchAll(/[a-z0-9.]+\.[A-Z]\w+/g)].map(([each]) => each);
    assert.deepEqual(listed.sort(), [
      "grpc.health.v1.Health",
      "grpc.reflection.v1.ServerReflection",
      "grpc.reflection.v1alpha.ServerReflection",
      "shop.v1.Partner",
    ]);
  });

  it("each host has documents of what it serves, or none", async () => {
    const json = async (path: string, host: string): Promise<Record<string, object>> =>
      JSON.parse((await askHost(port, path, host)).text) as Record<string, object>;
    const at = async (host: string): Promise<string[]> =>
      Object.keys((await json("/openapi.json", host)).paths as object);
    assert.deepEqual(await at("api.example.com"), ["/v1/items/{id}"]);
    assert.deepEqual(await at("a.partners.example.com"), ["/v1/items", "/v1/items/{id}", "/v1/watch"]);
    assert.equal(await status("/openapi.json", "chat.example.com"), 404);
    assert.equal(await status("/docs", "chat.example.com"), 404);
    const names = async (host: string): Promise<(string | undefined)[]> => {
      const { services } = (await json("/docs/catalog.json", host)) as { services?: { name: string }[] };
      return (services ?? []).map(({ name }) => name);
    };
    assert.deepEqual(await names("api.example.com"), ["shop.v1.Public"]);
    assert.deepEqual(await names("x.partners.example.com"), ["shop.v1.Partner"]);
    const index = (await askHost(port, "/openapi.json?index", "api.example.com")).text;
    assert.doesNotMatch(index, /Partner/);
    const explained = async (host: string): Promise<unknown> => {
      const headers = { "content-type": "application/json" };
      const body = JSON.stringify({ method: "PUT", target: "/v1/items", headers: [], body: "{}" });
      const answer = await askHost(port, "/docs/explain", host, { method: "POST", headers, body });
      return (JSON.parse(answer.text) as { outcome?: unknown }).outcome;
    };
    assert.notEqual(await explained("api.example.com"), "found");
  });

  it("sockets of rooms, their REST API and pass-through prefixes are served where their paths are named", async () => {
    assert.equal((await askHost(port, "/legacy/a", "chat.example.com")).text, "legacy /a");
    assert.equal(await status("/legacy/a", "api.example.com"), 404);
    assert.equal(await status("/chat/rooms", "chat.example.com"), 200);
    assert.equal(await status("/chat/rooms", "api.example.com"), 404);
    const socket = new WebSocket(`ws://127.0.0.1:${port}/ws`, { headers: { host: "chat.example.com" } });
    await once(socket, "open");
    socket.terminate();
    assert.equal(await refusal("/ws", "api.example.com"), 404);
    assert.equal(await refusal("/ws", "evil.test"), 421);
    assert.equal(await refusal("/legacy/ws", "api.example.com"), 404);
  });

  it("a streaming method opens a WebSocket at the hosts of its service alone", async () => {
    const headers = { host: "a.partners.example.com" };
    const socket = new WebSocket(`ws://127.0.0.1:${port}/v1/watch`, { headers });
    await once(socket, "open");
    socket.terminate();
    assert.equal(await refusal("/v1/watch", "api.example.com"), 404);
  });

  it("a listener with hosts of its own serves what is within both", async () => {
    assert.equal(await status("/v1/items/7", "a.eu.partners.example.com", inside), 200);
    assert.equal(await status("/legacy/a", "chat.example.com", inside), 200);
    for (const host of ["a.partners.example.com", "eu.partners.example.com", "api.example.com"])
      assert.equal(await status("/v1/items/7", host, inside), 421, host);
  });

  it("a reload changes hosts, and what clients lose is named with its host", async () => {
    const own = await startListeners(`{ address: "127.0.0.1:0", engine: ENGINE }`, text, {
      "protos/shop.proto": proto,
    });
    const at = (host: string): Promise<number> => status("/v1/items/7", host, own.gateway.httpPort);
    try {
      const fewer = text.replace(
        "API.example.com: { services: [shop.v1.Public,",
        "'*': { services: [shop.v1.Public,",
      );
      assert.equal(await at("any.test"), 421);
      assert.equal(await own.reload(`{ address: "127.0.0.1:0", engine: ENGINE }`, fewer), undefined);
      const { last_reload: last } = (await own.config()) as { last_reload: Record<string, string[]> };
      assert.ok(last.routes_added?.includes("GET /v1/items/{id}"));
      assert.ok(last.routes_removed?.includes("GET /v1/items/{id} at api.example.com"));
      assert.ok(last.changed?.some(path => path.startsWith("http.hosts")));
    } finally {
      await own.close();
    }
  });

  /** The status that a socket is refused with. */
  async function refusal(path: string, host: string): Promise<number> {
    const socket = new WebSocket(`ws://127.0.0.1:${port}${path}`, { headers: { host } });
    const [, response] = (await once(socket, "unexpected-response")) as [unknown, { statusCode: number }];
    socket.on("error", () => undefined);
    socket.terminate();
    return response.statusCode;
  }

  /** A client that names another host than it connects to. */
  function grpcClient(authority: string) {
    const Client = makeGenericClientConstructor({}, "any");
    const options = { "grpc.default_authority": authority, "grpc.enable_retries": 0 };
    return new Client(`127.0.0.1:${port}`, credentials.createInsecure(), options);
  }

  async function callGrpc(
    authority: string,
    path: string,
    request: Buffer = Buffer.alloc(0),
  ): Promise<{ readonly code: number | undefined }> {
    const client = grpcClient(authority);
    const same = (bytes: Buffer): Buffer => bytes;
    const error = await new Promise<ServiceError | null>(done => {
      client.makeUnaryRequest(path, same, same, request, failure => done(failure));
    });
    client.close();
    return { code: error?.code };
  }

  async function streamGrpc(
    authority: string,
    path: string,
    request: Buffer,
  ): Promise<{ readonly code: number | undefined; readonly bytes: Buffer }> {
    const client = grpcClient(authority);
    const same = (bytes: Buffer): Buffer => bytes;
    const call = client.makeBidiStreamRequest(path, same, same);
    const chunks: Buffer[] = [];
    call.on("data", (bytes: Buffer) => chunks.push(bytes));
    const ended = new Promise<number | undefined>(done => {
      call.on("error", (error: ServiceError) => done(error.code));
      call.on("end", () => done(undefined));
    });
    call.write(request);
    call.end();
    const code = await ended;
    client.close();
    return { code, bytes: Buffer.concat(chunks) };
  }
});
