import assert from "node:assert/strict";
import { after, test } from "node:test";
import { signShared } from "../../auth/tokens.js";
import { echo, send, startBackend, startTestGateway } from "../../gateway/harness.js";

const secret = "0123456789abcdef0123456789abcdef";
const proto = `syntax = "proto3"; package limited;
service S { rpc Fast(M) returns (M); rpc Slow(M) returns (M); rpc User(M) returns (M); rpc Free(M) returns (M); rpc Watched(M) returns (M); }
message M { string text = 1; }`;

/** Calls of Slow wait here until a test lets them go. */
const held: (() => void)[] = [];
let arrived = (): void => undefined;
const backend = await startBackend({
  "/limited.S/Fast": echo,
  "/limited.S/User": echo,
  "/limited.S/Free": echo,
  "/limited.S/Watched": echo,
  "/limited.S/Slow": (call, reply) => {
    held.push(() => reply(null, call.request));
    arrived();
  },
});
const yaml = (fast: string, hops = 0): string => `
descriptors: [{ protos: protos }]
upstreams: { back: { targets: ["127.0.0.1:${backend.port}"] } }
http: { forwarded: { trusted_hops: ${hops} } }
auth: { providers: { users: { type: jwt, secret: "${secret}", algorithms: [HS256] } } }
rate_limits:
  fast: ${fast}
  slow: { concurrency: 1 }
  user: { requests: 1, per: 24h, key: subject }
  all: { requests: 3, per: 24h, key: global }
  watched: { requests: 1, per: 24h, mode: shadow }
services:
  - service: limited.S
    upstream: back
    bindings: [auto]
    rate_limit: fast
    methods:
      Slow: { rate_limit: slow }
      User: { rate_limit: [user, all], auth: users }
      Free: { rate_limit: none }
      Watched: { rate_limit: watched }
`;
const twoADay = "{ requests: 2, per: 24h }";
const gateway = await startTestGateway(yaml(twoADay), { "protos/limited.proto": proto });
after(async () => {
  await gateway.close();
  await backend.close();
});

function call(method: string, headers: Readonly<Record<string, string>> = {}) {
  return send(`${gateway.url}/limited.S/${method}`, { method: "POST", headers });
}

const metrics = async () => (await send(`${gateway.admin}/metrics`)).text;

test("the response has what is left, and the request too many is 429 that reaches no backend", async () => {
  const first = await call("Fast");
  assert.equal(first.status, 200);
  assert.equal(first.headers.get("ratelimit-policy"), '"fast";q=2;w=86400');
  assert.match(first.headers.get("ratelimit") ?? "", /^"fast";r=1;t=4\d{4}$/);
  assert.equal((await call("Fast")).status, 200);
  const calls = backend.calls.length;
  const refused = await call("Fast");
  assert.deepEqual([refused.status, refused.json.code, refused.json.reason], [429, 8, "RATE_LIMITED"]);
  assert.match(refused.headers.get("retry-after") ?? "", /^4\d{4}$/);
  assert.match(refused.headers.get("ratelimit") ?? "", /^"fast";r=0;t=4\d{4}$/);
  assert.equal(refused.headers.get("ratelimit-policy"), '"fast";q=2;w=86400');
  assert.equal(backend.calls.length, calls);
  assert.equal((await call("Free")).headers.get("ratelimit"), null);
  assert.match(
    await metrics(),
    /protogate_rate_limit_decisions_total\{limit="fast",decision="limited"\} 1\b/,
  );
});

test("x-forwarded-for does not change the client address without a trusted proxy", async () => {
  for (const claim of ["1.1.1.1", "1.1.1.1, 2.2.2.2", "::1", ""]) {
    assert.equal((await call("Fast", { "x-forwarded-for": claim })).status, 429, claim);
  }
});

test("a concurrency limit of one refuses a second request, and releases its permit after the response or when the client leaves", async () => {
  const reached = () => new Promise<void>(resolve => (arrived = resolve));
  let waiting = reached();
  const first = call("Slow");
  await waiting;
  const refused = await call("Slow");
  assert.deepEqual([refused.status, refused.json.reason], [429, "TOO_MANY_CONCURRENT"]);
  assert.equal(refused.headers.get("retry-after"), "1");
  held.shift()?.();
  assert.equal((await first).status, 200);

  waiting = reached();
  const leaving = new AbortController();
  const left = send(`${gateway.url}/limited.S/Slow`, { method: "POST", signal: leaving.signal });
  await waiting;
  leaving.abort();
  await assert.rejects(left);
  await gateway.logged(line => line.status === 499 && line.path === "/limited.S/Slow");
  held.shift()?.();
  waiting = reached();
  const after = call("Slow");
  await waiting;
  held.shift()?.();
  assert.equal((await after).status, 200);
});

test("subjects are counted apart, and all limits of a list must admit", async () => {
  const as = async (sub: string) =>
    call("User", { authorization: `Bearer ${await signShared(secret, { sub })}` });
  assert.equal((await call("User")).status, 401);
  assert.equal((await as("a")).status, 200);
  assert.equal((await as("a")).status, 429);
  const other = await as("b");
  assert.equal(other.status, 429);
  assert.match(other.headers.get("ratelimit") ?? "", /"all";r=0/);
});

test("a limit in the shadow lets all pass and counts what it would have refused", async () => {
  for (let count = 0; count < 3; count++) {
    const answer = await call("Watched");
    assert.deepEqual([answer.status, answer.headers.get("ratelimit")], [200, null]);
  }
  assert.match(
    await metrics(),
    /protogate_rate_limit_decisions_total\{limit="watched",decision="shadow_limited"\} 2\b/,
  );
});

test("a reload keeps the counts of limits that it leaves as they are, and trusts as many proxies as it says", async () => {
  gateway.write("gateway.yaml", yaml(twoADay, 1));
  await gateway.reload();
  assert.equal((await call("Fast")).status, 429);
  // What the trusted proxy says is the client; what stands left of it is the client's claim.
  const from = (forwarded: string) => call("Fast", { "x-forwarded-for": forwarded });
  assert.equal((await from("192.0.2.1")).status, 200);
  assert.equal((await from("9.9.9.9, 192.0.2.1")).status, 200);
  assert.equal((await from("8.8.8.8, 192.0.2.1")).status, 429);
  assert.equal((await from("192.0.2.1, 127.0.0.1")).status, 429);
  assert.equal((await from("192.0.2.1, nonsense")).status, 429);
  assert.equal((await from("192.0.2.2")).status, 200);
  gateway.write("gateway.yaml", yaml("{ requests: 1, per: 24h, burst: 5 }", 1));
  await gateway.reload();
  assert.equal((await call("Fast")).status, 200);
});
