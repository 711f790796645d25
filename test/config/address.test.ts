import assert from "node:assert/strict";
import { test } from "node:test";
import { parseAddress, parseTarget } from "../../src/config/address.js";

const addresses: readonly (readonly [text: string, host: string, port: number])[] = [
  ["0.0.0.0:8080", "0.0.0.0", 8080],
  ["localhost:0", "localhost", 0],
  [":65535", "0.0.0.0", 65535],
  ["[::1]:80", "::1", 80],
  ["[::]:80", "::", 80],
  ["my-host.example.com:1", "my-host.example.com", 1],
];

for (const [text, host, port] of addresses) {
  test(`the address ${text} is ${host} and ${port}`, () => {
    assert.deepEqual(parseAddress(text), { host, port });
  });
}

for (const text of [
  "",
  ":",
  "8080",
  "localhost",
  "a:65536",
  "a:-1",
  "a:1x",
  "::1:80",
  "[::1]",
  "[]:1",
  "[a]:1",
  "a b:1",
  "-a:1",
  "http://a:1",
  "a:1/",
  "a:123456",
  "a..b:1",
]) {
  test(`"${text}" is no address`, () => assert.equal(parseAddress(text), undefined));
}

test("a target is a name to resolve, a host or a socket", () => {
  assert.deepEqual(parseTarget("dns:///a.b:50051"), { kind: "dns", host: "a.b", port: 50051 });
  assert.deepEqual(parseTarget("dns:///[::1]:1"), { kind: "dns", host: "::1", port: 1 });
  assert.deepEqual(parseTarget("10.0.0.7:1"), { kind: "host", host: "10.0.0.7", port: 1 });
  assert.deepEqual(parseTarget("[::1]:1"), { kind: "host", host: "::1", port: 1 });
  assert.deepEqual(parseTarget("unix:/run/a.sock"), { kind: "unix", path: "/run/a.sock" });
  assert.deepEqual(parseTarget("unix:///run/a.sock"), { kind: "unix", path: "/run/a.sock" });
});

for (const text of [
  "",
  ":1",
  "a",
  "a:0",
  "dns:a:1",
  "dns://a:1",
  "dns:////a:1",
  "unix:",
  "unix:a",
  "unix:/",
  "unix://a",
  "http://a:1",
]) {
  test(`"${text}" is no target`, () => assert.equal(parseTarget(text), undefined));
}
