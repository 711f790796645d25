import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { FrameWriter } from "../../src/h2/frame-writer.js";
import { ConnectionError, Flag } from "../../src/h2/protocol.js";
import { writeMessagePart } from "../../src/upstream/grpc/messages.js";
import { frame, settings } from "../upstream/h2/raw-server.js";
import { Recorder, randomFrames, readInChunks } from "./fuzz-frames.js";
import { frameReader } from "./parts.js";

test("the reader finds the same frames however their bytes are chunked", () => {
  fc.assert(
    fc.property(
      fc.array(validFrame(), { maxLength: 20 }),
      fc.array(fc.integer({ min: 1, max: 40 })),
      (frames, cuts) => {
        const bytes = Buffer.concat([settings(), ...frames]);
        const whole = new Recorder();
        frameReader(whole).read(bytes, bytes.length);
        const cut = new Recorder();
        readInChunks(frameReader(cut), bytes, cuts);
        assert.deepEqual(cut.joined(), whole.joined());
      },
    ),
    { numRuns: 300 },
  );
});

/** Frames that no rule about their order forbids. */
function validFrame(): fc.Arbitrary<Buffer> {
  const stream = fc.integer({ min: 1, max: 9 });
  const content = fc.uint8Array({ maxLength: 80 });
  return fc.oneof(
    fc
      .tuple(stream, content, fc.nat(60), fc.boolean())
      .map(([id, bytes, pad, end]) =>
        frame(
          0,
          Flag.Padded | (end ? 1 : 0),
          id,
          Buffer.concat([Buffer.from([pad]), bytes, Buffer.alloc(pad)]),
        ),
      ),
    fc.tuple(stream, content, fc.boolean()).map(([id, bytes, end]) => frame(0, end ? 1 : 0, id, bytes)),
    fc.tuple(stream, content).map(([id, bytes]) => frame(1, Flag.EndHeaders, id, bytes)),
    fc
      .tuple(stream, content, content)
      .map(([id, first, second]) =>
        Buffer.concat([frame(1, 1, id, first), frame(9, Flag.EndHeaders, id, second)]),
      ),
    fc
      .tuple(stream, fc.uint8Array({ minLength: 4, maxLength: 4 }))
      .map(([id, bytes]) => frame(3, 0, id, bytes)),
    fc.uint8Array({ minLength: 8, maxLength: 8 }).map(bytes => frame(6, 0, 0, bytes)),
    fc.uint8Array({ minLength: 8, maxLength: 40 }).map(bytes => frame(7, 0, 0, bytes)),
    fc
      .tuple(fc.nat(9), fc.uint8Array({ minLength: 4, maxLength: 4 }))
      .map(([id, bytes]) => frame(8, 0, id, bytes)),
    fc
      .tuple(fc.integer({ min: 10, max: 255 }), fc.nat(255), fc.nat(9), content)
      .map(([type, flags, id, bytes]) => frame(type, flags, id, bytes)),
  );
}

test("arbitrary bytes end in frames or a ConnectionError", () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 200 }),
      fc.array(fc.integer({ min: 1, max: 30 })),
      (bytes, cuts) => {
        try {
          readInChunks(frameReader(new Recorder()), Buffer.concat([settings(), bytes]), cuts);
        } catch (error) {
          assert.ok(error instanceof ConnectionError, String(error));
        }
      },
    ),
    { numRuns: 1000 },
  );
});

test("random frames end in events or a ConnectionError, in chunks of any size", () => {
  for (let seed = 1; seed <= 300; seed++) {
    try {
      readInChunks(frameReader(new Recorder()), Buffer.concat([settings(), randomFrames(seed)]), [
        (seed % 64) + 1,
      ]);
    } catch (error) {
      assert.ok(error instanceof ConnectionError, `seed ${seed}: ${error}`);
    }
  }
});

test("a gRPC message is the same however it is cut into DATA frames", () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 100 }),
      fc.array(fc.integer({ min: 1, max: 30 }), { minLength: 1 }),
      (message, cuts) => {
        const out = new FrameWriter(1);
        const total = message.length + 5;
        for (let offset = 0, index = 0; offset < total; index++) {
          const count = Math.min(cuts[index % cuts.length]!, total - offset);
          writeMessagePart(out, 1, message, 0, offset, count, offset + count === total);
          offset += count;
        }
        const sink = new Recorder();
        const bytes = Buffer.concat([settings(), out.bytes.subarray(0, out.length)]);
        frameReader(sink).read(bytes, bytes.length);
        const head = Buffer.alloc(5);
        head.writeUInt32BE(message.length, 1);
        const data = sink.joined().filter(event => event.startsWith("data "));
        assert.deepEqual(data, [`data 1 ${total} ${Buffer.concat([head, message]).toString("hex")} end`]);
      },
    ),
    { numRuns: 300 },
  );
});
