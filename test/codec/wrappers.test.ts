import assert from "node:assert/strict";
import { test } from "node:test";
import { createCodecs } from "../../src/codec/codecs.js";
import { TranscodeError } from "../../src/codec/error.js";
import { RequestPlan } from "../../src/codec/json-to-wire/request.js";
import { wrappedField } from "../../src/codec/well-known.js";
import { decode, echo, encode, model, POLICY, type } from "./schema.js";

const policy = {
  wrappers: new Set(["wrappers.Text", "wrappers.Count", "wrappers.Colour", "wrappers.Raw"]),
} as const;

test("a message can be a wrapper that has one field, a scalar or enum named value", () => {
  for (const name of ["Text", "Count", "Colour", "Raw"]) {
    assert.equal(wrappedField(type(`wrappers.${name}`))?.name, "value", name);
  }
  for (const name of ["Two", "Other", "List", "Deep", "Map", "None"]) {
    assert.equal(wrappedField(type(`wrappers.${name}`)), undefined, name);
  }
});

for (const json of [
  '{"text":"x"}',
  '{"text":""}',
  '{"count":"9007199254740993"}',
  '{"colour":"RED"}',
  '{"raw":"AAE="}',
  '{"texts":["a",""]}',
  '{"byName":{"a":"1","b":"0"}}',
  '{"chosen":""}',
  '{"inner":{"text":"x"}}',
  '{"any":{"@type":"x/wrappers.Text","value":"x"}}',
  '{"plain":{"value":"x"}}',
]) {
  test(`${json} is read and printed with bare values`, () => {
    assert.equal(echo("wrappers.Holder", json, policy), json);
  });
}

test("null leaves a wrapper unset", () => {
  assert.equal(echo("wrappers.Holder", '{"text":null,"count":null,"chosen":null}', policy), "{}");
});

test("under a policy with wrappers their object form is refused, and without one the bare value", () => {
  assert.throws(() => encode("wrappers.Holder", '{"text":{"value":"x"}}', policy), TranscodeError);
  assert.throws(() => encode("wrappers.Holder", '{"text":"x"}'), TranscodeError);
  assert.equal(echo("wrappers.Holder", '{"text":{"value":"x"}}'), '{"text":{"value":"x"}}');
});

test("path and query give a wrapper its bare value, and the query its field", () => {
  const input = type("wrappers.Holder");
  const codecs = createCodecs(model, { ...POLICY, ...policy });
  const plan = new RequestPlan({
    input,
    codecs,
    variables: [[input.fieldsByName.get("text")!]],
    body: { kind: "none" },
    query: { unknown: "reject", ignore: new Set() },
    fillUpdateMask: false,
    depth: 100,
  });
  const send = (query: string): string =>
    decode("wrappers.Holder", plan.encode(["a"], query, { contentType: "", bytes: Buffer.alloc(0) }), policy);
  assert.equal(send("count=5"), '{"text":"a","count":"5"}');
  assert.equal(send("count.value=5"), '{"text":"a","count":"5"}');
  assert.equal(send("texts=a&texts=b"), '{"text":"a","texts":["a","b"]}');
  assert.equal(send("by_name[k]=5"), '{"text":"a","byName":{"k":"5"}}');
  assert.equal(send("text=a"), '{"text":"a"}');
  assert.throws(() => send("text.value=b"), /the path binds this field/);
  assert.throws(() => send("count=x"), /expected an integer/);
});

test("policies that differ only in their wrappers have codecs of their own", () => {
  assert.notEqual(createCodecs(model, POLICY), createCodecs(model, { ...POLICY, ...policy }));
  assert.equal(createCodecs(model, POLICY), createCodecs(model, { ...POLICY, wrappers: new Set() }));
});
