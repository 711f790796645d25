import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { isNetwork, networkMatcher } from "../../src/net/networks.js";
import { readProxyHeader } from "../../src/net/proxy-header.js";

const signature = "\r\n\r\n\0\r\nQUIT\n";

/** A header of version 2. */
function binary(command: number, family: number, addresses: Uint8Array, more = new Uint8Array(0)): Buffer {
  const head = Buffer.from(`${signature}\0\0\0\0`, "latin1");
  head[12] = command;
  head[13] = family;
  head.writeUInt16BE(addresses.length + more.length, 14);
  return Buffer.concat([head, addresses, more]);
}

const port = fc.integer({ min: 0, max: 65535 });
const v4 = fc.tuple(fc.ipV4(), fc.ipV4(), port, port);
const text = v4.map(([source, destination, from, to]) => ({
  source,
  bytes: Buffer.from(`PROXY TCP4 ${source} ${destination} ${from} ${to}\r\n`, "latin1"),
}));
const bytes = fc
  .tuple(v4, fc.uint8Array({ maxLength: 300 }))
  .map(([[source, destination, from, to], more]) => {
    const addresses = Buffer.alloc(12);
    addresses.set([...source.split("."), ...destination.split(".")].map(Number));
    addresses.writeUInt16BE(from, 8);
    addresses.writeUInt16BE(to, 10);
    return { source, bytes: binary(0x21, 0x11, addresses, more) };
  });
const header = fc.oneof(text, bytes);

test("a header of the PROXY protocol is read whatever stands behind it, and is incomplete up to its last byte", () => {
  fc.assert(
    fc.property(header, fc.uint8Array({ maxLength: 40 }), ({ source, bytes }, behind) => {
      const expected = { kind: "header", length: bytes.length, source };
      assert.deepEqual(readProxyHeader(Buffer.concat([bytes, behind])), expected);
      for (let size = 0; size < bytes.length; size++)
        assert.equal(readProxyHeader(bytes.subarray(0, size)).kind, "incomplete");
    }),
    { numRuns: 60 },
  );
});

test("no bytes make the reader of PROXY headers throw, and what it waits for is bounded", () => {
  const damaged = fc
    .tuple(header, fc.nat(), fc.integer({ min: 0, max: 255 }))
    .map(([{ bytes }, at, value]) => {
      const copy = Buffer.from(bytes);
      copy[at % copy.length] = value;
      return copy;
    });
  fc.assert(
    fc.property(fc.oneof(damaged, fc.uint8Array({ maxLength: 200 }).map(Buffer.from)), data => {
      const read = readProxyHeader(data);
      if (read.kind === "header") assert.ok(read.length <= data.length);
      const filled = Buffer.concat([data, Buffer.alloc(4200, "x")]);
      assert.notEqual(readProxyHeader(filled).kind, "incomplete");
    }),
    { numRuns: 500 },
  );
});

test("addresses of IPv6 come in one spelling, LOCAL, UNKNOWN and Unix sockets leave the address of the proxy", () => {
  const source = (data: Buffer): unknown => {
    const read = readProxyHeader(data);
    return read.kind === "header" ? (read.source ?? "the proxy") : read.kind;
  };
  const line = (rest: string): Buffer => Buffer.from(`PROXY ${rest}\r\n`, "latin1");
  assert.equal(source(line("TCP6 2001:DB8:0:0::1 ::1 1 2")), "2001:db8::1");
  assert.equal(source(line("TCP6 ::ffff:10.0.0.1 ::1 1 2")), "10.0.0.1");
  assert.equal(source(line("UNKNOWN")), "the proxy");
  assert.equal(source(line("UNKNOWN ffff::1 ffff::2 1 2")), "the proxy");
  const six = Buffer.alloc(36);
  six.set([0x20, 1, 0x0d, 0xb8], 0);
  six[15] = 1;
  assert.equal(source(binary(0x21, 0x21, six)), "2001:db8::1");
  assert.equal(source(binary(0x20, 0x11, Buffer.alloc(12))), "the proxy");
  assert.equal(source(binary(0x20, 0x00, Buffer.alloc(0))), "the proxy");
  assert.equal(source(binary(0x21, 0x31, Buffer.alloc(216))), "the proxy");
  for (const wrong of [
    line("TCP4 1.2.3 1.2.3.4 1 2"),
    line("TCP4 ::1 ::1 1 2"),
    line("TCP4 1.2.3.4 1.2.3.4 65536 1"),
    line("TCP4 1.2.3.4 1.2.3.4 01 1"),
    line("TCP4  1.2.3.4 1.2.3.4 1 1"),
    line("UDP4 1.2.3.4 1.2.3.4 1 1"),
    line(`UNKNOWN ${"x".repeat(100)}`),
    Buffer.from("PROXY TCP4 1.2.3.4 1.2.3.4 1 1\n\n\r\n"),
    Buffer.from("GET / HTTP/1.1\r\n"),
    binary(0x11, 0x11, Buffer.alloc(12)),
    binary(0x22, 0x11, Buffer.alloc(12)),
    binary(0x21, 0x12, Buffer.alloc(12)),
    binary(0x21, 0x11, Buffer.alloc(11)),
    binary(0x21, 0x11, Buffer.alloc(5000)),
  ])
    assert.equal(source(wrong), "malformed", wrong.toString("latin1"));
});

test("networks are addresses with the number of bits that count, of either version", () => {
  const inside = networkMatcher(["10.0.0.0/8", "192.0.2.7", "fd00::/8"]);
  for (const address of ["10.255.0.1", "192.0.2.7", "fd12::1"]) assert.ok(inside(address), address);
  for (const address of ["11.0.0.1", "192.0.2.8", "fe80::1", "", "x"]) assert.ok(!inside(address), address);
  for (const wrong of ["", "10.0.0.0/33", "10.0.0/8", "::/129", "a/8", "10.0.0.0/", "fe80::1%lo"])
    assert.ok(!isNetwork(wrong), wrong);
});
