import assert from "node:assert/strict";
import { test } from "node:test";
import type { JsonPolicy } from "../../src/codec/codec.js";
import { createCodecs } from "../../src/codec/codecs.js";
import { TranscodeError } from "../../src/codec/error.js";
import { parseJson } from "../../src/codec/json-to-wire/parse-json.js";
import { Writer } from "../../src/codec/json-to-wire/writer.js";
import type { Field } from "../../src/descriptors/model.js";
import { encode, model, POLICY, type } from "./schema.js";
import { int, len, wire } from "./wire-bytes.js";

function field(name: string, message = "three.All"): Field {
  const found = type(message).fieldsByName.get(name);
  assert.ok(found, name);
  return found;
}

function read(name: string, bytes: Uint8Array, policy: Partial<JsonPolicy> = {}): string {
  return createCodecs(model, { ...POLICY, ...policy })
    .field(field(name))
    .decode(bytes);
}

function write(name: string, json: string, message = "three.All"): Uint8Array {
  const writer = new Writer();
  createCodecs(model, POLICY)
    .field(field(name, message))
    .encode(parseJson(Buffer.from(json), { depth: 100 }), writer);
  return new Uint8Array(writer.finish());
}

test("one field of a message is printed bare", () => {
  const json =
    '{"fInt32":5,"rString":["a","b"],"mInt32":{"k":1},"fAll":{"fBool":true},"timestamp":"2024-01-01T00:00:00Z","oString":"x"}';
  const bytes = encode("three.All", json);
  for (const [name, value] of Object.entries(JSON.parse(json)))
    assert.deepEqual(JSON.parse(read(name, bytes)), value);
});

test("an absent field is printed as what it stands for", () => {
  const expected = {
    fInt32: "0",
    fInt64: '"0"',
    fString: '""',
    fBytes: '""',
    fBool: "false",
    fColor: '"BLACK"',
    fDouble: "0",
    rString: "[]",
    rAll: "[]",
    mInt32: "{}",
    fAll: "null",
    timestamp: "null",
    wInt32: "null",
    oInt32: "0",
    cString: '""',
  };
  for (const [name, text] of Object.entries(expected)) assert.equal(read(name, wire()), text, name);
  assert.equal(read("fInt64", wire(), { int64: "number" }), "0");
  assert.equal(read("fColor", wire(), { enums: "number" }), "0");
});

test("a oneof member that another replaced is absent", () => {
  assert.equal(read("cString", wire(len(102, "x"), int(101, 1))), '""');
  assert.equal(read("cInt32", wire(len(102, "x"), int(101, 1))), "1");
  assert.equal(read("cAll", wire(len(104, []), int(101, 1))), "null");
});

test("bytes that are no message are malformed for a single field too", () => {
  assert.throws(
    () => read("fInt32", Uint8Array.from([0x80])),
    error => error instanceof TranscodeError && error.reason === "MALFORMED_MESSAGE",
  );
});

test("a bare value becomes the field with its tag", () => {
  assert.deepEqual(write("rInt32", "[1,2]"), wire(len(43, [1, 2])));
  assert.deepEqual(write("fAll", '{"fInt32":1}'), wire(len(17, int(3, 1))));
  assert.deepEqual(write("fString", '"x"'), wire(len(14, "x")));
  assert.deepEqual(write("mInt32", '{"k":1}'), wire(len(63, [...len(1, "k"), ...int(2, 1)])));
  assert.deepEqual(write("fAll", "null"), wire());
  assert.deepEqual(write("value", "null"), wire(len(205, int(1, 0))));
});

test("errors begin with the name of the field", () => {
  for (const [name, json, path, message] of [
    ["message", '{"author":{"login":1}}', "message.author.login", "three.Request"],
    ["items", '[{},{"price":"x"}]', "items[1].price", "three.Message"],
    ["items", "{}", "items", "three.Message"],
    ["labels", '{"a b":1}', 'labels["a b"]', "three.Message"],
  ] as const) {
    assert.throws(
      () => write(name, json, message),
      error => error instanceof TranscodeError && error.field === path,
    );
  }
});

test("codecs of equal policies are shared", () => {
  assert.equal(createCodecs(model, POLICY), createCodecs(model, { ...POLICY }));
  assert.notEqual(createCodecs(model, POLICY), createCodecs(model, { ...POLICY, depth: 5 }));
});
