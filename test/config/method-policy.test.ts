import assert from "node:assert/strict";
import { test } from "node:test";
import { methodPolicy } from "../../src/config/method-policy.js";
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
    methods:
      Get: { json: { enums: name }, errors: problem, timeout: 1s, metadata: { response: [] }, query: { ignore: [b] }, limits: { body: 1KiB }, validate: false }
http: { query: { unknown: ignore, ignore: [a] } }
`);

const policy = (service: 0 | 1, method: string) => {
  const upstream = config.upstreams.chat;
  const exposed = config.services[service];
  assert.ok(upstream !== undefined && exposed !== undefined);
  return methodPolicy(config, exposed, upstream, method);
};

test("a method without keys of its own is as its service, and that as the defaults", () => {
  assert.deepEqual(policy(0, "Get"), {
    json: { enums: "name", int64: "string", emit_defaults: false, names: "json", unknown_fields: "reject" },
    errors: "status",
    empty_response: 200,
    timeout: 7000,
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
    errors: "problem",
    empty_response: 204,
    timeout: 1000,
    metadata: { request: ["x-a"], response: [] },
    query: { unknown: "reject", ignore: ["b"] },
    limits: { body: 1024 },
    validate: false,
    auth: "none",
    rate_limits: [],
  });
});
