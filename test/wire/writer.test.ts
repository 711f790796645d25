import assert from "node:assert/strict";
import { randomInt } from "node:crypto";
import { test } from "node:test";
import protobuf from "protobufjs";
import { WireWriter } from "../../src/wire/writer.js";

const type = protobuf
  .parse(
    'syntax = "proto3"; message Node { string text = 1; int64 number = 2; Node child = 3; string last = 536870911; }',
  )
  .root.lookupType("Node");

interface Node {
  readonly text: string;
  readonly number: number;
  readonly last: string;
  readonly child?: Node;
}

const numbers = [1, 127, 128, 0xffff_ffff, 2 ** 32, -1, -(2 ** 40), Number.MAX_SAFE_INTEGER];
const letters = ["a", "z", "é", "漢", "😀"];

function randomText(): string {
  const known = randomInt(2) === 0 ? 2 : letters.length;
  return Array.from(
    { length: randomInt(randomInt(4) === 0 ? 20_000 : 150) },
    () => letters[randomInt(known)],
  ).join("");
}

function randomNode(depth: number): Node {
  const node = { text: `-${randomText()}`, number: numbers[randomInt(numbers.length)] ?? 1, last: "end" };
  return depth > 0 && randomInt(4) > 0 ? { ...node, child: randomNode(depth - 1) } : node;
}

function write(out: WireWriter, { text, number, child, last }: Node): void {
  out.string(1, text);
  out.integer(2, number);
  if (child !== undefined) out.message(3, inner => write(inner, child));
  out.string(536_870_911, last);
}

test("texts, integers and messages within messages of every size are read by protobufjs as they were written", () => {
  for (let count = 0; count < 300; count++) {
    const node = randomNode(5);
    const out = new WireWriter();
    write(out, node);
    assert.deepEqual(type.toObject(type.decode(out.finish()), { longs: Number }), node);
  }
});

test("bytes that were taken stay as they are while the writer is used again", () => {
  const writer = new WireWriter();
  writer.string(1, "first");
  const first = writer.take();
  writer.string(2, "second, and longer");
  const second = writer.take();
  assert.deepEqual([...first], [0x0a, 5, ...Buffer.from("first")]);
  assert.deepEqual([...second], [0x12, 18, ...Buffer.from("second, and longer")]);
  assert.equal(writer.take().length, 0);
});
