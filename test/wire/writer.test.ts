import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Writer } from "../../src/codec/json-to-wire/writer.js";
import { WireReader } from "../../src/wire/reader.js";
import { LENGTH, tagOf, VARINT } from "../../src/wire/wire-type.js";
import { WireWriter } from "../../src/wire/writer.js";

const numbers = fc.integer({ min: 1, max: 0x1fff_ffff });

test("a field of any number is read as it was written", () => {
  const int32 = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 });
  fc.assert(
    fc.property(numbers, fc.string({ unit: "binary" }), int32, (number, text, value) => {
      const writer = new WireWriter();
      writer.string(number, text);
      writer.integer(number, value);
      writer.message(number, inner => inner.string(1, text));
      const reader = new WireReader(writer.finish());
      assert.ok(reader.next());
      assert.deepEqual([reader.number, reader.wireType, reader.string()], [number, LENGTH, text]);
      assert.ok(reader.next());
      assert.deepEqual([reader.number, reader.wireType, reader.int32()], [number, VARINT, value]);
      assert.ok(reader.next());
      const inner = new WireReader(reader.delimited());
      assert.ok(inner.next());
      assert.deepEqual([inner.number, inner.string()], [1, text]);
      assert.deepEqual([inner.done, reader.done, reader.next()], [true, true, false]);
    }),
  );
});

test("the writer of requests writes the tags of the highest field numbers whole", () => {
  fc.assert(
    fc.property(numbers, number => {
      const writer = new Writer(16);
      writer.uint32(tagOf(number, LENGTH));
      writer.string("x");
      const reader = new WireReader(writer.finish());
      assert.ok(reader.next());
      assert.deepEqual([reader.number, reader.wireType, reader.string()], [number, LENGTH, "x"]);
    }),
    { examples: [[0x1fff_ffff], [0x1000_0000]] },
  );
});
