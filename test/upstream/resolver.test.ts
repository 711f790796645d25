import assert from "node:assert/strict";
import { afterEach, beforeEach, mock, test } from "node:test";
import { type HostLookup, NameResolver } from "../../src/upstream/balancing/target.js";

beforeEach(() => mock.timers.enable({ apis: ["setTimeout"] }));
afterEach(() => mock.timers.reset());

/** A DNS whose records the test decides. */
class Zone {
  records: readonly string[] | Error = [];
  asked = 0;
  readonly lookup: HostLookup = async () => {
    this.asked++;
    if (this.records instanceof Error) throw this.records;
    return this.records.map(address => ({ address }));
  };
}

function texts(resolver: NameResolver): string {
  return resolver.addresses.map(({ text }) => text).join();
}

test("every DNS record becomes an address, IPv6 in brackets", async () => {
  const zone = new Zone();
  zone.records = ["10.0.0.1", "2001:db8::1"];
  const resolver = new NameResolver("chat", 50051, () => {}, zone.lookup);
  await resolver.running;
  assert.equal(texts(resolver), "10.0.0.1:50051,[2001:db8::1]:50051");
  resolver.stop();
});

test("a name is resolved again every 30 seconds, and only changes are reported", async () => {
  const zone = new Zone();
  zone.records = ["10.0.0.1"];
  let changes = 0;
  const count = () => {
    changes++;
  };
  const resolver = new NameResolver("chat", 80, count, zone.lookup);
  await resolver.running;
  assert.equal(changes, 1);
  mock.timers.tick(30_000);
  await resolver.running;
  assert.deepEqual([zone.asked, changes], [2, 1]);
  zone.records = ["10.0.0.1", "10.0.0.2"];
  mock.timers.tick(30_000);
  await resolver.running;
  assert.equal(changes, 2);
  assert.equal(texts(resolver), "10.0.0.1:80,10.0.0.2:80");
  resolver.stop();
  mock.timers.tick(60_000);
  assert.equal(zone.asked, 3);
});

test("the addresses of the last successful resolution stay while DNS fails", async () => {
  const zone = new Zone();
  zone.records = ["10.0.0.1"];
  const resolver = new NameResolver("chat", 80, () => {}, zone.lookup);
  await resolver.running;
  zone.records = new Error("SERVFAIL");
  mock.timers.tick(30_000);
  await resolver.running;
  assert.equal(texts(resolver), "10.0.0.1:80");
  assert.equal(resolver.failure, '"chat" does not resolve: SERVFAIL');
  zone.records = ["10.0.0.9"];
  mock.timers.tick(2_000);
  await resolver.running;
  assert.equal(texts(resolver), "10.0.0.9:80");
  assert.equal(resolver.failure, undefined);
  resolver.stop();
});

test("a name is not resolved again within two seconds, however often that is requested", async () => {
  const zone = new Zone();
  zone.records = ["10.0.0.1"];
  const resolver = new NameResolver("chat", 80, () => {}, zone.lookup);
  await resolver.running;
  for (let call = 0; call < 10; call++) resolver.refresh();
  assert.equal(zone.asked, 1);
  mock.timers.tick(2_000);
  await resolver.running;
  assert.equal(zone.asked, 2);
  resolver.stop();
});
