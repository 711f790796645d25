import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  decodeErrorReason,
  decodeRetryDelay,
  decodeStatus,
  encodeBadRequest,
  holds,
} from "../../src/status/details.js";
import { any, decode, encode } from "./reference.js";

function retryDelay(seconds: number | string, nanos: number): number | undefined {
  return decodeRetryDelay(encode("google.rpc.RetryInfo", { retryDelay: { seconds, nanos } }));
}

test("a status is read with its details byte for byte, unknown types included", () => {
  const details = [
    any("google.rpc.Help", { links: [{ description: "d", url: "https://example.com" }] }),
    { type_url: "example.com/openim.protobuf.ErrorInfo", value: Uint8Array.of(0xff, 0x00, 0x80) },
  ];
  const status = decodeStatus(encode("google.rpc.Status", { code: 5, message: "gone: ä", details }));
  assert.equal(status?.code, 5);
  assert.equal(status.message, "gone: ä");
  assert.deepEqual(
    status.details.map(detail => [detail.typeUrl, Buffer.from(detail.value).toString("hex")]),
    details.map(detail => [detail.type_url, Buffer.from(detail.value).toString("hex")]),
  );
});

test("any status that protobufjs writes is read the same", () => {
  const status = fc.record({
    code: fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }),
    message: fc.string({ unit: "grapheme" }),
    details: fc.array(fc.record({ type_url: fc.string(), value: fc.uint8Array({ maxLength: 300 }) }), {
      maxLength: 5,
    }),
  });
  fc.assert(
    fc.property(status, expected => {
      const actual = decodeStatus(encode("google.rpc.Status", expected));
      assert.equal(actual?.code, expected.code);
      assert.equal(actual.message, expected.message);
      assert.deepEqual(
        actual.details.map(({ typeUrl, value }) => ({ type_url: typeUrl, value: Uint8Array.from(value) })),
        expected.details.map(({ type_url, value }) => ({ type_url, value: Uint8Array.from(value) })),
      );
    }),
    { numRuns: 300 },
  );
});

test("reading never throws, whatever the bytes", () => {
  const tagged = fc
    .array(fc.tuple(fc.integer({ min: 0, max: 0x27 }), fc.uint8Array({ maxLength: 12 })))
    .map(parts => Uint8Array.from(parts.flatMap(([tag, content]) => [tag, content.length, ...content])));
  fc.assert(
    fc.property(fc.oneof(fc.uint8Array({ maxLength: 200 }), tagged), bytes => {
      decodeStatus(bytes);
      decodeErrorReason(bytes);
      decodeRetryDelay(bytes);
    }),
    { numRuns: 3000 },
  );
});

test("a status that is cut short is not a status", () => {
  const whole = encode("google.rpc.Status", { message: "message" });
  for (let length = 1; length < whole.length; length++)
    assert.equal(decodeStatus(whole.subarray(0, length)), undefined);
});

test("malformed wire data is not a status", () => {
  const malformed = {
    "field number 0": [0x00, 0x00],
    group: [0x0b, 0x0c],
    "wire type 7": [0x0f],
    "varint of eleven bytes": [0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
    "length past the end": [0x12, 0x05, 0x61],
    "malformed Any": [0x1a, 0x02, 0x0a, 0x09],
  };
  for (const [name, bytes] of Object.entries(malformed))
    assert.equal(decodeStatus(Uint8Array.from(bytes)), undefined, name);
});

test("fields that a status does not declare are skipped, whatever their wire type", () => {
  const extra = [0x78, 0x01, 0x7d, 1, 2, 3, 4, 0x79, 1, 2, 3, 4, 5, 6, 7, 8, 0x7a, 0x01, 0x00];
  assert.equal(decodeStatus(Uint8Array.from([...extra, 0x08, 0x05]))?.code, 5);
});

test("at most 128 details are kept", () => {
  const details = Array.from({ length: 200 }, () => any("google.rpc.Help", {}));
  assert.equal(decodeStatus(encode("google.rpc.Status", { details }))?.details.length, 128);
});

test("a retry delay is rounded up to whole seconds", () => {
  assert.equal(retryDelay(0, 0), 0);
  assert.equal(retryDelay(0, 1), 1);
  assert.equal(retryDelay(2, 0), 2);
  assert.equal(retryDelay(2, 500_000_000), 3);
});

test("a retry delay that is absent, negative or out of range counts as none", () => {
  assert.equal(decodeRetryDelay(new Uint8Array(0)), undefined);
  assert.equal(retryDelay(-1, 0), undefined);
  assert.equal(retryDelay(0, -1), undefined);
  assert.equal(retryDelay(0, 1_000_000_000), undefined);
  assert.equal(retryDelay("315576000001", 0), undefined);
});

test("the reason of an ErrorInfo is read, an empty one counts as none", () => {
  const info = { reason: "ROOM_FULL", domain: "chat", metadata: { room: "x" } };
  assert.equal(decodeErrorReason(encode("google.rpc.ErrorInfo", info)), "ROOM_FULL");
  assert.equal(decodeErrorReason(encode("google.rpc.ErrorInfo", { domain: "chat" })), undefined);
});

test("an Any is recognised by the name after the last slash", () => {
  const value = new Uint8Array(0);
  assert.ok(holds({ typeUrl: "type.googleapis.com/google.rpc.Help", value }, "google.rpc.Help"));
  assert.ok(holds({ typeUrl: "https://example.com/types/google.rpc.Help", value }, "google.rpc.Help"));
  assert.ok(!holds({ typeUrl: "type.googleapis.com/my.google.rpc.Help", value }, "google.rpc.Help"));
});

test("field violations are written as protobufjs reads them, long ones included", () => {
  const fieldViolations = [
    { field: "message.author.login", description: "ä".repeat(200) },
    { field: "n", description: "x".repeat(20_000) },
  ];
  const detail = encodeBadRequest(fieldViolations);
  assert.equal(detail.typeUrl, "type.googleapis.com/google.rpc.BadRequest");
  assert.deepEqual(decode("google.rpc.BadRequest", detail.value), { fieldViolations });
});
