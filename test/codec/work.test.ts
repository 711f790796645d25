import assert from "node:assert/strict";
import { test } from "node:test";
import { TranscodeError } from "../../src/codec/error.js";
import { parseJson } from "../../src/codec/json-to-wire/parse-json.js";
import { MAX_ELEMENTS, MAX_JSON_BYTES } from "../../src/codec/work.js";
import { decode, encode } from "./schema.js";
import { int, tag, varint } from "./wire-bytes.js";

function refused(work: () => unknown, says: RegExp): void {
  assert.throws(work, error => error instanceof TranscodeError && says.test(error.message));
}

/** A length-delimited field of many equal pieces. */
function many(number: number, piece: readonly number[], count: number): Buffer {
  const content = Buffer.concat(Array.from({ length: count }, () => Buffer.from(piece)));
  return Buffer.concat([Buffer.from([...tag(number, 2), ...varint(content.length)]), content]);
}

/** Fields that come twice keep a message from being printed in one pass. */
const TWICE = Buffer.from([...int(3, 1), ...int(3, 2)]);

for (const [way, before] of [
  ["in one pass", Buffer.alloc(0)],
  ["field by field", TWICE],
] as const) {
  test(`a message may have a million elements and no more, read ${way}`, () => {
    const most = Buffer.concat([before, many(43, [0], MAX_ELEMENTS - 1)]);
    assert.equal(
      (JSON.parse(decode("three.All", most)) as { rInt32: number[] }).rInt32.length,
      MAX_ELEMENTS - 1,
    );
    refused(() => decode("three.All", Buffer.concat([before, many(43, [0], MAX_ELEMENTS + 1)])), /elements/);
  });

  test(`a message may not grow beyond 64 MiB of JSON, read ${way}`, () => {
    // Each empty message prints all its defaults, some 1,000 bytes for two.
    const empty = Buffer.concat([
      before,
      ...Array.from({ length: 80_000 }, () => Buffer.from([...tag(57, 2), 0])),
    ]);
    const started = decode("three.All", empty.subarray(0, before.length + 300), { emitDefaults: true });
    assert.ok(started.length * 800 > MAX_JSON_BYTES);
    refused(() => decode("three.All", empty, { emitDefaults: true }), /bytes as JSON/);
  });
}

test("a JSON text may have a million values and no more", () => {
  const list = (count: number) => Buffer.from(`{"rInt32":[${"0,".repeat(count - 1)}0]}`);
  assert.doesNotThrow(() => parseJson(list(MAX_ELEMENTS - 2), { depth: 10 }));
  refused(() => parseJson(list(MAX_ELEMENTS), { depth: 10 }), /values/);
  refused(() => encode("three.All", list(MAX_ELEMENTS).toString()), /values/);
});
