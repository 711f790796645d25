import assert from "node:assert/strict";
import { isIP } from "node:net";
import { test } from "node:test";
import fc from "fast-check";
import {
  isHostHeader,
  trustedAddresses,
  trustedElement,
  trustedHost,
  trustedScheme,
} from "../../src/net/forwarded-list.js";

test("the element that counts is the one of the farthest trusted proxy, or the first of a shorter list", () => {
  for (const [list, hops, element] of [
    ["a, b, c", 1, "c"],
    ["a, b, c", 2, "b"],
    ["a,b,c", 3, "a"],
    ["a, b", 5, "a"],
    ["a", 1, "a"],
    [' "a" ', 1, "a"],
    ["", 1, ""],
    [",", 1, ""],
    [",", 2, ""],
    [",a", 3, ""],
    ["a,", 1, ""],
    ["a,", 2, "a"],
    ['"', 1, '"'],
    ["a", 0, undefined],
    [undefined, 1, undefined],
  ] as const)
    assert.equal(trustedElement(list, hops), element, `${list} by ${hops}`);
});

test("an address has one spelling, whatever a proxy writes around it", () => {
  for (const [entry, address] of [
    ["203.0.113.9", "203.0.113.9"],
    ["203.0.113.9:5123", "203.0.113.9"],
    ['"203.0.113.9:5123"', "203.0.113.9"],
    ["2001:db8::1", "2001:db8::1"],
    ["2001:DB8:0:0:0:0:0:1", "2001:db8::1"],
    ["2001:0db8::0001", "2001:db8::1"],
    ["[2001:db8::1]", "2001:db8::1"],
    ["[2001:db8::1]:443", "2001:db8::1"],
    ['"[2001:db8::1]:443"', "2001:db8::1"],
    ["::ffff:7.7.7.7", "7.7.7.7"],
    ["::FFFF:7.7.7.7", "7.7.7.7"],
    ["::ffff:707:707", "7.7.7.7"],
    ["[::ffff:707:707]:80", "7.7.7.7"],
    ["0:0:0:0:0:ffff:0707:0707", "7.7.7.7"],
    ["fe80::1%eth0", "fe80::1"],
  ] as const)
    assert.deepEqual(trustedAddresses(entry, 1), [address], entry);
});

test("elements that are no address are left out, and none further left counts in their place", () => {
  assert.deepEqual(trustedAddresses("6.6.6.6, unknown, 10.0.0.2", 2), ["10.0.0.2"]);
  assert.deepEqual(trustedAddresses("6.6.6.6, 192.0.2.7, 10.0.0.2", 2), ["192.0.2.7", "10.0.0.2"]);
  assert.deepEqual(trustedAddresses("192.0.2.7", 9), ["192.0.2.7"]);
  for (const garbage of ["", "_hidden", "1.2.3", "[1.2.3.4", "1.2.3.4:", "[::1]x", "::1:99999:x", '"'])
    assert.deepEqual(trustedAddresses(garbage, 1), [], garbage);
});

test("any list of forwarded addresses gives only addresses, each in its canonical spelling", () => {
  const unit = fc.constantFrom(",", " ", "6", ".", ":", "[", "]", "%", '"', "f");
  const list = fc.oneof(
    fc.string(),
    fc.string({ unit, maxLength: 60 }),
    fc.array(fc.oneof(fc.ipV4(), fc.ipV6())).map(all => all.join(", ")),
  );
  fc.assert(
    fc.property(list, fc.integer({ min: 0, max: 6 }), (text, hops) => {
      const addresses = trustedAddresses(text, hops);
      assert.ok(addresses.length <= hops);
      for (const address of addresses) {
        assert.notEqual(isIP(address), 0, address);
        assert.deepEqual(trustedAddresses(address, 1), [address]);
      }
    }),
  );
});

test("the scheme is the one of the farthest trusted proxy, in any case", () => {
  for (const [list, hops, scheme] of [
    ["https", 1, "https"],
    ["HTTPS", 1, "https"],
    ["https, https", 1, "https"],
    ["https,http", 1, "http"],
    ["https,http", 2, "https"],
    ["https,http", 3, "https"],
    ["http, https", 1, "https"],
    ['"https"', 1, "https"],
    ["wss", 1, "https"],
    ["ws", 1, "http"],
    ["ftp", 1, undefined],
    ["https,", 1, undefined],
    ["https", 0, undefined],
    [undefined, 1, undefined],
  ] as const)
    assert.equal(trustedScheme(list, hops), scheme, `${list} by ${hops}`);
});

test("a host is a name or an address, with a port or without", () => {
  for (const host of [
    "a",
    "a.example",
    "a.example:80",
    "127.0.0.1:8080",
    "[::1]",
    "[::1]:80",
    "a_b",
    "",
    "x:",
  ])
    assert.ok(isHostHeader(host), host);
  for (const host of [
    "a/b",
    "a b",
    "a, b",
    "a,b",
    "user@a",
    "a:b",
    "a:80:90",
    "::1",
    "[::1",
    "[a/b]",
    "a?b",
    "a#b",
    "a\\b",
    "a%2",
    "a\u00e9",
    "a\t",
    "a".repeat(256),
  ])
    assert.ok(!isHostHeader(host), host);
});

test("a forwarded host counts only where it is one", () => {
  assert.equal(trustedHost("evil, api.example.com", 1), "api.example.com");
  assert.equal(trustedHost("api.example.com", 0), undefined);
  for (const claim of ["a/b", "", "a, b/c", "é"]) assert.equal(trustedHost(claim, 1), undefined, claim);
});
