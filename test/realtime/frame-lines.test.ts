import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { readFrameLines } from "../../src/realtime/fallback/frame-lines.js";
import { GatewayError } from "../../src/status/failure.js";

describe("bodies with frames", () => {
  test("every line that is not empty is a frame, with either line end", () => {
    const line = fc.string({ unit: "grapheme" }).filter(text => !/[\r\n]/.test(text));
    const ends = fc.constantFrom("\n", "\r\n", "\n\n");
    fc.assert(
      fc.property(fc.array(fc.tuple(line, ends)), fc.boolean(), (lines, open) => {
        const whole = lines.map(([text, end]) => text + end).join("");
        const body = Buffer.from(open ? whole.replace(/[\r\n]+$/, "") : whole);
        const texts = lines.map(([text]) => text).filter(text => text !== "");
        const read = readFrameLines(body, 1 << 20);
        assert.deepEqual(
          read.map(({ text }) => text),
          texts,
        );
        for (const { text, bytes } of read) assert.equal(bytes, Buffer.byteLength(text));
      }),
    );
  });

  test("any bytes are lines, or refused with a reason", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), fc.integer({ min: 1, max: 64 }), (body, maxLine) => {
        try {
          for (const { text, bytes } of readFrameLines(body, maxLine)) {
            assert.ok(bytes <= maxLine && bytes > 0);
            assert.ok(!text.includes("\n"));
          }
        } catch (error) {
          assert.ok(error instanceof GatewayError);
          assert.match(error.failure.reason, /^(BODY_TOO_LARGE|MALFORMED_JSON)$/);
        }
      }),
    );
  });
});
