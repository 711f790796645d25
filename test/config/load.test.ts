import assert from "node:assert/strict";
import { test } from "node:test";
import { Workspace } from "./workspace.js";

const workspace = new Workspace({
  "tls/cert.pem": "",
  "tls/key.pem": "",
  "protos/a.proto": "",
  "third_party/b.proto": "",
  "api.binpb": "",
});

/** Records have no prototype, which `deepEqual` would tell apart. */
const plain = (value: unknown): unknown => JSON.parse(JSON.stringify(value));

test("a file with only a listener gets every default", () => {
  assert.deepEqual(plain(workspace.config("listeners:\n  http: { address: 0.0.0.0:8080 }\n")), {
    listeners: {
      http: { address: "0.0.0.0:8080", engine: "fastify" },
      admin: { address: "127.0.0.1:9090" },
    },
    descriptors: [],
    upstreams: {},
    services: [],
    service_defaults: {
      bindings: ["annotations"],
      prefix: "",
      json: { enums: "name", int64: "string", emit_defaults: false, names: "json", unknown_fields: "reject" },
      content_types: "json",
      status_codes: {},
      errors: "status",
      empty_response: 200,
      metadata: { request: [], response: [] },
      stream: "array",
      sse: { heartbeat: 15_000 },
      validate: true,
    },
    http: {
      rules: [],
      limits: {
        body: 1_048_576,
        header: 16_384,
        depth: 100,
        request_timeout: 30_000,
        streams: 128,
        resets: 1000,
      },
      proxy: [],
      security_headers: {},
      query: { unknown: "reject", ignore: [] },
      errors: "status",
      forwarded: { trusted_hops: 0 },
    },
    auth: { default: "none", providers: {}, policies: [] },
    rate_limits: {},
    telemetry: {
      log: { level: "info", subject: "none", upstream_address: false },
      metrics: { buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10] },
    },
    server: { workers: 1, drain: 30_000 },
    reload: { watch: false, breaking: "warn" },
  });
});

test("an upstream and a service with only what is required get every default", () => {
  const config = workspace.config(`
listeners: { http: { address: ":0" } }
upstreams:
  chat: { targets: [localhost:1], keepalive: {}, health: {}, retry: {} }
services:
  - { service: chat.v1.Rooms, upstream: chat, methods: { Get: {} } }
`);
  assert.deepEqual(plain(config.upstreams), {
    chat: {
      protocol: "grpc",
      targets: ["localhost:1"],
      balancing: "round_robin",
      transport: "lean",
      timeout: 5000,
      max_message_size: 4_194_304,
      keepalive: { time: 30_000, timeout: 10_000 },
      health: { service: "" },
      retry: { attempts: 3, on: ["UNAVAILABLE"], backoff: 50, max_backoff: 1000, budget: 0.2 },
    },
  });
  assert.deepEqual(plain(config.services), [
    {
      service: "chat.v1.Rooms",
      upstream: "chat",
      methods: { Get: {} },
    },
  ]);
});

const everything = `
listeners:
  http: { address: "[::1]:8080", engine: fastify, tls: { cert: ./tls/cert.pem, key: tls/key.pem } }
  admin: { address: ":9091", tls: { cert: tls/cert.pem, key: tls/key.pem }, token: s3cret, client_ca: tls/cert.pem }
descriptors:
  - protos: ./protos
    include: [./third_party]
  - set: ./api.binpb
  - reflection: chat
    refresh: 10m
  - reflection: plain
upstreams:
  chat:
    protocol: grpc
    targets: [dns:///chat.internal:50051, 10.0.0.7:50051, "[::1]:50051", unix:/run/chat.sock]
    balancing: least_request
    tls: { ca: ./tls/cert.pem, cert: ./tls/cert.pem, key: ./tls/key.pem, server_name: chat.internal }
    timeout: 1h
    max_message_size: 64KiB
    keepalive: { time: 1m, timeout: 250ms }
    health: { service: chat.v1.Rooms }
    retry: { attempts: 10, on: [UNAVAILABLE, ABORTED], backoff: 1s, max_backoff: 1s, budget: 1 }
  plain: { targets: [localhost:1], tls: true, max_message_size: 1024 }
services:
  - service: chat.v1.Rooms
    upstream: chat
    bindings: [annotations, convention, auto]
    prefix: /chat/v1
    json: { enums: number, int64: number, emit_defaults: true, names: proto, unknown_fields: ignore }
    errors: chat-api
    empty_response: 204
    timeout: 2s
    metadata: { request: [X-Request-Id, authorization], response: [Set-Cookie] }
    query: { unknown: ignore, ignore: [utm_source] }
    auth: none
    methods:
      Get: { json: { enums: name }, errors: problem, empty_response: 200, timeout: 1s, metadata: { request: [] }, query: { ignore: [] }, auth: none }
      __proto__: { timeout: 3s }
http:
  rules:
    - selector: chat.v1.Rooms.Get
      custom: { kind: HEAD, path: "/v1/{name=rooms/*}" }
      additional_bindings:
        - { post: "/v1/rooms:get", body: "*", response_body: room }
    - { selector: chat.v1.Rooms.List, get: /v1/rooms }
  limits: { body: 2MiB, header: 1KiB, depth: 1000, request_timeout: 1s, streams: 1000, resets: 10 }
  query: { unknown: ignore, ignore: [a, b] }
  forwarded: { trusted_hops: 2 }
auth: { default: none }
telemetry: { log: { level: debug }, metrics: { buckets: [0.1, 1] } }
server: { workers: 1, drain: 0s }
`;

test("every available key is loaded: durations as milliseconds, sizes as bytes, paths absolute", () => {
  const config = workspace.config(everything);
  const file = (name: string) => workspace.path(name);
  assert.deepEqual(plain(config.listeners), {
    http: {
      address: "[::1]:8080",
      engine: "fastify",
      tls: { cert: file("tls/cert.pem"), key: file("tls/key.pem") },
    },
    admin: {
      address: ":9091",
      tls: { cert: file("tls/cert.pem"), key: file("tls/key.pem") },
      token: "s3cret",
      client_ca: file("tls/cert.pem"),
    },
  });
  assert.deepEqual(plain(config.descriptors), [
    { protos: file("protos"), include: [file("third_party")], exclude: [] },
    { set: file("api.binpb") },
    { reflection: "chat", refresh: 600_000 },
    { reflection: "plain" },
  ]);
  const chat = config.upstreams.chat;
  assert.equal(chat?.timeout, 3_600_000);
  assert.equal(chat?.max_message_size, 65_536);
  assert.deepEqual(plain(chat?.keepalive), { time: 60_000, timeout: 250 });
  assert.deepEqual(plain(chat?.tls), {
    ca: file("tls/cert.pem"),
    cert: file("tls/cert.pem"),
    key: file("tls/key.pem"),
    server_name: "chat.internal",
  });
  assert.equal(config.upstreams.plain?.tls, true);
  assert.equal(config.upstreams.plain?.max_message_size, 1024);
  assert.deepEqual(plain(config.services[0]?.metadata), {
    request: ["x-request-id", "authorization"],
    response: ["set-cookie"],
  });
  assert.deepEqual(plain(config.services[0]?.methods.Get), {
    json: { enums: "name" },
    errors: "problem",
    empty_response: 200,
    timeout: 1000,
    metadata: { request: [] },
    query: { ignore: [] },
    auth: "none",
  });
  assert.deepEqual(plain(config.http.rules), [
    {
      selector: "chat.v1.Rooms.Get",
      custom: { kind: "HEAD", path: "/v1/{name=rooms/*}" },
      additional_bindings: [{ post: "/v1/rooms:get", body: "*", response_body: "room" }],
    },
    { selector: "chat.v1.Rooms.List", get: "/v1/rooms", additional_bindings: [] },
  ]);
  assert.deepEqual(plain(config.http.limits), {
    body: 2_097_152,
    header: 1024,
    depth: 1000,
    request_timeout: 1000,
    streams: 1000,
    resets: 10,
  });
  assert.equal(config.http.forwarded.trusted_hops, 2);
  assert.equal(config.server.drain, 0);
});

test("a name chosen by the user never reaches a prototype", () => {
  const { services, upstreams } = workspace.config(everything);
  const methods = services[0]?.methods;
  assert.ok(methods !== undefined);
  assert.deepEqual(Object.keys(methods), ["Get", "__proto__"]);
  assert.equal(Object.getPrototypeOf(methods), null);
  assert.equal(methods.constructor, undefined);
  assert.equal(Object.getPrototypeOf(upstreams), null);
});

test("an alias stands for what its anchor holds", () => {
  const config = workspace.config(`
listeners: { http: { address: ":0" } }
upstreams:
  a: &a { targets: &targets [localhost:1], timeout: &t 1s }
  b: *a
  c: { targets: *targets, timeout: *t }
`);
  assert.deepEqual(plain(config.upstreams.b), plain(config.upstreams.a));
  assert.deepEqual(plain(config.upstreams.c), plain(config.upstreams.a));
});
