import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { coversHosts, entriesAt, HostTable, hostName, readHostPattern } from "../../src/net/host-table.js";

test("an exact host goes before a wildcard, a longer wildcard before a shorter one, and * takes the rest", () => {
  const table = new HostTable([
    ["api.example.com", 1],
    ["*.example.com", 2],
    ["*.b.example.com", 3],
    ["*", 4],
  ]);
  const hosts = [
    "api.example.com",
    "x.example.com",
    "a.b.example.com",
    "b.example.com",
    "example.com",
    "",
    undefined,
  ];
  assert.deepEqual(
    hosts.map(host => table.find(host)),
    [1, 2, 3, 2, 4, 4, 4],
  );
  assert.equal(new HostTable([["*.com", 1]]).find("com"), undefined);
});

test("a host is found whatever its case, port and final dot, also after hundreds of others", () => {
  const label = fc.stringMatching(/^[a-z0-9]([a-z0-9-]{0,8}[a-z0-9])?$/);
  const host = fc.array(label, { minLength: 1, maxLength: 4 }).map(labels => labels.join("."));
  const hosts = fc.uniqueArray(host, { minLength: 1, maxLength: 400 });
  fc.assert(
    fc.property(
      hosts,
      fc.boolean(),
      fc.boolean(),
      fc.option(fc.integer({ min: 0, max: 65535 })),
      (all, upper, dot, port) => {
        const table = new HostTable(all.map(each => [each, each]));
        for (const each of all) {
          const sent = `${upper ? each.toUpperCase() : each}${dot ? "." : ""}${port === null ? "" : `:${port}`}`;
          assert.equal(table.find(sent), each);
          assert.equal(table.find(`x${sent}`), all.includes(`x${each}`) ? `x${each}` : undefined);
        }
      },
    ),
    { numRuns: 20 },
  );
});

test("hosts of the configuration are names, addresses, wildcards of whole labels, and nothing else", () => {
  for (const [written, read] of [
    ["API.Example.com.", "api.example.com"],
    ["*.Example.com", "*.example.com"],
    ["[0:0::1]", "[::1]"],
    ["10.0.0.1", "10.0.0.1"],
    ["*", "*"],
  ] as const)
    assert.equal(readHostPattern(written), read);
  for (const wrong of [
    "",
    "a..b",
    "*.",
    "a.*.b",
    "a*.b",
    "a:80",
    "::1",
    "[::1",
    "[x]",
    "http://a",
    "a b",
    "-a",
    "ä.de",
    ".",
  ])
    assert.equal(readHostPattern(wrong), undefined, wrong);
  assert.equal(hostName("[0:0::1]:8080"), "[::1]");
});

const pattern = fc
  .tuple(fc.boolean(), fc.array(fc.constantFrom("a", "b", "c"), { minLength: 1, maxLength: 3 }))
  .map(([wild, labels]) => `${wild ? "*." : ""}${labels.join(".")}`);
const patterns = fc.uniqueArray(fc.oneof({ weight: 6, arbitrary: pattern }, fc.constant("*")), {
  minLength: 1,
  maxLength: 12,
});
const asked = fc
  .array(fc.constantFrom("a", "b", "c"), { minLength: 1, maxLength: 4 })
  .map(labels => labels.join("."));

test("a table of hosts within a list has the value of all hosts where the list names the host, and nothing elsewhere", () => {
  fc.assert(
    fc.property(patterns, patterns, fc.array(asked, { maxLength: 40 }), (list, all, hosts) => {
      const entries = all.map(each => [each, each] as const);
      const listed = new HostTable(list.map(each => [each, true] as const));
      const whole = new HostTable(entries);
      const within = new HostTable(entriesAt(list, entries));
      for (const host of hosts)
        assert.equal(within.find(host), listed.find(host) === true ? whole.find(host) : undefined, host);
    }),
    // An exact host is as long as a wildcard that covers it.
    { examples: [[["a"], ["*", "a"], ["a"]]] },
  );
});

test("the value of a host is that of the longest entry that covers it", () => {
  fc.assert(
    fc.property(patterns, asked, (all, host) => {
      const covering = all
        .filter(each => coversHosts(each, host))
        .sort((one, other) => other.length - one.length);
      const exact = covering.find(each => each === host);
      assert.equal(new HostTable(all.map(each => [each, each])).find(host), exact ?? covering[0]);
    }),
  );
});
