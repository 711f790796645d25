import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { resolve } from "node:path";
import { after, before, describe, it } from "node:test";
import { signShared } from "../auth/tokens.js";
import {
  type Answer,
  echo,
  send,
  startBackend,
  startTestGateway,
  type TestGateway,
} from "../gateway/harness.js";

const secret = "0123456789abcdef0123456789abcdef";
const assets = resolve(import.meta.dirname, "../../src/docs-page/assets");

const proto = `
syntax = "proto3";
package shop.v1;
import "buf/validate/validate.proto";
import "google/api/annotations.proto";
// Sells things.
service Shop {
  // Adds an order. It is paid later.
  rpc AddOrder(Order) returns (Order) { option (google.api.http) = { post: "/v1/users/{user}/orders" body: "*" }; }
  rpc FindOrders(Query) returns (Order) { option (google.api.http) = { get: "/v1/orders" }; }
  rpc Anything(Order) returns (Order) { option (google.api.http) = { get: "/v1/{user=any/**}/thing" }; }
  rpc Watch(Order) returns (stream Order) { option (google.api.http) = { get: "/v1/users/{user}/watch" }; }
  rpc Upload(stream Order) returns (Order) { option (google.api.http) = { post: "/v1/upload" body: "*" }; }
  rpc Hidden(Order) returns (Order);
}
message Order { string user = 1; string text = 2 [(buf.validate.field).string.max_len = 10]; int64 cents = 3; repeated string tags = 4; }
message Query { string text = 1; int32 size = 2; }
`;

const yaml = (port: number): string => `
descriptors: [{ protos: ./protos }]
upstreams: { shop: { targets: ["127.0.0.1:${port}"] } }
services:
  - service: shop.v1.Shop
    upstream: shop
    protocols: [rest, connect, grpc]
    rate_limit: calm
    methods: { AddOrder: { auth: [users, keys] } }
rate_limits: { calm: { requests: 1000, per: 1m, key: ip } }
auth:
  providers:
    users: { type: jwt, secret: "${secret}", algorithms: [HS256] }
    keys: { type: jwt, secret: "${secret}", algorithms: [HS256], query: key }
    guests: { type: jwt, secret: "${secret}", algorithms: [HS256], header: x-guest }
  policies:
    - { name: own, match: { rpc: shop.v1.Shop/AddOrder }, require: { scopes: [write], claims: { tier: "very-secret-tier" }, rule: "subject == request.user" } }
http:
  docs: { path: /help, openapi: /api.json, title: "Shop & <b>more</b> $&", auth: [guests] }
`;

describe("the documents page", () => {
  let gateway: TestGateway;
  let backend: Awaited<ReturnType<typeof startBackend>>;
  let guest: string;
  before(async () => {
    backend = await startBackend({ "/shop.v1.Shop/AddOrder": echo });
    gateway = await startTestGateway(yaml(backend.port), { "protos/shop.proto": proto });
    guest = await signShared(secret, { sub: "guest" });
  });
  after(async () => {
    await gateway.close();
    await backend.close();
  });

  const get = (path: string, headers: Record<string, string> = {}): Promise<Answer> =>
    send(`${gateway.url}${path}`, { headers: { "x-guest": guest, ...headers } });
  const explain = (request: unknown): Promise<Answer> =>
    send(`${gateway.url}/help/explain`, {
      method: "POST",
      headers: { "content-type": "application/json", "x-guest": guest },
      body: typeof request === "string" ? request : JSON.stringify(request),
    });

  it("the documents page is under the guard that http.docs.auth names, every part of it", async () => {
    for (const path of ["", "/main.js", "/theme.css", "/docs.css", "/catalog.json", "/gateway.json"])
      assert.equal((await send(`${gateway.url}/help${path}`)).status, 401, path);
    const answer = await send(`${gateway.url}/help/explain`, { method: "POST", body: "{}" });
    assert.equal(answer.status, 401);
  });

  it("the documents page is HTML with a strict policy, no inline script or style, and the title as text", async () => {
    const { status, headers, text } = await get("/help");
    assert.equal(status, 200);
    assert.equal(headers.get("content-type"), "text/html; charset=utf-8");
    const policy = headers.get("content-security-policy") ?? "";
    assert.match(policy, /^default-src 'none'; script-src 'self'; style-src 'self';/);
    assert.match(policy, /frame-ancestors 'none'/);
    assert.ok(!policy.includes("unsafe"));
    assert.equal(headers.get("x-content-type-options"), "nosniff");
    assert.equal(headers.get("referrer-policy"), "no-referrer");
    assert.ok(!/<style|\son\w+=|style=/.test(text));
    assert.deepEqual(
      [...text.matchAll(/<script[^>]*>/g)].map(([tag]) => tag),
      ['<script type="module" src="/help/main.js">'],
    );
    assert.ok(text.includes("<title>Shop &#38; &#60;b&#62;more&#60;/b&#62; $&#38;</title>"), text);
  });

  it("the documents page has all of its files, each 304 for a client that has it, and loads nothing from elsewhere", async () => {
    for (const name of readdirSync(assets)) {
      const path = name === "index.html" ? "/help" : `/help/${name}`;
      const { status, headers, text } = await get(path);
      assert.equal(status, 200, path);
      const again = await get(path, { "if-none-match": headers.get("etag") ?? "" });
      assert.deepEqual([again.status, again.text], [304, ""], path);
      assert.ok(!/(?:src|href|from|import|url)\s*[=(]?\s*["'(]https?:/.test(text), path);
      for (const [, imported = ""] of text.matchAll(/from "\.\/([^"]+)"/g))
        assert.ok(readFileSync(resolve(assets, imported)).length > 0, imported);
    }
  });

  it("the documents page makes nodes of text in one place, and never parses markup", () => {
    for (const name of readdirSync(assets).filter(each => each.endsWith(".js"))) {
      const text = readFileSync(resolve(assets, name), "utf8");
      assert.ok(
        !/innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|DOMParser/.test(text),
        name,
      );
      if (name !== "dom.js") assert.ok(!text.includes("createElement"), name);
    }
  });

  it("the documents page lists operations with who may call, limits, other protocols, and why OpenAPI has not all of them", async () => {
    const { json: catalog } = await get("/help/catalog.json");
    const [shop] = catalog.services;
    assert.deepEqual([shop.name, shop.comment], ["shop.v1.Shop", "Sells things."]);
    const byName = Object.fromEntries(shop.operations.map((each: { name: string }) => [each.name, each]));
    assert.deepEqual(byName.AddOrder, {
      name: "AddOrder",
      method: "POST",
      template: "/v1/users/{user}/orders",
      path: "/v1/users/{user}/orders",
      summary: "Adds an order",
      comment: "Adds an order. It is paid later.",
      rpc: "/shop.v1.Shop/AddOrder",
      rest: true,
      protocols: ["connect", "grpc"],
      auth: ["users", "keys"],
      limits: ["calm"],
    });
    assert.equal(byName.Watch.kind, "server");
    assert.match(byName.Anything.unlisted, /any number of segments/);
    assert.deepEqual(
      [byName.Hidden.rest, byName.Hidden.template, byName.Hidden.unlisted],
      [false, "/shop.v1.Shop/Hidden", "it has no REST route"],
    );
    assert.deepEqual(catalog.limits, { calm: "1000 requests in 60 s, for each ip" });
    assert.equal((await get(shop.document)).status, 200);
    assert.ok(!JSON.stringify(catalog).includes(secret));
  });

  it("the OpenAPI document lists the page as one route without an operation, and none of its files", async () => {
    const { json } = await get("/api.json");
    const unlisted: { readonly template: string }[] = json["x-protogate-unlisted"];
    const templates = unlisted.map(({ template }) => template);
    assert.deepEqual(
      templates.filter(template => !template.startsWith("/v1/")),
      ["/api.json", "/api.yaml", "/help"],
    );
  });

  it("explains a request: route, fields, message, providers, policies and limits, without secrets and without a call", async () => {
    const { json, text } = await explain({
      method: "post",
      target: "/v1/users/ann/orders?key=hush-hush",
      headers: [
        ["Content-Type", "application/json"],
        ["Authorization", "Bearer top.secret.token"],
      ],
      body: '{"text":"tea","cents":9007199254740993}',
    });
    assert.equal(json.route.rpc, "shop.v1.Shop.AddOrder");
    assert.deepEqual(json.request, { user: "ann", text: "tea", cents: "9007199254740993" });
    assert.deepEqual(json.providers, [
      { name: "users", type: "jwt", reads: ["header authorization: bearer"], present: true },
      { name: "keys", type: "jwt", reads: ["query parameter key"], present: true },
    ]);
    assert.deepEqual(json.policies, [
      { name: "own", demands: ["the scopes write", "the claims tier", "that subject == request.user"] },
    ]);
    assert.deepEqual(json.limits, [{ name: "calm", allows: "1000 requests in 60 s, for each ip" }]);
    assert.ok(!/top\.secret|hush-hush|very-secret-tier/.test(text), text);
    assert.equal(backend.calls.length, 0);
  });

  const refusals: readonly (readonly [
    what: string,
    request: object,
    refused: readonly [number, string, string],
  ])[] = [
    [
      "a path that another value contradicts",
      { method: "POST", target: "/v1/users/ann/orders", body: '{"user":"bob"}' },
      [400, "FIELD_COLLISION", "user"],
    ],
    [
      "an unknown field with the nearest one",
      { method: "POST", target: "/v1/users/ann/orders", body: '{"txt":""}' },
      [400, "UNKNOWN_FIELD", "txt"],
    ],
    [
      "a body that is no JSON",
      { method: "POST", target: "/v1/users/ann/orders", body: "{" },
      [400, "MALFORMED_JSON", ""],
    ],
    [
      "another content type",
      {
        method: "POST",
        target: "/v1/users/ann/orders",
        headers: [["content-type", "text/plain"]],
        body: "{}",
      },
      [415, "UNSUPPORTED_MEDIA_TYPE", ""],
    ],
    [
      "a message that breaks its rules",
      { method: "POST", target: "/v1/users/ann/orders", body: '{"text":"longer than ten"}' },
      [400, "VALIDATION_FAILED", "text"],
    ],
    [
      "an unknown parameter",
      { method: "GET", target: "/v1/orders?sise=1" },
      [400, "UNKNOWN_PARAMETER", "sise"],
    ],
    ["a broken escape", { method: "GET", target: "/v1/%zz" }, [400, "MALFORMED_PATH", ""]],
  ];
  for (const [what, request, expected] of refusals)
    it(`explains that ${what} is refused`, async () => {
      const { json } = await explain(request);
      const { status, reason, field } = json.refused ?? {};
      assert.deepEqual([status, reason, field], expected);
    });

  it("explains the first message of a client stream, and says what it does not decode", async () => {
    const lines = await explain({
      method: "POST",
      target: "/v1/upload",
      body: '{"text":"one"}\n{"text":"two"}',
    });
    assert.deepEqual(lines.json.request, { text: "one" });
    assert.match(lines.json.note, /stream of messages/);
    const large = await explain({
      method: "POST",
      target: "/v1/users/ann/orders",
      body: JSON.stringify({ tags: ["x".repeat(100_000)] }),
    });
    assert.equal(large.json.request, undefined);
    assert.match(large.json.note, /too long to be shown/);
  });

  it("the documents page explains a path without a route, and a path with routes for other methods only", async () => {
    assert.equal((await explain({ method: "GET", target: "/nowhere" })).json.outcome, "none");
    const { json } = await explain({ method: "DELETE", target: "/v1/orders" });
    assert.deepEqual([json.outcome, json.allow], ["method", ["GET", "HEAD", "OPTIONS"]]);
  });

  it("the documents page refuses to explain what is no request, with what was expected", async () => {
    const cases: readonly (readonly [unknown, RegExp])[] = [
      [{}, /method not provided/],
      [{ method: "GET", target: "x" }, /target: expected a path/],
      [{ method: "G T", target: "/" }, /method: expected an HTTP method/],
      [{ method: "GET", target: "/", headers: [["a"]] }, /headers: expected pairs/],
      [{ method: "GET", target: "/", headrs: [] }, /headrs: unknown field; did you mean \\?"headers/],
      ["[", /not valid JSON/],
      [{ method: "GET", target: "/", body: "x".repeat(600_000) }, /limited to/],
    ];
    for (const [request, says] of cases) {
      const answer = await explain(request);
      assert.ok(answer.status === 400 || answer.status === 413, answer.text);
      assert.match(answer.json.message, says);
    }
  });

  it("the documents page is not there without http.docs.path, and serves the next generation after a reload", async () => {
    const before = await get("/help/catalog.json");
    gateway.write("protos/shop.proto", proto.replace("Sells things.", "Sells other things."));
    await gateway.reload();
    const after = await get("/help/catalog.json", { "if-none-match": before.headers.get("etag") ?? "" });
    assert.equal(after.json.services[0].comment, "Sells other things.");
    gateway.write("gateway.yaml", yaml(backend.port).replace("path: /help, ", ""));
    await gateway.reload();
    assert.equal((await get("/help")).status, 404);
    assert.equal((await get("/api.json")).status, 200);
  });
});
