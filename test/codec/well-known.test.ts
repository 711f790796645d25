import assert from "node:assert/strict";
import { test } from "node:test";
import { createCodecs } from "../../src/codec/codecs.js";
import { TranscodeError } from "../../src/codec/error.js";
import { decode, echo, encode, model, POLICY } from "./schema.js";
import { int, len, tag, wire } from "./wire-bytes.js";

function failure(attempt: () => unknown): TranscodeError {
  try {
    attempt();
  } catch (error) {
    assert.ok(error instanceof TranscodeError, String((error as Error).stack));
    return error;
  }
  return assert.fail("no error");
}

function takes(field: string, forms: readonly (readonly [json: string, printed: string])[]): void {
  for (const [json, printed] of forms)
    assert.equal(echo("three.All", `{"${field}":${json}}`), `{"${field}":${printed}}`);
}

function refuses(field: string, values: readonly string[]): void {
  for (const json of values) {
    const error = failure(() => encode("three.All", `{"${field}":${json}}`));
    assert.equal(error.reason, "INVALID_VALUE", json);
    assert.ok(error.field.startsWith(field), `${error.field} for ${json}`);
  }
}

function refusesWire(bytes: number[]): void {
  assert.equal(failure(() => decode("three.All", wire(bytes))).reason, "MALFORMED_MESSAGE");
}

test("timestamps have 0, 3, 6 or 9 digits and are printed in UTC", () => {
  takes("timestamp", [
    ['"1970-01-01T00:00:00Z"', '"1970-01-01T00:00:00Z"'],
    ['"0001-01-01T00:00:00Z"', '"0001-01-01T00:00:00Z"'],
    ['"9999-12-31T23:59:59.999999999Z"', '"9999-12-31T23:59:59.999999999Z"'],
    ['"2024-02-29T12:00:00.5+05:30"', '"2024-02-29T06:30:00.500Z"'],
    ['"2024-01-01T00:00:00.00001-08:00"', '"2024-01-01T08:00:00.000010Z"'],
    ['"1969-12-31T23:59:59.9Z"', '"1969-12-31T23:59:59.900Z"'],
    ['"0099-03-01T00:00:00Z"', '"0099-03-01T00:00:00Z"'],
  ]);
});

test("times that are none, or outside the years 0001 to 9999, are refused", () => {
  refuses("timestamp", [
    '"2023-02-29T00:00:00Z"',
    '"2024-13-01T00:00:00Z"',
    '"2024-00-01T00:00:00Z"',
    '"2024-01-01T24:00:00Z"',
    '"2024-01-01T00:00:60Z"',
    '"2024-01-01T00:00:00"',
    '"2024-01-01t00:00:00z"',
    '"2024-01-01 00:00:00Z"',
    '"2024-01-01T00:00:00.Z"',
    '"2024-01-01T00:00:00.1234567890Z"',
    '"2024-01-01T00:00:00+24:00"',
    '"0000-12-31T23:59:59Z"',
    '"0001-01-01T00:00:00+00:01"',
    '"9999-12-31T23:59:59-00:01"',
    '""',
    "0",
    "{}",
  ]);
  refusesWire(len(201, int(1, 253402300800)));
  refusesWire(len(201, int(1, -62135596801)));
  refusesWire(len(201, int(2, -1)));
  refusesWire(len(201, int(2, 1_000_000_000)));
});

test("durations have 0, 3, 6 or 9 digits and one sign", () => {
  takes("duration", [
    ['"0s"', '"0s"'],
    ['"-0.5s"', '"-0.500s"'],
    ['"1.000001s"', '"1.000001s"'],
    ['"315576000000s"', '"315576000000s"'],
    ['"-315576000000s"', '"-315576000000s"'],
    ['"0.000000001s"', '"0.000000001s"'],
  ]);
  refuses("duration", [
    '"1"',
    '"s"',
    '"1.s"',
    '".5s"',
    '"+1s"',
    '"1.1234567890s"',
    '"315576000001s"',
    '"1 s"',
    '"--1s"',
    "1",
    '""',
  ]);
  refusesWire(len(202, int(1, 315576000001)));
  refusesWire(len(202, [...int(1, 1), ...int(2, -1)]));
});

test("a timestamp or duration in pieces is merged", () => {
  assert.equal(
    decode("three.All", wire(len(201, int(1, 5)), len(201, int(2, 1_000_000)))),
    '{"timestamp":"1970-01-01T00:00:05.001Z"}',
  );
});

test("field masks are camelCase in JSON and must survive the way back", () => {
  takes("mask", [
    ['""', '""'],
    ['"fooBar,a.bC"', '"fooBar,a.bC"'],
  ]);
  assert.deepEqual(
    new Uint8Array(encode("three.All", '{"mask":"fooBar,a.bC"}')),
    wire(len(203, [...len(1, "foo_bar"), ...len(1, "a.b_c")])),
  );
  refuses("mask", ['"foo_bar"', '"a,,b"', '"a, b"', '"a b"', "[]", "1"]);
  for (const path of ["fooBar", "foo_3_bar", "foo__bar", "foo_", "_Foo"]) refusesWire(len(203, len(1, path)));
});

test("Value, Struct and ListValue are the JSON that they hold", () => {
  const json = '{"a":null,"b":[1,-0,"x",true,{"__proto__":{"c":[]}}],"":{}}';
  takes("value", [
    [json, json],
    ["null", "null"],
    ["1.5", "1.5"],
    ["[]", "[]"],
    ["9007199254740993", "9007199254740992"],
  ]);
  takes("struct", [
    [json, json],
    ["{}", "{}"],
  ]);
  takes("list", [["[[],null]", "[[],null]"]]);
  takes("rValue", [["[null,1]", "[null,1]"]]);
  takes("mValue", [['{"k":null}', '{"k":null}']]);
  refuses("struct", ["[]", '"x"', "1"]);
  refuses("list", ["{}", "1"]);
  refuses("value", ["1e400", "[1e400]", '{"a":[1e400]}']);
});

test("an error in a Value names its position", () => {
  assert.equal(
    failure(() => encode("three.All", '{"value":{"a":[1,{"b c":1e400}]}}')).field,
    'value["a"][1]["b c"]',
  );
});

test("a Value without a kind is null, and NaN has no JSON", () => {
  assert.equal(decode("three.All", wire(len(205, []))), '{"value":null}');
  refusesWire(len(205, [...tag(2, 1), ...new Uint8Array(new Float64Array([Number.NaN]).buffer)]));
  refusesWire(
    len(205, [...tag(2, 1), ...new Uint8Array(new Float64Array([Number.POSITIVE_INFINITY]).buffer)]),
  );
});

test("a Value's struct in pieces is merged, and a later kind replaces it", () => {
  const member = (name: string) => len(1, [...len(1, name), ...len(2, [...tag(4, 0), 1])]);
  assert.equal(
    decode("three.All", wire(len(205, [...len(5, member("a")), ...len(5, member("b"))]))),
    '{"value":{"a":true,"b":true}}',
  );
  assert.equal(
    decode("three.All", wire(len(205, [...len(5, member("a")), ...len(3, "x")]))),
    '{"value":"x"}',
  );
});

test("wrappers are their value, with null for absent", () => {
  takes("wInt64", [
    ["0", '"0"'],
    ['"-5"', '"-5"'],
  ]);
  takes("wBool", [["false", "false"]]);
  takes("wString", [
    ['""', '""'],
    ['"x"', '"x"'],
  ]);
  takes("wBytes", [['"AQ"', '"AQ=="']]);
  takes("wDouble", [
    ["0", "0"],
    ['"NaN"', '"NaN"'],
  ]);
  assert.equal(echo("three.All", '{"wInt32":null}'), "{}");
  assert.equal(
    decode("three.All", wire(len(217, [])), { emitDefaults: true }).includes('"wBool":false'),
    true,
  );
  refuses("wInt32", ['{"value":1}', "1.5", "true"]);
  refuses("rWrapper", ["[null]"]);
});

test("NullValue is null, and an Empty is an object", () => {
  assert.equal(echo("three.All", '{"cNull":null}'), '{"cNull":null}');
  assert.equal(echo("three.All", '{"cNull":"NULL_VALUE"}'), '{"cNull":null}');
  takes("empty", [["{}", "{}"]]);
  assert.equal(failure(() => encode("three.All", '{"empty":{"a":1}}')).reason, "UNKNOWN_FIELD");
});

test("an Any of a message carries its fields beside the type", () => {
  takes("any", [
    [
      '{"@type":"type.googleapis.com/three.Author","login":"x"}',
      '{"@type":"type.googleapis.com/three.Author","login":"x"}',
    ],
    [
      '{"login":"x","@type":"any.host/path/three.Author"}',
      '{"@type":"any.host/path/three.Author","login":"x"}',
    ],
    ['{"@type":"x/three.Author"}', '{"@type":"x/three.Author"}'],
    ["{}", "{}"],
  ]);
});

test("an Any of a well-known type carries its JSON as value", () => {
  takes("any", [
    [
      '{"@type":"x/google.protobuf.Duration","value":"1.5s"}',
      '{"@type":"x/google.protobuf.Duration","value":"1.500s"}',
    ],
    ['{"@type":"x/google.protobuf.Value","value":null}', '{"@type":"x/google.protobuf.Value","value":null}'],
    [
      '{"@type":"x/google.protobuf.Int32Value","value":0}',
      '{"@type":"x/google.protobuf.Int32Value","value":0}',
    ],
    [
      '{"@type":"x/google.protobuf.Any","value":{"@type":"x/google.protobuf.Struct","value":{"a":1}}}',
      '{"@type":"x/google.protobuf.Any","value":{"@type":"x/google.protobuf.Struct","value":{"a":1}}}',
    ],
    ['{"@type":"x/google.protobuf.Empty","value":{}}', '{"@type":"x/google.protobuf.Empty"}'],
  ]);
});

test("an Any of an unknown type is base64 both ways", () => {
  takes("any", [['{"@type":"x/none.Such","value":"AQI="}', '{"@type":"x/none.Such","value":"AQI="}']]);
  const error = failure(() => encode("three.All", '{"any":{"@type":"x/none.Such","name":"x"}}'));
  assert.deepEqual([error.reason, error.field], ["INVALID_VALUE", "any.@type"]);
});

test("an Any whose bytes are not of its type degrades to base64", () => {
  const bytes = len(207, [...len(1, "x/three.Author"), ...len(2, [0xff])]);
  assert.equal(decode("three.All", wire(bytes)), '{"any":{"@type":"x/three.Author","value":"/w=="}}');
});

test("an Any without a type, or with members that its type lacks, is refused", () => {
  refuses("any", [
    '{"login":"x"}',
    '{"@type":1}',
    '{"@type":""}',
    '{"@type":"three.Author"}',
    '{"@type":"x/google.protobuf.Duration"}',
    "[]",
  ]);
  assert.equal(
    failure(() => encode("three.All", '{"any":{"@type":"x/google.protobuf.Duration","value":"1s","a":1}}'))
      .reason,
    "UNKNOWN_FIELD",
  );
  assert.equal(failure(() => encode("three.All", '{"any":{"@type":"x/three.Author","a":1}}')).field, "any.a");
  assert.equal(
    failure(() => encode("three.All", '{"any":{"@type":"x/google.protobuf.Duration","value":1}}')).field,
    "any.value",
  );
});

test("renderAny never throws", () => {
  const codecs = createCodecs(model, POLICY);
  assert.equal(
    codecs.renderAny("x/three.Author", wire(len(1, "me"))),
    '{"@type":"x/three.Author","login":"me"}',
  );
  assert.equal(codecs.renderAny("x/none", wire([1])), '{"@type":"x/none","value":"AQ=="}');
  assert.equal(codecs.renderAny("", wire([0xff])), '{"@type":"","value":"/w=="}');
  assert.equal(
    codecs.renderAny("x/google.protobuf.Timestamp", wire(int(2, -1))),
    '{"@type":"x/google.protobuf.Timestamp","value":"EP///////////wE="}',
  );
  let nested: number[] = [];
  for (let level = 0; level < 300; level++) nested = [...len(1, "x/google.protobuf.Any"), ...len(2, nested)];
  assert.doesNotThrow(() => JSON.parse(codecs.renderAny("x/google.protobuf.Any", Uint8Array.from(nested))));
});
