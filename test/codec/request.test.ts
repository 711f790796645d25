import assert from "node:assert/strict";
import { test } from "node:test";
import { createCodecs } from "../../src/codec/codecs.js";
import { TranscodeError } from "../../src/codec/error.js";
import { BodyCopy } from "../../src/codec/json-to-wire/body-copy.js";
import type { BodyTarget } from "../../src/codec/json-to-wire/body-tree.js";
import { RequestPlan } from "../../src/codec/json-to-wire/request.js";
import { Writer } from "../../src/codec/json-to-wire/writer.js";
import { maxWorkUnits } from "../../src/codec/work.js";
import type { Field } from "../../src/descriptors/model.js";
import { decode, model, POLICY, type } from "./schema.js";

const codecs = createCodecs(model, POLICY);

function path(message: string, text: string): readonly Field[] {
  const fields: Field[] = [];
  let owner = type(message);
  for (const name of text.split(".")) {
    const field = owner.fieldsByName.get(name);
    assert.ok(field, text);
    fields.push(field);
    if (field.message !== undefined) owner = field.message;
  }
  return fields;
}

/** @param body the name of a field, or `*` */
function send(
  message: string,
  body: string,
  variables: Readonly<Record<string, string>>,
  json: string,
  query = "",
): string {
  const target: BodyTarget =
    body === "*" ? { kind: "all" } : { kind: "field", field: path(message, body)[0] as Field };
  const plan = new RequestPlan({
    input: type(message),
    codecs,
    variables: Object.keys(variables).map(name => path(message, name)),
    body: target,
    query: { unknown: "reject", ignore: new Set() },
    fillUpdateMask: false,
    depth: 100,
  });
  const bytes = Buffer.from(json);
  return decode(
    message,
    plan.encode(Object.values(variables), query, { contentType: "application/json", bytes }),
  );
}

function refusal(...request: Parameters<typeof send>): TranscodeError {
  try {
    send(...request);
  } catch (error) {
    assert.ok(error instanceof TranscodeError);
    return error;
  }
  return assert.fail("the request was accepted");
}

/** True where one pass over the body is enough. */
function isCopied(
  message: string,
  body: string | undefined,
  variables: readonly string[],
  json: string,
): boolean {
  const copy = BodyCopy.plan(
    codecs,
    type(message),
    body === undefined ? undefined : path(message, body)[0],
    variables.map(name => path(message, name)),
    100,
  );
  return (
    copy?.write(
      Buffer.from(json),
      variables.map(() => "7"),
      new Writer(),
      { units: maxWorkUnits },
    ) ?? false
  );
}

test("a whole body and path variables make one message", () => {
  assert.equal(send("three.All", "*", {}, '{"fInt32":1}'), '{"fInt32":1}');
  assert.equal(
    send("three.All", "*", { f_string: "a", "f_all.f_int32": "5" }, '{"fAll":{"fBool":true},"fInt32":1}'),
    '{"fInt32":1,"fString":"a","fAll":{"fInt32":5,"fBool":true}}',
  );
});

test("a field as body and path variables inside and beside it make one message", () => {
  assert.equal(
    send("three.All", "f_all", { f_string: "a", "f_all.f_int32": "5" }, '{"fBool":true}'),
    '{"fString":"a","fAll":{"fInt32":5,"fBool":true}}',
  );
  assert.equal(send("three.All", "f_all", { "f_all.f_int32": "5" }, "null"), '{"fAll":{"fInt32":5}}');
  assert.equal(send("three.All", "r_int32", {}, "[1,2]"), '{"rInt32":[1,2]}');
});

test("such bodies need no tree", () => {
  assert.ok(
    isCopied("three.All", undefined, ["f_string", "f_all.f_int32"], '{"fAll":{"fBool":true},"fInt32":1}'),
  );
  assert.ok(isCopied("three.All", "f_all", ["f_all.f_int32"], '{"fBool":true}'));
});

test("a body that repeats what the path binds must agree with it, at any depth and by either name", () => {
  for (const json of ['{"fInt32":5}', '{"f_int32":"5"}', '{"fInt32":5.0}', '{"fInt32":null}']) {
    assert.equal(send("three.All", "*", { f_int32: "5" }, json), '{"fInt32":5}');
    assert.equal(send("three.All", "f_all", { "f_all.f_int32": "5" }, json), '{"fAll":{"fInt32":5}}');
  }
  for (const [json, name] of [
    ['{"fInt32":6}', "fInt32"],
    ['{"f_int32":"6"}', "f_int32"],
    ['{"\\u0066Int32":6}', "fInt32"],
  ] as const) {
    assert.equal(refusal("three.All", "*", { f_int32: "5" }, json).reason, "FIELD_COLLISION", json);
    const inner = refusal("three.All", "f_all", { "f_all.f_int32": "5" }, json);
    assert.deepEqual([inner.reason, inner.field], ["FIELD_COLLISION", `fAll.${name}`]);
    const nested = refusal("three.All", "*", { "f_all.f_int32": "5" }, `{"fAll":${json}}`);
    assert.deepEqual([nested.reason, nested.field], ["FIELD_COLLISION", `fAll.${name}`]);
  }
});

test("the default of a field without presence counts as not sent beside what the path binds", () => {
  for (const json of ['{"fString":""}', '{"f_string":""}', '{"fString":null}', "{}"]) {
    assert.equal(send("three.All", "*", { f_string: "a" }, json), '{"fString":"a"}', json);
    const nested = send("three.All", "*", { "f_all.f_string": "a" }, `{"fAll":${json}}`);
    assert.equal(nested, '{"fAll":{"fString":"a"}}', json);
  }
  assert.equal(send("three.All", "f_all", { f_int32: "5" }, "{}", "f_int32=0"), '{"fInt32":5,"fAll":{}}');
  for (const [path, json] of [
    ["o_int32", '{"oInt32":0}'],
    ["w_string", '{"wString":""}'],
    ["c_int32", '{"cInt32":0}'],
  ] as const) {
    assert.equal(refusal("three.All", "*", { [path]: "1" }, json).reason, "FIELD_COLLISION", json);
  }
});

test("malformed JSON in a body that is one field is placed under that field", () => {
  assert.equal(refusal("three.Request", "message", {}, '{"text":x}').field, "message.text");
  assert.equal(refusal("three.Request", "message", {}, "{").field, "message");
  assert.equal(refusal("three.Request", "message", {}, '{"text":1}').field, "message.text");
});

test("a variable and a member of the same oneof conflict", () => {
  assert.equal(refusal("three.All", "*", { c_int32: "5" }, '{"cString":"x"}').reason, "ONEOF_CONFLICT");
  assert.equal(send("three.All", "*", { c_int32: "5" }, '{"fInt32":1}'), '{"fInt32":1,"cInt32":5}');
});

test("a required field may come from the path, and is missed where it comes from nowhere", () => {
  assert.equal(
    send("two.Strict", "*", { id: "5" }, '{"name":"x"}'),
    send("two.Strict", "*", {}, '{"name":"x","id":5}'),
  );
  assert.equal(refusal("two.Strict", "*", { name: "x" }, "{}").field, "id");
  assert.equal(refusal("two.Strict", "child", {}, '{"id":1}').field, "id");
  assert.equal(refusal("two.Strict", "*", { id: "1", "child.name": "x" }, "{}").field, "child.id");
});

test("text in the path that is no value of its field is refused, whatever the body", () => {
  for (const json of ["{}", '{"fString":"x"}']) {
    const error = refusal("three.All", "*", { f_int32: "x" }, json);
    assert.deepEqual([error.reason, error.field], ["INVALID_VALUE", "fInt32"]);
  }
});

test("query parameters join a body that is a field", () => {
  assert.equal(
    send("three.All", "f_all", { f_string: "a" }, '{"fBool":true}', "f_int32=4"),
    '{"fInt32":4,"fString":"a","fAll":{"fBool":true}}',
  );
});
