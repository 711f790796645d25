import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { createCodecs } from "../../src/codec/codecs.js";
import { requestFailure, TranscodeError } from "../../src/codec/error.js";
import { Encoders } from "../../src/codec/json-to-wire/encoders.js";
import { JsonCursor } from "../../src/codec/json-to-wire/json-cursor.js";
import { parseJson } from "../../src/codec/json-to-wire/parse-json.js";
import { Writer } from "../../src/codec/json-to-wire/writer.js";
import { Decoders } from "../../src/codec/wire-to-json/decoders.js";
import { JsonWriter } from "../../src/codec/wire-to-json/json-writer.js";
import { Reader } from "../../src/codec/wire-to-json/reader.js";
import { maxJsonBytes, maxResponseWorkUnits, maxWorkUnits } from "../../src/codec/work.js";
import { HOSTILE_MESSAGES, HOSTILE_TEXTS } from "./hostile-inputs.js";
import { ALL } from "./json-arbitrary.js";
import { decode, encode, model, POLICY, type } from "./schema.js";
import { int, tag, varint } from "./wire-bytes.js";

const MIB = 1 << 20;
const codecs = createCodecs(model, POLICY);
const encoders = new Encoders(model, POLICY);
const decoders = new Decoders(model, POLICY);
const writer = new Writer();

function encodeText(name: string, text: Buffer): Uint8Array {
  writer.reset();
  codecs.message(type(name)).encodeText(text, writer);
  return writer.finish();
}

function refused(work: () => unknown, says: RegExp): void {
  assert.throws(work, error => error instanceof TranscodeError && says.test(error.message));
}

/** A length-delimited field of many equal pieces. */
function many(number: number, piece: readonly number[], count: number): Buffer {
  const content = Buffer.alloc(count * piece.length, Buffer.from(piece));
  return Buffer.concat([Buffer.from([...tag(number, 2), ...varint(content.length)]), content]);
}

/** Fields that come twice keep a message from being printed in one pass. */
const TWICE = Buffer.from([...int(3, 1), ...int(3, 2)]);

test("a mebibyte of plain integers is read in one pass, and a third of it by way of the tree", () => {
  const list = (bytes: number, tail: string) =>
    Buffer.from(`{"rInt32":[${"0,".repeat(bytes / 2 - 40)}0]${tail}}`);
  assert.ok(encodeText("three.All", list(MIB, "")).length > MIB / 2 - 40);
  assert.ok(encodeText("three.All", list(MIB / 4, ',"fInt3\\u0032":1')).length > MIB / 8 - 40);
  refused(() => encodeText("three.All", list(MIB / 4, ',"cInt32":1,"cString":""')), /only one of the fields/);
});

test("a text of more work than the budget is refused with the limit in its error", () => {
  const text = Buffer.from(`{"rInt64":[${"0,".repeat(maxWorkUnits)}0]}`);
  refused(() => encodeText("three.All", text), /more than 2000000 units of work/);
  refused(() => parseJson(text, { depth: 10 }), /more than 2000000 units of work/);
});

test("a message of more work than the budget of responses is refused, read in one pass or field by field", () => {
  for (const before of [Buffer.alloc(0), TWICE]) {
    const wire = Buffer.concat([before, many(43, [0], maxResponseWorkUnits / 2)]);
    refused(() => decode("three.All", wire), /more than 8000000 units of work/);
  }
});

test("a request of more work than the budget is a failure with status 413", () => {
  const text = Buffer.from(`{"rInt64":[${"0,".repeat(maxWorkUnits)}0]}`);
  assert.throws(
    () => encodeText("three.All", text),
    error => {
      assert.ok(error instanceof TranscodeError);
      const { httpStatus, reason } = requestFailure(error);
      assert.deepEqual([httpStatus, reason], [413, "BODY_TOO_LARGE"]);
      return true;
    },
  );
});

for (const [way, before] of [
  ["in one pass", Buffer.alloc(0)],
  ["field by field", TWICE],
] as const) {
  test(`a message that would grow beyond 64 MiB of JSON is refused, read ${way}`, () => {
    // Each empty message prints all its defaults, some 1,000 bytes for two.
    const empty = Buffer.concat([before, Buffer.alloc(240_000, Buffer.from([...tag(57, 2), 0]))]);
    const started = decode("three.All", empty.subarray(0, before.length + 300), { emitDefaults: true });
    assert.ok(started.length * 800 > maxJsonBytes);
    refused(() => decode("three.All", empty, { emitDefaults: true }), /bytes as JSON|units of work/);
  });
}

/** Units that a text costs: in one pass, and then by way of the tree where that does not do. */
function unitsOfText(name: string, text: Buffer): number {
  const work = { units: maxWorkUnits };
  writer.reset();
  try {
    const cursor = new JsonCursor(text, maxWorkUnits);
    try {
      encoders.message(type(name)).encodeText(cursor, writer, POLICY.depth);
      cursor.finish();
    } finally {
      work.units = cursor.units;
    }
  } catch {
    if (work.units >= 0) {
      try {
        parseJson(text, { depth: POLICY.depth, work });
      } catch {}
    }
  }
  return maxWorkUnits - work.units;
}

function unitsOfMessage(name: string, wire: Buffer): number {
  const reader = new Reader(wire);
  const node = decoders.message(type(name));
  try {
    node.print(reader, wire.length, new JsonWriter(), POLICY.depth);
  } catch {
    if (reader.units >= 0) {
      reader.pos = 0;
      try {
        node.decode(reader, wire.length, POLICY.depth);
      } catch {}
    }
  }
  return maxResponseWorkUnits - reader.units;
}

/** Bytes of short samples; their units say what many of the same cost. */
const SAMPLE = 1 << 12;

test("no kind of value in a text is free, and twice as many cost twice as much", () => {
  for (const { title, type: name, make } of HOSTILE_TEXTS) {
    if (/^(a |long bytes|white|non-ASCII)/.test(title)) continue;
    const [once, twice] = [unitsOfText(name, make(SAMPLE)), unitsOfText(name, make(2 * SAMPLE))];
    assert.ok(once >= SAMPLE / 1000, `${title}: ${once}`);
    assert.ok(twice >= 1.5 * once || twice <= 200, `${title}: ${once}, ${twice}`);
  }
});

test("no kind of field in a message is free, and twice as many cost twice as much", () => {
  for (const { title, type: name, make } of HOSTILE_MESSAGES) {
    if (/^(a |an int32|long bytes|unknown)/.test(title)) continue;
    const [once, twice] = [unitsOfMessage(name, make(SAMPLE)), unitsOfMessage(name, make(2 * SAMPLE))];
    assert.ok(once >= SAMPLE / 1000, `${title}: ${once}`);
    assert.ok(twice >= 1.5 * once || twice <= 200, `${title}: ${once}, ${twice}`);
  }
});

test("a message that costs more than the budget within a mebibyte is refused", () => {
  for (const title of [
    "rAny of {}",
    'rBytes of "AA=="',
    "rValue of {}",
    "kInt64 of every 1th key",
    "rInt64 of 1e18",
  ]) {
    const { type: name, make } = HOSTILE_TEXTS.find(each => each.title === title)!;
    const expected = (unitsOfText(name, make(SAMPLE)) / SAMPLE) * MIB;
    if (expected > maxWorkUnits) refused(() => encodeText(name, make(MIB)), /units of work/);
    else assert.ok(encodeText(name, make(MIB)).length > 0);
  }
  for (const title of ["packed floats of 1.1754942e-38", "Any of a message", "messages with a field twice"]) {
    const { type: name, make } = HOSTILE_MESSAGES.find(each => each.title === title)!;
    refused(() => codecs.message(type(name)).decode(make(4 * MIB)), /units of work/);
  }
});

test("random messages cost a small part of the work budget, in one pass and by the tree", () => {
  fc.assert(
    fc.property(ALL, json => {
      const text = Buffer.from(JSON.stringify(json));
      const work = { units: maxWorkUnits };
      parseJson(text, { depth: POLICY.depth, work });
      const units = unitsOfText("three.All", text) + maxWorkUnits - work.units;
      assert.ok(units < maxWorkUnits / 50 + text.length * 4, String(units));
      unitsOfMessage("three.All", Buffer.from(encode("three.All", text.toString())));
    }),
    { numRuns: 100 },
  );
});

test("a request of 1 MiB and a response of 4 MiB of realistic rows pass", () => {
  fc.assert(
    fc.property(fc.array(ALL, { minLength: 1, maxLength: 5 }), rows => {
      const plain = [
        {
          fInt64: "1234567890123",
          fString: 'a title with "quotes"',
          fDouble: 12.5,
          fBool: true,
          timestamp: "2024-05-06T07:08:09.123Z",
          mString: { env: "prod", team: "core" },
          rInt32: [1, 2, 3],
          fBytes: "aGVsbG8=",
          fAll: { fString: "x", fColor: "RED", wInt64: "7" },
        },
        ...rows,
      ];
      const row = plain.map(each => JSON.stringify(each)).join(",");
      const text = Buffer.from(
        `{"rAll":[${Array(Math.floor(MIB / (row.length + 1)))
          .fill(row)
          .join(",")}]}`,
      );
      const wire = encodeText("three.All", text);
      // As much as a response may be where its upstream sets no other limit.
      const response = Buffer.concat(Array(Math.ceil((4 * MIB) / wire.length)).fill(wire));
      assert.ok(codecs.message(type("three.All")).decode(response).length > 2 * MIB);
    }),
    { numRuns: 5 },
  );
});
