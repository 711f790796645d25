import assert from "node:assert/strict";
import { test } from "node:test";
import { parseJsonObject, requireJsonBody, requireJsonType } from "../../src/bindings/json-body.js";
import { JsonNumber } from "../../src/codec/json.js";
import { GatewayError } from "../../src/status/failure.js";

function reasonOf(work: () => unknown): string {
  try {
    work();
  } catch (error) {
    assert.ok(error instanceof GatewayError, String(error));
    return error.failure.reason;
  }
  return "accepted";
}

for (const [contentType, reason] of [
  ["application/json", "accepted"],
  ["Application/JSON; Charset=UTF-8", "accepted"],
  ["application/json;charset=", "accepted"],
  ["application/json; charset=", "accepted"],
  ['application/json; charset=""', "accepted"],
  ["application/json; charset", "accepted"],
  ['application/json; charset="utf8"', "accepted"],
  ["application/merge-patch+json; v=1", "accepted"],
  ["application/json; charset=latin1", "UNSUPPORTED_MEDIA_TYPE"],
  ["application/json; charset=utf-8; charset=utf-16", "UNSUPPORTED_MEDIA_TYPE"],
  ["application/json2", "UNSUPPORTED_MEDIA_TYPE"],
  ["text/plain", "UNSUPPORTED_MEDIA_TYPE"],
  ["", "UNSUPPORTED_MEDIA_TYPE"],
] as const) {
  test(`a body of type ${JSON.stringify(contentType)} is ${reason}`, () => {
    assert.equal(
      reasonOf(() => requireJsonType(contentType)),
      reason,
    );
  });
}

test("a compressed body is refused, and headers are not checked without a body", () => {
  const headers: Record<string, string> = { "content-encoding": "gzip", "content-type": "text/plain" };
  const header = (name: string) => headers[name];
  assert.equal(
    reasonOf(() => requireJsonBody({ body: Buffer.from("{}"), header })),
    "UNSUPPORTED_MEDIA_TYPE",
  );
  assert.equal(
    reasonOf(() => requireJsonBody({ body: Buffer.alloc(0), header })),
    "accepted",
  );
});

for (const [json, reason] of [
  ['{"a":1,"a":2}', "DUPLICATE_KEY"],
  ['{"a":{"b":1,"b":1}}', "DUPLICATE_KEY"],
  ["{", "MALFORMED_JSON"],
  ["", "MALFORMED_JSON"],
  ['{"a":"\\ud800"}', "MALFORMED_JSON"],
  ["[]", "INVALID_VALUE"],
  ["null", "INVALID_VALUE"],
  [`{"a":${"[".repeat(32)}${"]".repeat(32)}}`, "TOO_DEEP"],
] as const) {
  test(`the body ${json.slice(0, 40)} is refused with ${reason}`, () => {
    assert.equal(
      reasonOf(() => parseJsonObject(Buffer.from(json))),
      reason,
    );
  });
}

test("bytes that are not UTF-8 are malformed, and numbers keep their digits", () => {
  assert.equal(
    reasonOf(() => parseJsonObject(Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]))),
    "MALFORMED_JSON",
  );
  assert.deepEqual(
    parseJsonObject(Buffer.from('{"a":9007199254740993}')).a,
    new JsonNumber("9007199254740993"),
  );
});
