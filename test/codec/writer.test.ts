import assert from "node:assert/strict";
import { test } from "node:test";
import { Long } from "../../src/codec/json-to-wire/decimal.js";
import { Writer } from "../../src/codec/json-to-wire/writer.js";
import { varint } from "./wire-bytes.js";

test("a finished result stays unchanged when the writer is used again", () => {
  const writer = new Writer();
  writer.string("first");
  const first = writer.finish();
  writer.reset();
  writer.string("other");
  assert.equal(Buffer.from(first).toString(), "\u0005first");
  assert.equal(Buffer.from(writer.finish()).toString(), "\u0005other");
});

test("the buffer grows over any number of writes", () => {
  const writer = new Writer(16);
  const outer = writer.begin();
  for (let index = 0; index < 10_000; index++) writer.fixed64(index);
  writer.end(outer);
  const bytes = Buffer.from(writer.finish());
  assert.equal(bytes.length, 3 + 80_000);
  assert.deepEqual([...bytes.subarray(0, 3)], varint(80_000));
  assert.equal(bytes.readBigUInt64LE(3 + 8 * 9_999), 9_999n);
});

test("a 64-bit integer is written in the same bytes as a number and as two halves", () => {
  for (const value of [
    0,
    1,
    127,
    128,
    -1,
    2 ** 31,
    -(2 ** 31),
    2 ** 32 - 1,
    2 ** 32,
    2 ** 53 - 1,
    -(2 ** 53) + 1,
  ]) {
    for (const method of ["int64", "sint64", "fixed64"] as const) {
      const [small, wide] = [new Writer(), new Writer()];
      small[method](value);
      wide[method](long(BigInt(value)));
      assert.deepEqual(small.finish(), wide.finish(), `${method} ${value}`);
    }
    const writer = new Writer();
    writer.int64(value);
    assert.deepEqual([...writer.finish()], varint(value));
  }
});

test("a string with half of a surrogate pair is not written", () => {
  const writer = new Writer();
  for (const text of ["\ud800", "a\udc00b", `${"x".repeat(100)}\ud83d`])
    assert.equal(writer.string(text), false);
  assert.equal(writer.length, 0);
  assert.equal(writer.string("😀"), true);
});

function long(value: bigint): Long {
  return new Long(Number(BigInt.asUintN(32, value)), Number(BigInt.asUintN(32, value >> 32n)));
}
