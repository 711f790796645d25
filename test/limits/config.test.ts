import assert from "node:assert/strict";
import { test } from "node:test";
import { methodPolicy } from "../../src/bindings/policy.js";
import { Workspace } from "../config/workspace.js";

const workspace = new Workspace();
const listener = 'listeners: { http: { address: ":0" } }\n';
const service = `${listener}upstreams: { u: { targets: ["a:1"] } }\n`;

test("a limit has defaults for all but what it limits", () => {
  const { rate_limits: limits } = workspace.config(
    `${listener}rate_limits: { a: { requests: 5 }, b: { concurrency: 2, key: "header:X-Tenant" } }`,
  );
  assert.deepEqual(
    { ...limits },
    {
      a: { requests: 5, per: 1000, key: "ip", store: "memory", on_store_failure: "local", mode: "enforce" },
      b: {
        concurrency: 2,
        per: 1000,
        key: "header:X-Tenant",
        store: "memory",
        on_store_failure: "local",
        mode: "enforce",
      },
    },
  );
});

test("a method has the limits of its service unless it names others, or none", () => {
  const config = workspace.config(`${service}
rate_limits: { a: { requests: 1 }, b: { requests: 1 }, c: { requests: 1 } }
services:
  - service: x.Y
    upstream: u
    rate_limit: [a, b]
    methods: { One: { rate_limit: c }, Two: { rate_limit: none }, Three: { timeout: 1s } }
  - { service: x.Z, upstream: u }
`);
  const limits = (index: number, name: string) =>
    methodPolicy(config, config.services[index]!, config.upstreams.u!, name).rate_limits;
  assert.deepEqual(limits(0, "One"), ["c"]);
  assert.deepEqual(limits(0, "Two"), []);
  assert.deepEqual(limits(0, "Three"), ["a", "b"]);
  assert.deepEqual(limits(1, "Any"), []);
});

for (const [what, yaml, ...said] of [
  [
    "that limits nothing",
    "a: {}",
    '2:16: error: expected "requests", "concurrency" or both; without them nothing is limited (at rate_limits.a)',
  ],
  [
    "with a burst alone",
    "a: { concurrency: 1, burst: 5 }",
    '2:44: error: "burst" without "requests"; a bucket needs both (at rate_limits.a.burst)',
  ],
  [
    "with an unknown key",
    "a: { requests: 1, key: sub }",
    '2:39: error: expected ip, subject, api_key, header:<name> or global, found "sub" (at rate_limits.a.key)',
  ],
  [
    "with a slip in its key",
    "a: { requests: 1, key: subjct }",
    '2:39: error: expected ip, subject, api_key, header:<name> or global, found "subjct" (at rate_limits.a.key); did you mean "subject"?',
  ],
  [
    "with a header that is none",
    "a: { requests: 1, key: 'header:' }",
    '2:39: error: expected ip, subject, api_key, header:<name> or global, found "header:" (at rate_limits.a.key)',
  ],
  [
    "with more than 1000 requests in each millisecond",
    "a: { requests: 2000001, per: 1s }",
    "2:31: error: expected at most 1000 requests in each millisecond (at rate_limits.a.requests)",
  ],
  [
    "with a bucket that never fills",
    "a: { requests: 1, per: 24h, burst: 31 }",
    "2:51: error: at this rate the bucket takes more than 30 days to fill again (at rate_limits.a.burst)",
  ],
  [
    "in Redis without a URL",
    "a: { requests: 1, store: redis }",
    '2:16: error: missing key "redis"; expected where the server of the store is (at rate_limits.a)',
  ],
  [
    "in Redis without a rate",
    "a: { concurrency: 1, store: redis, redis: 'redis://r' }",
    '2:44: error: "redis" counts rates; "concurrency" alone is counted in memory (at rate_limits.a.store)',
  ],
  [
    "in memory with a URL",
    "a: { requests: 1, redis: 'redis://r' }",
    '2:41: error: "redis" without "store: redis" (at rate_limits.a.redis)',
  ],
  [
    "with a URL of something else",
    "a: { requests: 1, store: redis, redis: 'http://x:hunter2@r' }",
    "2:55: error: expected redis://host:port or rediss://host:port (at rate_limits.a.redis)",
  ],
  [
    "with several servers of Redis and nothing that tells them apart",
    "a: { requests: 1, store: redis, redis: 'redis://a,redis://b' }",
    '2:55: error: several servers need "sentinel" or "cluster: true" (at rate_limits.a.redis)',
  ],
  [
    "with a database of Redis that is no number",
    "a: { requests: 1, store: redis, redis: 'redis://a/limits' }",
    "2:55: error: expected the number of a database behind the port, such as redis://host:6379/0 (at rate_limits.a.redis)",
  ],
  [
    "with a database of a Redis Cluster",
    "a: { requests: 1, store: redis, redis: { url: 'redis://a/1', cluster: true } }",
    "2:62: error: a cluster has no databases; expected a URL without one (at rate_limits.a.redis.url)",
  ],
  [
    "that sentinels and a cluster are to count",
    "a: { requests: 1, store: redis, redis: { url: 'redis://a', cluster: true, sentinel: { master: m } } }",
    '2:84: error: "sentinel" is there, too; expected one of them (at rate_limits.a.redis.cluster)',
  ],
  [
    "that nobody may name",
    "none: { requests: 1 }",
    '2:16: error: "none" cannot be a name here; expected letters, digits, _, - and ., a letter or digit first, at most 63 characters, and not none (at rate_limits.none)',
  ],
] as const) {
  test(`a limit ${what} is an error`, () => {
    assert.deepEqual(
      workspace.problems(`${listener}rate_limits: { ${yaml} }\n`),
      said.map(each => `gateway.yaml:${each}`),
    );
  });
}

test("a limit that a route names must be declared, and none cannot be combined", () => {
  assert.deepEqual(
    workspace.problems(`${service}rate_limits: { public: { requests: 1 } }
services:
  - { service: x.Y, upstream: u, rate_limit: pubic }
  - service: x.Z
    upstream: u
    rate_limit: [public, none]
    methods: { Get: { rate_limit: [other] } }
`),
    [
      'gateway.yaml:5:46: error: there is no rate limit "pubic" (at services[0].rate_limit); did you mean "public"?',
      'gateway.yaml:8:26: error: "none" cannot be combined: it means that there is no limit (at services[1].rate_limit[1])',
      'gateway.yaml:9:36: error: there is no rate limit "other"; declared are public (at services[1].methods.Get.rate_limit[0])',
    ],
  );
});
