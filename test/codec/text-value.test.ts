import assert from "node:assert/strict";
import { test } from "node:test";
import { createCodecs } from "../../src/codec/codecs.js";
import { TranscodeError } from "../../src/codec/error.js";
import { isTextBindable, leafFromText } from "../../src/codec/json-to-wire/text-value.js";
import { Writer } from "../../src/codec/json-to-wire/writer.js";
import { noWrappers } from "../../src/codec/well-known.js";
import type { Field } from "../../src/descriptors/model.js";
import { model, POLICY, type } from "./schema.js";

function field(name: string): Field {
  const found = type("three.All").fieldsByName.get(name);
  assert.ok(found, name);
  return found;
}

/** Text → JSON value → wire → JSON text of the field. */
function bound(name: string, text: string): string {
  const codec = createCodecs(model, POLICY).field(field(name));
  const writer = new Writer();
  codec.encode(leafFromText(field(name), text), writer);
  return codec.decode(writer.finish());
}

test("text becomes the value of any scalar, enum or well-known type with a text form", () => {
  for (const [name, text, printed] of [
    ["oString", "", '""'],
    ["oString", "null", '"null"'],
    ["oInt32", "-5", "-5"],
    ["oInt64", "9223372036854775807", '"9223372036854775807"'],
    ["oUint64", "18446744073709551615", '"18446744073709551615"'],
    ["oDouble", "1.5", "1.5"],
    ["oDouble", "NaN", '"NaN"'],
    ["oFloat", "1e3", "1000"],
    ["oBool", "false", "false"],
    ["oBytes", "-_8", '"+/8="'],
    ["oBytes", "", '""'],
    ["oColor", "RED", '"RED"'],
    ["oColor", "2", '"GREEN"'],
    ["oColor", "-1", '"NEGATIVE"'],
    ["timestamp", "2024-01-01T00:00:00Z", '"2024-01-01T00:00:00Z"'],
    ["duration", "1.5s", '"1.500s"'],
    ["mask", "a.b,cD", '"a.b,cD"'],
    ["wInt32", "7", "7"],
    ["wBool", "true", "true"],
    ["wString", "", '""'],
    ["value", "1.5", "1.5"],
    ["value", "true", "true"],
    ["value", "null", "null"],
    ["value", "text", '"text"'],
  ] as const) {
    assert.equal(bound(name, text), printed, `${name}=${text}`);
  }
});

test("text that is no value of the field is refused", () => {
  for (const [name, text] of [
    ["oInt32", ""],
    ["oInt32", "1.5"],
    ["oInt32", " 1"],
    ["oInt32", "2147483648"],
    ["oUint32", "-1"],
    ["oDouble", ""],
    ["oFloat", "1e39"],
    ["oBool", ""],
    ["oBool", "1"],
    ["oBool", "TRUE"],
    ["oColor", ""],
    ["oColor", "PINK"],
    ["oColor", "99999999999"],
    ["oBytes", "*"],
    ["timestamp", ""],
    ["duration", "1"],
    ["mask", "a_b"],
    ["wInt32", ""],
    ["wBool", "yes"],
  ] as const) {
    assert.throws(
      () => leafFromText(field(name), text),
      error => error instanceof TranscodeError && error.reason === "INVALID_VALUE",
      `${name}=${text}`,
    );
  }
});

test("messages without a text form and maps cannot be bound to text", () => {
  for (const name of ["oInt32", "rInt32", "oColor", "timestamp", "rTimestamp", "wBytes", "value", "mask"]) {
    assert.equal(isTextBindable(field(name), noWrappers), true, name);
  }
  for (const name of ["fAll", "rAll", "mInt32", "struct", "list", "any", "empty"]) {
    assert.equal(isTextBindable(field(name), noWrappers), false, name);
  }
});
