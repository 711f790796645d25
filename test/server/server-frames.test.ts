import assert from "node:assert/strict";
import { test } from "node:test";
import { inflateRawSync } from "node:zlib";
import fc from "fast-check";
import {
  closeFrame,
  deflatedTextFrame,
  opcode,
  serverFrame,
  textFrame,
} from "../../src/server/node/server-frames.js";

/** The payload of one frame, and what its first byte says. */
function read(frame: Buffer): { readonly first: number; readonly payload: Buffer } {
  const short = frame[1] as number;
  const at = short < 126 ? 2 : short === 126 ? 4 : 10;
  const length =
    short < 126 ? short : short === 126 ? frame.readUInt16BE(2) : Number(frame.readBigUInt64BE(2));
  assert.equal(frame.length, at + length);
  return { first: frame[0] as number, payload: frame.subarray(at) };
}

test("a text frame of any length has the shortest length field and its text in UTF-8", () => {
  for (const length of [0, 1, 125, 126, 127, 65_535, 65_536, 70_000]) {
    const text = "x".repeat(length);
    const { first, payload } = read(textFrame(text));
    assert.equal(first, 0x81);
    assert.equal(payload.toString(), text);
  }
  fc.assert(
    fc.property(fc.string({ unit: "grapheme" }), text => {
      assert.equal(read(textFrame(text)).payload.toString(), text);
    }),
  );
});

test("a compressed frame inflates to the text and is never longer than the plain one", () => {
  fc.assert(
    fc.property(fc.string({ maxLength: 400 }), fc.nat(40), (text, times) => {
      const plain = textFrame(text.repeat(times));
      const frame = deflatedTextFrame(plain);
      assert.ok(frame.length <= plain.length);
      const { first, payload } = read(frame);
      if (frame === plain) return;
      assert.equal(first, 0xc1);
      const tail = Buffer.from([0, 0, 0xff, 0xff]);
      const { Z_SYNC_FLUSH: finishFlush } = { Z_SYNC_FLUSH: 2 };
      assert.equal(
        inflateRawSync(Buffer.concat([payload, tail]), { finishFlush }).toString(),
        text.repeat(times),
      );
    }),
  );
});

test("a close frame has a code and a reason, and neither for 1005", () => {
  assert.deepEqual(closeFrame(1005, "unused"), Buffer.from([0x88, 0]));
  const { first, payload } = read(closeFrame(4008, "é"));
  assert.equal(first, 0x88);
  assert.deepEqual(payload, Buffer.concat([Buffer.from([4008 >> 8, 4008 & 0xff]), Buffer.from("é")]));
  assert.deepEqual(serverFrame(opcode.pong, Buffer.from("p")), Buffer.from([0x8a, 1, 0x70]));
});
