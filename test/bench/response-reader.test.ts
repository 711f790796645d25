import assert from "node:assert/strict";
import { test } from "node:test";
import { ResponseError, ResponseReader } from "../../bench/load/response-reader.js";

const counted = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
const chunked =
  "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n10;x=y\r\n0123456789abcdef\r\n0\r\n\r\n";
const trailed =
  "HTTP/1.1 404 Not Found\r\ntransfer-encoding: chunked\r\n\r\n1\r\nx\r\n0\r\ngrpc-status: 5\r\n\r\n";
const bodyless = "HTTP/1.1 204 No Content\r\n\r\n";

for (const [name, text, status] of [
  ["a counted body", counted, 200],
  ["a chunked body", chunked, 200],
  ["a chunked body with trailers", trailed, 404],
  ["no body", bodyless, 204],
] as const) {
  test(`the end of a response with ${name} is found wherever the bytes are split`, () => {
    const bytes = Buffer.from(text);
    for (let split = 0; split <= bytes.length; split += 1) {
      const reader = new ResponseReader();
      const ends = [bytes.subarray(0, split), bytes.subarray(split)].map(part => reader.push(part));
      assert.deepEqual(ends, [split === bytes.length, split < bytes.length]);
      assert.equal(reader.status, status);
    }
    const reader = new ResponseReader();
    const ends = [...bytes].map(byte => reader.push(Buffer.from([byte])));
    assert.equal(ends.indexOf(true), bytes.length - 1);
  });
}

test("responses follow each other on one connection", () => {
  const reader = new ResponseReader();
  for (const text of [counted, chunked, bodyless, counted]) assert.ok(reader.push(Buffer.from(text)));
});

for (const [name, text] of [
  ["that is not HTTP/1.1", "HTTP/2 200\r\n\r\n"],
  ["without a length", "HTTP/1.1 200 OK\r\n\r\n"],
  ["with bytes after its end", `${counted}!`],
  ["with a chunk size that is none", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n"],
  ["with a head that does not end", `HTTP/1.1 200 OK\r\nx: ${"y".repeat(20_000)}`],
] as const) {
  test(`a response ${name} is an error`, () => {
    assert.throws(() => new ResponseReader().push(Buffer.from(text)), ResponseError);
  });
}

test("a head in two pieces may have a long body behind it", () => {
  const reader = new ResponseReader();
  const head = "HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n";
  assert.equal(reader.push(Buffer.from(head)), false);
  assert.equal(reader.push(Buffer.from(`\r\n${"x".repeat(100_000)}`)), true);
});
