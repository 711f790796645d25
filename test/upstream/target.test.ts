import assert from "node:assert/strict";
import { test } from "node:test";
import { parseTarget } from "../../src/upstream/balancing/target.js";

const addresses: readonly (readonly [text: string, uri: string, authority: string])[] = [
  ["10.0.0.7:50051", "ipv4:10.0.0.7:50051", "10.0.0.7:50051"],
  ["dns:///10.0.0.7:50051", "ipv4:10.0.0.7:50051", "10.0.0.7:50051"],
  ["[::1]:50051", "ipv6:[::1]:50051", "[::1]:50051"],
  ["ipv4:10.0.0.7:50051", "ipv4:10.0.0.7:50051", "10.0.0.7:50051"],
  ["ipv6:[2001:db8::1]:443", "ipv6:[2001:db8::1]:443", "[2001:db8::1]:443"],
  ["unix:/run/chat.sock", "unix:/run/chat.sock", "localhost"],
  ["unix:///run/chat.sock", "unix:/run/chat.sock", "localhost"],
];

for (const [text, uri, authority] of addresses) {
  test(`${text} is the address ${uri}`, () => {
    const target = parseTarget(text);
    assert.ok(target.kind === "address");
    assert.equal(target.address.uri, uri);
    assert.equal(target.authority, authority);
  });
}

for (const text of ["dns:///chat.internal:50051", "chat.internal:50051"]) {
  test(`${text} is a name to resolve`, () => {
    const target = parseTarget(text);
    assert.deepEqual(target, {
      kind: "name",
      host: "chat.internal",
      port: 50051,
      authority: "chat.internal:50051",
    });
  });
}

for (const text of [
  "",
  "chat.internal",
  "chat:0",
  "chat:70000",
  "::1:50051",
  "http://chat:80",
  "ipv4:[::1]:80",
  "ipv4:chat:80",
  "ipv4:dns:///10.0.0.1:80",
  "ipv6:10.0.0.1:80",
  "unix:relative",
  "dns://8.8.8.8/chat:80",
]) {
  test(`"${text}" is refused with the forms that are allowed`, () => {
    assert.throws(() => parseTarget(text), /expected a target such as dns:\/\/\/host:50051/);
  });
}
