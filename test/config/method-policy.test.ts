import assert from "node:assert/strict";
import { test } from "node:test";
import { type MethodPolicy, methodPolicy } from "../../src/bindings/policy.js";
import { Workspace } from "./workspace.js";

const config = new Workspace().config(`
listeners: { http: { address: ":0" } }
upstreams: { chat: { targets: ["a:1"], timeout: 7s } }
services:
  - { service: a.A, upstream: chat }
  - service: a.B
    upstream: chat
    json: { enums: number, names: proto }
    errors: google
    empty_response: 204
    timeout: 2s
    metadata: { request: [x-a], response: [x-b] }
    query: { unknown: reject }
    limits: { body: 2KiB }
    success_status: X-Http-Code
    status_codes: { 5000-5999: 400 }
    methods:
      Get: { content_types: any, status_codes: { 5002: 404 }, json: { enums: name }, errors: problem, timeout: 1s, metadata: { response: [] }, query: { ignore: [b] }, limits: { body: 1KiB }, validate: false }
http: { query: { unknown: ignore, ignore: [a] } }
`);

const policy = (service: 0 | 1, method: string) => {
  const upstream = config.upstreams.chat;
  const exposed = config.services[service];
  assert.ok(upstream !== undefined && exposed !== undefined);
  return plain(methodPolicy(config, exposed, upstream, method));
};

/** Records that users name the keys of have no prototype, which is not compared here. */
function plain({ status_codes, ...policy }: MethodPolicy) {
  return { ...policy, status_codes: status_codes.map(codes => ({ ...codes })) };
}

test("a method without keys of its own is as its service, and that as the defaults", () => {
  assert.deepEqual(policy(0, "Get"), {
    json: { enums: "name", int64: "string", emit_defaults: false, names: "json", unknown_fields: "reject" },
    content_types: "json",
    status_codes: [{}, {}, {}],
    success_status: undefined,
    protocols: undefined,
    errors: "status",
    empty_response: 200,
    timeout: 7000,
    stream_timeout: undefined,
    stream: "array",
    sse: { heartbeat: 15_000 },
    metadata: { request: [], response: [] },
    query: { unknown: "ignore", ignore: ["a"] },
    limits: { body: 1024 * 1024 },
    validate: true,
    auth: "none",
    rate_limits: [],
  });
});

test("a method's keys override its service's one by one", () => {
  assert.deepEqual(policy(1, "Get"), {
    json: { enums: "name", int64: "string", emit_defaults: false, names: "proto", unknown_fields: "reject" },
    content_types: "any",
    status_codes: [{ "5002": 404 }, { "5000-5999": 400 }, {}],
    success_status: "x-http-code",
    protocols: undefined,
    errors: "problem",
    empty_response: 204,
    timeout: 1000,
    stream_timeout: 1000,
    stream: "array",
    sse: { heartbeat: 15_000 },
    metadata: { request: ["x-a"], response: [] },
    query: { unknown: "reject", ignore: ["b"] },
    limits: { body: 1024 },
    validate: false,
    auth: "none",
    rate_limits: [],
  });
});

test("service_defaults hold for every service and method that does not say otherwise, key by key", () => {
  const { services, upstreams, ...rest } = new Workspace().config(`
listeners: { http: { address: ":0" } }
upstreams: { chat: { targets: ["a:1"], timeout: 7s } }
auth: { providers: { keys: { type: jwt, secret: "0123456789012345678901234567890123", algorithms: [HS256] } } }
service_defaults:
  json: { names: proto, enums: number }
  errors: google
  timeout: 3s
  metadata: { request: [x-a] }
  query: { ignore: [b] }
  limits: { body: 2KiB }
  status_codes: { 2000-2999: 400 }
  auth: [keys]
  validate: false
services:
  - { service: a.A, upstream: chat, json: { enums: name }, metadata: { response: [x-b] }, methods: { Get: { errors: problem, auth: none } } }
`);
  const [service] = services;
  const { chat } = upstreams;
  assert.ok(service !== undefined && chat !== undefined);
  const defaults = {
    json: { enums: "name", int64: "string", emit_defaults: false, names: "proto", unknown_fields: "reject" },
    content_types: "json",
    status_codes: [{}, {}, { "2000-2999": 400 }],
    success_status: undefined,
    protocols: undefined,
    errors: "google",
    empty_response: 200,
    timeout: 3000,
    stream_timeout: undefined,
    stream: "array",
    sse: { heartbeat: 15_000 },
    metadata: { request: ["x-a"], response: ["x-b"] },
    query: { unknown: "reject", ignore: ["b"] },
    limits: { body: 2048 },
    validate: false,
    auth: ["keys"],
    rate_limits: [],
  };
  const config = { services, upstreams, ...rest };
  assert.deepEqual(plain(methodPolicy(config, service, chat, "List")), defaults);
  assert.deepEqual(plain(methodPolicy(config, service, chat, "Get")), {
    ...defaults,
    errors: "problem",
    auth: "none",
  });
});
