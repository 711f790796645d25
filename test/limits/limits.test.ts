import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { decide, rateOf, remaining, wait } from "../../src/limits/rate.js";
import { createMemoryStore } from "../../src/limits/stores/memory.js";
import { grownOldSpace } from "../old-space.js";
import { admittedOf, Bench, caller, tryOnce } from "./bench.js";

const alice = caller("192.0.2.1");
const bob = caller("192.0.2.2");

test("a burst passes at once, then one request in each interval, for every key alone", async () => {
  const bench = new Bench();
  const limiter = bench.limits({ a: { requests: 10, per: 1000, burst: 5 } }).limiterOf(["a"]);
  assert.equal(await admittedOf(8, limiter, alice), 5);
  assert.equal(await admittedOf(8, limiter, bob), 5);
  bench.pass(99.999);
  assert.equal(await admittedOf(1, limiter, alice), 0);
  bench.pass(0.001);
  assert.equal(await admittedOf(3, limiter, alice), 1);
  bench.pass(250);
  assert.equal(await admittedOf(9, limiter, alice), 2);
  bench.pass(86_400_000);
  assert.equal(await admittedOf(9, limiter, alice), 5);
});

test("decisions in memory are made without a promise", () => {
  const limiter = new Bench().limits({ a: { requests: 1 } }).limiterOf(["a"]);
  assert.ok(!(limiter.admit(alice, undefined) instanceof Promise));
});

test("a rate limit admits in any interval at most its burst and what has refilled since", () => {
  const arrivals = fc.array(fc.integer({ min: 0, max: 40_000_000 }), { minLength: 1, maxLength: 200 });
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 1000 }),
      fc.integer({ min: 1, max: 60_000 }),
      fc.integer({ min: 1, max: 50 }),
      arrivals,
      (requests, per, burst, gaps) => {
        const rate = rateOf(requests, per, burst);
        let time = 0;
        const store = createMemoryStore(rate, () => time);
        const passed: number[] = [];
        for (const gap of gaps) {
          time += gap;
          const decision = store.take("k");
          if (decision.admitted) passed.push(time);
          else assert.ok(wait(rate, decision.debt) > 0);
          assert.ok(remaining(rate, decision.debt) >= 0 && remaining(rate, decision.debt) < burst + 1);
        }
        for (let from = 0; from < passed.length; from++) {
          for (let to = from; to < passed.length; to++) {
            const free = Math.floor((passed[to]! - passed[from]!) / rate.interval);
            assert.ok(to - from + 1 <= burst + free);
          }
        }
      },
    ),
    { numRuns: 100 },
  );
});

test("a refused request passes exactly when Retry-After has passed", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 1000 }),
      fc.integer({ min: 1, max: 86_400_000 }),
      fc.integer({ min: 1, max: 1000 }),
      fc.integer({ min: 0, max: 2 ** 40 }),
      (requests, per, burst, debt) => {
        const rate = rateOf(requests, per, burst);
        const { admitted } = decide(rate, debt);
        const later = wait(rate, debt);
        assert.equal(admitted, later === 0);
        assert.ok(decide(rate, debt - later).admitted);
        if (later > 0) assert.ok(!decide(rate, debt - later + 1).admitted);
      },
    ),
  );
});

test("responses have the policy and what is left; a refusal is 429 with Retry-After in whole seconds", async () => {
  const bench = new Bench();
  const limiter = bench.limits({ public: { requests: 2, per: 3000, burst: 3 } }).limiterOf(["public"]);
  assert.deepEqual((await tryOnce(limiter, alice)).headers, {
    "ratelimit-policy": '"public";q=3;w=5',
    ratelimit: '"public";r=2;t=2',
  });
  await admittedOf(2, limiter, alice);
  const refused = await tryOnce(limiter, alice);
  assert.deepEqual(
    [refused.status, refused.reason, refused.retryAfter, refused.headers],
    [429, "RATE_LIMITED", 2, { "ratelimit-policy": '"public";q=3;w=5', ratelimit: '"public";r=0;t=2' }],
  );
  bench.pass(1499);
  assert.equal((await tryOnce(limiter, alice)).retryAfter, 1);
});

test("a list of limits admits what all of them admit, with headers of each", async () => {
  const bench = new Bench();
  const limits = bench.limits({
    one: { requests: 3, per: 1000 },
    all: { requests: 5, per: 60_000, key: "global" },
  });
  const limiter = limits.limiterOf(["one", "all"]);
  assert.equal((await tryOnce(limiter, alice)).headers.ratelimit, '"one";r=2;t=1, "all";r=4;t=12');
  assert.equal(await admittedOf(5, limiter, alice), 2);
  assert.equal(await admittedOf(5, limiter, bob), 2);
  assert.deepEqual(await bench.decisions(), {
    "one admitted": 6,
    "one limited": 5,
    "all admitted": 5,
    "all limited": 1,
  });
});

test("limits that need the caller are separate from those that do not", () => {
  const limits = new Bench().limits({
    ip: { requests: 1 },
    user: { requests: 1, key: "subject" },
    partner: { requests: 1, key: "api_key" },
  });
  const needs = (...names: string[]) => limits.limitersOf(names).map(limiter => limiter.needsSubject);
  assert.deepEqual(needs("user", "ip", "partner"), [false, true]);
  assert.deepEqual(needs("ip"), [false]);
  assert.deepEqual(needs(), []);
  assert.ok(limits.limiterOf(["ip", "user"]).needsSubject);
});

test("subjects are counted apart from any address, and anonymous callers by address", async () => {
  const limiter = new Bench().limits({ user: { requests: 1, key: "subject" } }).limiterOf(["user"]);
  assert.equal(await admittedOf(2, limiter, alice, "a"), 1);
  assert.equal(await admittedOf(2, limiter, bob, "a"), 0);
  assert.equal(await admittedOf(2, limiter, bob, "b"), 1);
  assert.equal(await admittedOf(2, limiter, alice), 1);
  // A subject that looks like an address is no address.
  assert.equal(await admittedOf(1, limiter, alice, "192.0.2.1"), 1);
});

test("a header is a key by its whole value, and requests without it are one", async () => {
  const limiter = new Bench().limits({ h: { requests: 1, key: "header:X-Tenant" } }).limiterOf(["h"]);
  const long = "t".repeat(10_000);
  assert.equal(await admittedOf(2, limiter, caller("::1", { "x-tenant": long })), 1);
  assert.equal(await admittedOf(2, limiter, caller("::2", { "x-tenant": `${long}x` })), 1);
  assert.equal(await admittedOf(2, limiter, caller("::3", { "x-tenant": long })), 0);
  assert.equal(await admittedOf(2, limiter, caller("::4")), 1);
  assert.equal(await admittedOf(2, limiter, caller("::5")), 0);
});

test("addresses of IPv6 are one by their first 64 bits, and IPv4 in IPv6 is IPv4", async () => {
  const limiter = new Bench().limits({ ip: { requests: 1 } }).limiterOf(["ip"]);
  const admitted = (address: string) => admittedOf(1, limiter, caller(address));
  assert.equal(await admitted("2001:db8:1:2::1"), 1);
  assert.equal(await admitted("2001:0db8:0001:0002:ffff::2"), 0);
  assert.equal(await admitted("2001:DB8:1:2:0:0:192.0.2.1"), 0);
  assert.equal(await admitted("2001:db8:1:3::1"), 1);
  assert.equal(await admitted("fe80::1%eth0"), 1);
  assert.equal(await admitted("fe80::2%eth1"), 0);
  assert.equal(await admitted("192.0.2.1"), 1);
  assert.equal(await admitted("::ffff:192.0.2.1"), 0);
  assert.equal(await admitted("::ffff:c000:201"), 0);
  assert.equal(await admitted("::ffff:192.0.2.2"), 1);
});

test("permits are held while requests are under way and released exactly once", async () => {
  const bench = new Bench();
  const limiter = bench.limits({ c: { concurrency: 2 } }).limiterOf(["c"]);
  const first = await tryOnce(limiter, alice);
  const second = await tryOnce(limiter, alice);
  assert.deepEqual(first.headers, {});
  const refused = await tryOnce(limiter, alice);
  assert.deepEqual([refused.status, refused.reason, refused.retryAfter], [429, "TOO_MANY_CONCURRENT", 1]);
  assert.ok((await tryOnce(limiter, bob)).ok);
  first.release?.();
  first.release?.();
  first.release?.();
  assert.ok((await tryOnce(limiter, alice)).ok);
  assert.ok(!(await tryOnce(limiter, alice)).ok);
  second.release?.();
  assert.ok((await tryOnce(limiter, alice)).ok);
});

test("a permit is released where the rate, or a later limit, refuses", async () => {
  const bench = new Bench();
  const limits = bench.limits({
    both: { concurrency: 1, requests: 1 },
    wide: { concurrency: 1 },
    never: { requests: 1, key: "global" },
  });
  const both = limits.limiterOf(["both"]);
  (await tryOnce(both, alice)).release?.();
  assert.equal((await tryOnce(both, alice)).reason, "RATE_LIMITED");
  bench.pass(1000);
  assert.ok((await tryOnce(both, alice)).ok);
  assert.equal((await tryOnce(both, alice)).reason, "TOO_MANY_CONCURRENT");

  const chain = limits.limiterOf(["wide", "never"]);
  (await tryOnce(chain, alice)).release?.();
  assert.equal((await tryOnce(chain, alice)).reason, "RATE_LIMITED");
  assert.ok((await tryOnce(limits.limiterOf(["wide"]), alice)).ok);
});

test("a limit in the shadow refuses nothing, says nothing and counts", async () => {
  const bench = new Bench();
  const limiter = bench.limits({ s: { requests: 2, concurrency: 10, mode: "shadow" } }).limiterOf(["s"]);
  assert.equal(await admittedOf(5, limiter, alice), 5);
  assert.deepEqual((await tryOnce(limiter, alice)).headers, {});
  assert.deepEqual(await bench.decisions(), { "s admitted": 2, "s shadow_limited": 4 });
});

test("a hundred thousand callers and more leave no more keys than the bound, and quiet ones leave none", () => {
  let time = 0;
  const store = createMemoryStore(rateOf(1, 1000, 1), () => time, 1000);
  for (let index = 0; index < 100_000; index++) store.take(`k${index}`);
  assert.equal(store.keys, 1000);
  // The last ones are still known, the first have been forgotten.
  assert.ok(!store.take("k99999").admitted);
  assert.ok(store.take("k0").admitted);
  time += 16_000_000;
  for (let index = 0; index < 600; index++) store.take(`later${index}`);
  assert.equal(store.keys, 600);
});

test("limits go on with their counts after a reload that leaves them as they are", async () => {
  const bench = new Bench();
  const same = { requests: 2, concurrency: 1 };
  const before = bench.limits({ same, changed: { requests: 2 }, gone: { requests: 1 } });
  const held = await tryOnce(before.limiterOf(["same"]), alice);
  assert.equal(await admittedOf(5, before.limiterOf(["changed"]), alice), 2);
  const after = bench.limits({ same, changed: { requests: 3 } }, before);
  before.close();
  assert.equal((await tryOnce(after.limiterOf(["same"]), alice)).reason, "TOO_MANY_CONCURRENT");
  held.release?.();
  assert.equal(await admittedOf(1, after.limiterOf(["same"]), alice), 1);
  assert.equal(await admittedOf(5, after.limiterOf(["changed"]), alice), 3);
});

test("a key that is used again and again moves no objects to the old space", async () => {
  let time = 0;
  const store = createMemoryStore(rateOf(1000, 1000, 1000), () => time);
  const takes = (count: number) => () => {
    for (let i = 0; i < count; i++) {
      time += 5;
      store.take(`key ${i % 3}`);
    }
  };
  const grown = await grownOldSpace(takes(1000), takes(100_000));
  assert.ok(grown < 65_536, `${grown} bytes`);
  assert.equal(store.keys, 3);
});
