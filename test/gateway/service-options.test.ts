import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { status as grpc, Metadata } from "@grpc/grpc-js";
import {
  type Backend,
  echo,
  type RawHandler,
  startBackend,
  startTestGateway,
  type TestGateway,
} from "./harness.js";

const orders = `syntax = "proto3"; package shop.v1;
import "google/api/annotations.proto"; import "google/protobuf/empty.proto";
message Item { string id = 1; }
service Orders {
  rpc Get(Item) returns (Item) { option (google.api.http) = { get: "/orders/{id}" }; }
  rpc Create(Item) returns (Item) { option (google.api.http) = { post: "/orders" body: "*" }; }
  rpc Drop(Item) returns (google.protobuf.Empty) { option (google.api.http) = { delete: "/orders/{id}" }; }
}`;

const stock = `syntax = "proto3"; package shop.v1.stock;
import "google/api/annotations.proto"; import "shop.proto";
service Stock { rpc Get(shop.v1.Item) returns (shop.v1.Item) { option (google.api.http) = { get: "/stock/{id}" }; } }
service Secret { rpc Get(shop.v1.Item) returns (shop.v1.Item) { option (google.api.http) = { get: "/secret/{id}" }; } }`;

/** Fails with the code that the request's id names. */
const failing: RawHandler = (call, reply) => {
  const code = Number(call.request.subarray(2).toString());
  reply({ code, details: "as asked", name: "", message: "" });
};

/** Succeeds with the status that the request's id names, as initial or trailing metadata. */
const choosing: RawHandler = (call, reply) => {
  const [where, status = ""] = call.request.subarray(2).toString().split("-");
  const metadata = new Metadata();
  metadata.set("x-http-code", status);
  if (where === "initial") call.sendMetadata(metadata);
  reply(null, call.request, where === "trailing" ? metadata : undefined);
};

describe("options of services", () => {
  let backend: Backend;
  let gateway: TestGateway;
  before(async () => {
    backend = await startBackend({
      "/shop.v1.Orders/Get": failing,
      "/shop.v1.Orders/Create": choosing,
      "/shop.v1.Orders/Drop": (_call, reply) => reply(null, Buffer.alloc(0)),
      "/shop.v1.stock.Stock/Get": echo,
      "/shop.v1.stock.Secret/Get": echo,
    });
    gateway = await startTestGateway(
      `descriptors: [{ protos: ./protos }]
upstreams: { echo: { targets: ["127.0.0.1:${backend.port}"] } }
service_defaults: { content_types: any, status_codes: { 7000-7999: 403 } }
services:
  - { service: "shop.**", upstream: echo, prefix: "/{package}" }
  - { service: "shop.v1.stock.**", upstream: echo, prefix: /inner, content_types: json, methods: { Get: { errors: google } } }
  - service: shop.v1.Orders
    upstream: echo
    status_codes: { 2000-2999: 400, 2020: 409, 5002: 404 }
    success_status: X-Http-Code
http: { cors: { origins: ["https://app.example.com"] } }
`,
      { "protos/shop.proto": orders, "protos/stock.proto": stock },
    );
  });
  after(async () => {
    await gateway.close();
    await backend.close();
  });

  const get = (path: string) => fetch(`${gateway.url}${path}`);

  it("a pattern exposes every service that it names, under the entry that fits best", async () => {
    assert.equal((await get("/inner/stock/1")).status, 200);
    assert.equal((await get("/inner/secret/1")).status, 200);
    assert.equal((await get("/shop.v1.stock/stock/1")).status, 404, "the longer pattern has it");
    assert.equal((await get("/orders/5002")).status, 404, "the exact name has it");
    assert.equal((await get("/shop.v1/orders/5002")).status, 404);
  });

  for (const [code, status] of [
    [5002, 404],
    [2000, 400],
    [2020, 409],
    [2999, 400],
    [3000, 500],
    [7001, 403],
    [1501, 500],
    [10001, 500],
    [grpc.NOT_FOUND, 404],
  ] as const) {
    it(`the backend's code ${code} is ${status}, in the response and in the metrics`, async () => {
      const response = await get(`/orders/${code}`);
      assert.equal(response.status, status);
      assert.equal(((await response.json()) as { code: number }).code, code);
      const metrics = await (await fetch(`${gateway.admin}/metrics`)).text();
      assert.match(metrics, new RegExp(`route="/orders/{id}",method="GET",code="${status}"`));
    });
  }

  const create = (id: string, headers: Record<string, string> = {}) =>
    fetch(`${gateway.url}/orders`, { method: "POST", body: Buffer.from(JSON.stringify({ id })), headers });

  for (const where of ["initial", "trailing"]) {
    for (const [chosen, status] of [
      ["201", 201],
      ["202", 202],
      ["299", 299],
      ["300", 200],
      ["404", 200],
      ["100", 200],
      ["2000", 200],
      ["abc", 200],
    ] as const) {
      it(`a success is ${status} for the ${where} metadata ${chosen}`, async () => {
        const response = await create(`${where}-${chosen}`);
        assert.equal(response.status, status);
        assert.deepEqual(await response.json(), { id: `${where}-${chosen}` });
        assert.equal(response.headers.get("x-http-code"), null);
      });
    }
    for (const status of [204, 205]) {
      it(`no content is sent with ${status}, chosen by ${where} metadata`, async () => {
        const response = await create(`${where}-${status}`);
        assert.equal(response.status, status);
        assert.equal(await response.text(), "");
      });
    }
  }

  for (const type of [
    undefined,
    "text/plain",
    "application/x-www-form-urlencoded",
    "application/json; charset=latin1",
    "nonsense",
  ]) {
    it(`a body of content type ${type ?? "none"} is read as JSON with content_types: any`, async () => {
      const response = await create("initial-201", type === undefined ? {} : { "content-type": type });
      assert.equal(response.status, 201);
    });

    it(`a body of content type ${type ?? "none"} of a foreign page is refused with content_types: any`, async () => {
      const headers: Record<string, string> = { origin: "https://evil.example" };
      if (type !== undefined) headers["content-type"] = type;
      const response = await create("initial-201", headers);
      const json = /^application\/json/.test(type ?? "");
      assert.equal(response.status, json ? 201 : 403);
      if (!json) assert.equal(((await response.json()) as { reason: string }).reason, "ORIGIN_NOT_ALLOWED");
    });
  }

  it("a body of any content type of a listed origin is read with content_types: any", async () => {
    const headers = { origin: "https://app.example.com", "content-type": "text/plain" };
    assert.equal((await create("initial-201", headers)).status, 201);
  });
});
