import assert from "node:assert/strict";
import { test } from "node:test";
import { createCodecs } from "../../src/codec/codecs.js";
import { TranscodeError } from "../../src/codec/error.js";
import type { BodyTarget } from "../../src/codec/json-to-wire/body-tree.js";
import { RequestPlan } from "../../src/codec/json-to-wire/request.js";
import type { Field } from "../../src/descriptors/model.js";
import { decode, model, POLICY, type } from "./schema.js";

interface Options {
  readonly variables?: Readonly<Record<string, string>>;
  readonly unknown?: "reject" | "ignore";
  readonly body?: BodyTarget;
}

const codecs = createCodecs(model, POLICY);

function send(query: string, options: Options = {}): string {
  const { variables = {}, unknown = "reject", body = { kind: "none" } } = options;
  const input = type("three.All");
  const plan = new RequestPlan({
    input,
    codecs,
    variables: Object.keys(variables).map(name => [input.fieldsByName.get(name) as Field]),
    body,
    query: { unknown, ignore: new Set() },
    fillUpdateMask: false,
    depth: 100,
  });
  const bytes = Buffer.from(body.kind === "none" ? "" : "{}");
  return decode("three.All", plan.encode(Object.values(variables), query, { contentType: "", bytes }));
}

function refusal(query: string, options: Options = {}): TranscodeError {
  try {
    send(query, options);
  } catch (error) {
    assert.ok(error instanceof TranscodeError, String(error));
    return error;
  }
  return assert.fail(`${query} was accepted`);
}

for (const [query, json] of [
  ["timestamp.seconds=5", { timestamp: "1970-01-01T00:00:05Z" }],
  ["timestamp.nanos=7&timestamp.seconds=5", { timestamp: "1970-01-01T00:00:05.000000007Z" }],
  ["fAll.timestamp.seconds=-1", { fAll: { timestamp: "1969-12-31T23:59:59Z" } }],
  ["duration.seconds=-5&duration.nanos=-500000000", { duration: "-5.500s" }],
  ["w_int32.value=1", { wInt32: 1 }],
  ["w_int64.value=9007199254740993", { wInt64: "9007199254740993" }],
  ["wString.value=", { wString: "" }],
  ["w_bytes.value=AA", { wBytes: "AA==" }],
  ["mask.paths=first_name&mask.paths=items.*.name&mask.paths=*", { mask: "firstName,items.*.name,*" }],
  ["mask.paths=", { mask: "" }],
] as const) {
  for (const unknown of ["reject", "ignore"] as const) {
    test(`?${query} sets a well-known type by its fields where unknown parameters are ${unknown}ed`, () => {
      assert.deepEqual(JSON.parse(send(query, { unknown })), json);
    });
  }
}

test("a well-known type given as a whole and by its fields is refused in either order", () => {
  for (const query of [
    "timestamp=1970-01-01T00:00:05Z&timestamp.seconds=5",
    "timestamp.seconds=5&timestamp=1970-01-01T00:00:05Z",
    "w_int32.value=1&wInt32=1",
    "mask=a&mask.paths=a",
    "duration.seconds=1&duration.seconds=1",
  ]) {
    assert.equal(refusal(query).reason, "REPEATED_PARAMETER", query);
  }
});

test("fields that make no value of their well-known type are refused by the name that was sent", () => {
  for (const [query, field] of [
    ["timestamp.seconds=253402300800", "timestamp.seconds"],
    ["duration.nanos=1&duration.seconds=-1", "duration.nanos"],
    ["w_int32.value=x", "w_int32.value"],
    ["mask.paths=fooBar", "mask.paths"],
  ] as const) {
    const error = refusal(query);
    assert.deepEqual([error.reason, error.field], ["INVALID_VALUE", field]);
  }
  assert.equal(refusal("timestamp.second=5").suggestion, "timestamp.seconds");
});

test("a path variable takes precedence over the fields of a well-known type too", () => {
  const variables = { timestamp: "1970-01-01T00:00:05Z" };
  assert.equal(send("timestamp.seconds=5", { variables }), '{"timestamp":"1970-01-01T00:00:05Z"}');
  const error = refusal("timestamp.seconds=6", { variables });
  assert.deepEqual([error.reason, error.field], ["FIELD_COLLISION", "timestamp.seconds"]);
});

test("Struct, Value, ListValue and Any cannot be set by their fields", () => {
  for (const name of ["struct.fields", "value.string_value", "list.values", "any.type_url"]) {
    for (const unknown of ["reject", "ignore"] as const) {
      assert.equal(refusal(`${name}=x`, { unknown }).reason, "UNKNOWN_PARAMETER", name);
    }
  }
});

test("beside a body that is the whole request, unknown parameters can be ignored and fields cannot", () => {
  const body = { kind: "all" } as const;
  assert.equal(send("nosuchfield=1", { body, unknown: "ignore" }), "{}");
  assert.equal(refusal("nosuchfield=1", { body }).reason, "UNKNOWN_PARAMETER");
  for (const known of ["f_int32=1", "fAll.fInt32=1", "r_all=x", "timestamp.seconds=1"]) {
    assert.equal(refusal(known, { body, unknown: "ignore" }).reason, "UNKNOWN_PARAMETER", known);
  }
});

test("JSON names with dots and brackets are found, the longest first", () => {
  for (const [query, json] of [
    ["a.b=1", { "a.b": "1" }],
    ["x[y]=1", { "x[y]": "1" }],
    ["x%5By%5D=1", { "x[y]": "1" }],
    ["dotted=1", { "a.b": "1" }],
    ["m.n[k]=1", { "m.n": { k: "1" } }],
    ["in.ner.a.b=1", { "in.ner": { "a.b": "1" } }],
    ["in.ner.x[y]=1", { "in.ner": { "x[y]": "1" } }],
  ] as const) {
    const input = type("names.Odd");
    const plan = new RequestPlan({
      input,
      codecs,
      variables: [],
      body: { kind: "none" },
      query: { unknown: "reject", ignore: new Set() },
      fillUpdateMask: false,
      depth: 100,
    });
    const bytes = plan.encode([], query, { contentType: "", bytes: Buffer.alloc(0) });
    assert.deepEqual(JSON.parse(decode("names.Odd", bytes)), json, query);
  }
});

test("an error suggests only names that would be accepted", () => {
  for (const [query, suggestion] of [
    ["n.b=1", undefined],
    ["f_dubl.name=1", undefined],
    ["r_int3.b=1", undefined],
    ["m_int3[k]=1", "m_int32[k]"],
    ["r_al=1", undefined],
    ["f_int3=1", "f_int32"],
    ["f_all.f_int3=1", "f_all.f_int32"],
    ["f_alll.f_int32=1", "f_all.f_int32"],
  ] as const) {
    const error = refusal(query);
    assert.equal(error.reason, "UNKNOWN_PARAMETER");
    assert.equal(error.suggestion, suggestion, query);
    if (suggestion !== undefined) assert.doesNotThrow(() => send(`${suggestion}=1`));
  }
});

test("a parameter is named in errors as it was sent", () => {
  for (const [query, name] of [
    ["f_int32=x", "f_int32"],
    ["fInt32=x", "fInt32"],
    ["f_all.fInt32=x", "f_all.fInt32"],
    ["m_int32[a]=x", "m_int32[a]"],
    ["c_int32=1&c_string=x", "c_string"],
    ["cInt32=1&c_string=x", "c_string"],
    ["f_all.c_int32=1&f_all.cString=x", "f_all.cString"],
    ["f_int64=9223372036854775808", "f_int64"],
  ] as const) {
    assert.equal(refusal(query).field, name, query);
  }
});
