import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { clientAddress } from "../../src/net/forwarded-list.js";

const peer = "10.0.0.1";

test("without trusted proxies the peer is the client, whatever it claims", () => {
  assert.equal(clientAddress(peer, "1.1.1.1", 0), peer);
  assert.equal(clientAddress(peer, undefined, 3), peer);
});

test("each trusted proxy adds one entry at the right", () => {
  const chain = "9.9.9.9, 8.8.8.8, 192.0.2.7, 10.0.0.2";
  assert.equal(clientAddress(peer, chain, 1), "10.0.0.2");
  assert.equal(clientAddress(peer, chain, 2), "192.0.2.7");
  assert.equal(clientAddress(peer, "192.0.2.7", 3), "192.0.2.7");
});

test("entries with ports, brackets, zones and IPv4 in IPv6 are read", () => {
  for (const [entry, address] of [
    ["192.0.2.7:443", "192.0.2.7"],
    ["[2001:db8::1]:443", "2001:db8::1"],
    ["[2001:DB8::1]", "2001:db8::1"],
    ["::ffff:192.0.2.7", "192.0.2.7"],
    ["fe80::1%eth0", "fe80::1"],
  ] as const) {
    assert.equal(clientAddress(peer, entry, 1), address);
  }
});

test("an entry that is no address counts for nothing, and one further left is not looked at instead", () => {
  for (const garbage of ["", "unknown", "1.2.3", "1.2.3.4.5", "a:b", "999.1.1.1", "_x", "1.2.3.4 5.6.7.8"]) {
    assert.equal(clientAddress(peer, `6.6.6.6, ${garbage}`, 1), peer);
    assert.equal(clientAddress(peer, `6.6.6.6, ${garbage}, 192.0.2.7`, 2), "192.0.2.7");
  }
});

test("nothing that a client writes is its address, however it is spelled", () => {
  const claim = fc.oneof(
    fc.string({ maxLength: 60 }),
    fc.string({ unit: fc.constantFrom(",", " ", "6", ".", ":", "[", "]", "%"), maxLength: 40 }),
    fc.array(fc.ipV4(), { maxLength: 6 }).map(list => list.join(", ")),
    fc.array(fc.ipV6(), { maxLength: 6 }).map(list => list.join(",")),
  );
  const entries = fc.array(fc.oneof(fc.ipV4(), fc.constant("unknown")), { minLength: 1, maxLength: 4 });
  fc.assert(
    fc.property(claim, entries, (claimed, trusted) => {
      const own = trusted.filter(entry => entry !== "unknown");
      const expected = own[0] ?? peer;
      assert.equal(clientAddress(peer, [claimed, ...trusted].join(", "), trusted.length), expected);
      assert.equal(clientAddress(peer, [claimed, ...trusted].join(","), trusted.length), expected);
    }),
  );
});
