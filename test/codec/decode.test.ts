import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { TranscodeError } from "../../src/codec/error.js";
import { decode, encode, model } from "./schema.js";
import { group, int, len, tag, varint, wire } from "./wire-bytes.js";

function failure(type: string, bytes: Uint8Array, depth = 100): TranscodeError {
  try {
    decode(type, bytes, { depth });
  } catch (error) {
    assert.ok(error instanceof TranscodeError, String(error));
    return error;
  }
  return assert.fail("the bytes were accepted");
}

const three = (...fields: number[][]) => decode("three.All", wire(...fields));
const two = (...fields: number[][]) => decode("two.Plain", wire(...fields));

test("no bytes are an empty object", () => {
  assert.equal(three(), "{}");
});

test("members come in the order of the wire, and where a field comes again in the order of declaration", () => {
  assert.equal(three(len(14, "s"), int(3, 5), int(13, 1)), '{"fString":"s","fInt32":5,"fBool":true}');
  assert.equal(
    three(len(14, "s"), int(3, 4), int(3, 5), int(13, 1)),
    '{"fInt32":5,"fBool":true,"fString":"s"}',
  );
});

test("the last value of a scalar wins, also when it is the default", () => {
  assert.equal(three(int(3, 1), int(3, 2)), '{"fInt32":2}');
  assert.equal(three(int(3, 1), int(3, 0)), "{}");
});

test("a field with presence prints its default", () => {
  assert.equal(three(int(23, 0), len(34, "")), '{"oInt32":0,"oString":""}');
});

test("a message in several pieces is merged", () => {
  const bytes = [
    len(17, int(3, 1)),
    int(3, 9),
    len(17, [...int(4, 2), ...len(54, "a")]),
    len(17, len(54, "b")),
  ];
  assert.equal(three(...bytes), '{"fInt32":9,"fAll":{"fInt32":1,"fInt64":"2","rString":["a","b"]}}');
});

test("pieces of pieces are merged too", () => {
  const bytes = [len(17, len(17, int(3, 1))), len(17, len(17, int(5, 2)))];
  assert.equal(three(...bytes), '{"fAll":{"fAll":{"fInt32":1,"fUint32":2}}}');
});

test("lists gather over other fields, packed and unpacked mixed", () => {
  const bytes = [int(43, 1), int(3, 7), len(43, [2, 3]), len(43, []), int(43, 4)];
  assert.equal(three(...bytes), '{"fInt32":7,"rInt32":[1,2,3,4]}');
  assert.equal(three(len(58, [1, 2])), '{"unpacked":[1,2]}');
});

test("a member of a oneof replaces the one before", () => {
  assert.equal(three(int(101, 1), len(102, "x")), '{"cString":"x"}');
  assert.equal(three(len(104, int(3, 1)), int(101, 2), len(104, int(5, 3))), '{"cAll":{"fUint32":3}}');
  assert.equal(three(len(104, int(3, 1)), len(104, int(5, 3))), '{"cAll":{"fInt32":1,"fUint32":3}}');
  assert.equal(three(len(102, "x"), int(101, 0)), '{"cInt32":0}');
});

test("the last entry of a map key wins, and missing keys and values are defaults", () => {
  const bytes = [
    len(63, [...len(1, "a"), ...int(2, 1)]),
    len(63, [...len(1, "b")]),
    len(63, [...int(2, 5)]),
    len(63, [...int(2, 2), ...len(1, "a")]),
  ];
  assert.equal(three(...bytes), '{"mInt32":{"a":2,"b":0,"":5}}');
  assert.equal(three(len(77, len(1, "k"))), '{"mAll":{"k":{}}}');
  assert.equal(three(len(83, len(2, "v"))), '{"kUint32":{"0":"v"}}');
  assert.equal(three(len(91, len(2, "v"))), '{"kBool":{"false":"v"}}');
});

test("a map value in several pieces is merged", () => {
  assert.equal(
    three(len(77, [...len(2, int(3, 1)), ...len(2, int(5, 2))])),
    '{"mAll":{"":{"fInt32":1,"fUint32":2}}}',
  );
});

test("unknown fields of all wire types are passed over", () => {
  const unknown = [
    int(999, 1),
    [...tag(999, 1), 1, 2, 3, 4, 5, 6, 7, 8],
    len(999, "x"),
    [...tag(999, 5), 1, 2, 3, 4],
  ];
  assert.equal(
    three(...unknown, group(999, [...int(1, 1), ...group(2, len(3, "y"))]), int(3, 1)),
    '{"fInt32":1}',
  );
});

test("a known field with another wire type counts as unknown", () => {
  assert.equal(three(len(3, "abc"), int(14, 5), int(17, 3)), "{}");
});

test("unknown numbers print as such in open enums and vanish from closed ones", () => {
  assert.equal(
    three(int(16, 77), int(56, -1), len(56, [1, 9])),
    '{"fColor":77,"rColor":["NEGATIVE","RED",9]}',
  );
  assert.equal(two(int(3, 9), int(4, 1), int(4, 9), len(4, [2, 8])), '{"closeds":["ONE","TWO"]}');
  assert.equal(
    two(len(5, [...len(1, "a"), ...int(2, 9)]), len(5, [...len(1, "b"), ...int(2, 2)])),
    '{"closedMap":{"b":"TWO"}}',
  );
  assert.equal(two(len(9, "r"), int(8, 9)), '{"right":"r"}');
  assert.equal(two(int(3, 2), int(3, 9)), '{"closed":"TWO"}');
});

test("groups are messages, repeated and split ones too", () => {
  assert.equal(
    two(group(6, int(1, 1)), group(6, len(2, int(1, 4)))),
    '{"section":{"page":1,"inner":{"number":4}}}',
  );
  assert.equal(two(group(7, len(1, "a")), int(1, 3), group(7, [])), '{"number":3,"rows":[{"cell":"a"},{}]}');
});

test("extensions print by number under their full names", () => {
  const bytes = [
    len(120, "s"),
    int(103, 1),
    int(103, 9),
    len(102, int(1, 1)),
    int(100, 5),
    len(102, len(2, "t")),
    int(200, 1),
  ];
  assert.equal(
    two(...bytes),
    '{"[two.ext_number]":5,"[two.ext_plain]":{"number":1,"text":"t"},"[two.ext_closed]":["ONE"],"[two.Scope.scoped]":"s"}',
  );
});

test("integers are exact at their limits", () => {
  assert.equal(three(int(4, -(2n ** 63n))), '{"fInt64":"-9223372036854775808"}');
  assert.equal(three(int(6, 2n ** 64n - 1n)), '{"fUint64":"18446744073709551615"}');
  assert.equal(three(int(8, 2n ** 64n - 1n)), '{"fSint64":"-9223372036854775808"}');
  assert.equal(three(int(3, -1), int(4, 2n ** 53n + 1n)), '{"fInt32":-1,"fInt64":"9007199254740993"}');
  assert.equal(
    three(int(5, 2n ** 32n - 1n), int(7, 2n ** 32n - 1n)),
    '{"fUint32":4294967295,"fSint32":-2147483648}',
  );
  assert.equal(three(int(3, 2n ** 40n + 3n)), '{"fInt32":3}');
});

test("int64 as numbers falls back to strings beyond what a double holds", () => {
  const policy = { int64: "number" } as const;
  assert.equal(
    decode("three.All", wire(int(4, 5), int(6, 2n ** 60n)), policy),
    '{"fInt64":5,"fUint64":"1152921504606846976"}',
  );
  assert.equal(decode("three.All", wire(int(4, 2n ** 53n - 1n)), policy), '{"fInt64":9007199254740991}');
  assert.equal(
    decode("three.All", wire(len(84, [...int(1, 7), ...len(2, "x")])), policy),
    '{"kUint64":{"7":"x"}}',
  );
});

test("enums as numbers and proto names follow the policy", () => {
  assert.equal(
    decode("three.All", wire(int(16, 1), len(110, "x")), { enums: "number", names: "proto" }),
    '{"f_color":1,"renamed":"x"}',
  );
  assert.equal(three(len(110, "x")), '{"Other Name":"x"}');
});

test("emitDefaults prints fields without presence, empty lists and maps, and nothing else", () => {
  assert.equal(decode("three.Message", wire(), { emitDefaults: true }), '{"text":"","labels":{},"items":[]}');
  assert.equal(
    decode("two.Plain", wire(), { emitDefaults: true }),
    '{"closeds":[],"closedMap":{},"rows":[],"loose":[]}',
  );
  assert.equal(
    decode("three.All", wire(), { emitDefaults: true, int64: "number" }).includes('"fInt64":0,'),
    true,
  );
});

test("with_null prints null for what has presence and is not set, as protojson in Go does with EmitUnpopulated", () => {
  for (const type of ["two.Plain", "three.All", "three.Message"]) {
    const printed = JSON.parse(decode(type, wire(), { emitDefaults: "with_null" }));
    for (const field of model.message(type)!.fields) {
      const isMember = field.oneof !== undefined || field.proto3Optional;
      // The only value of NullValue is null.
      const isNull = field.presence === "explicit" || field.enum?.fullName === "google.protobuf.NullValue";
      const expected = isMember ? "left out" : isNull && !field.repeated ? "null" : "a default";
      const found = printed[field.jsonName];
      const kind = found === undefined ? "left out" : found === null ? "null" : "a default";
      assert.equal(kind, expected, field.fullName);
    }
  }
});

test("floats print the shortest decimal, doubles all of theirs, and specials as strings", () => {
  const float = (value: number) => three([...tag(2, 5), ...new Uint8Array(new Float32Array([value]).buffer)]);
  const double = (value: number) =>
    three([...tag(1, 1), ...new Uint8Array(new Float64Array([value]).buffer)]);
  assert.equal(float(0.1), '{"fFloat":0.1}');
  assert.equal(float(3.4028234663852886e38), '{"fFloat":3.4028235e+38}');
  assert.equal(float(16777216), '{"fFloat":16777216}');
  assert.equal(double(0.1 + 0.2), '{"fDouble":0.30000000000000004}');
  assert.equal(double(-0), '{"fDouble":-0}');
  assert.equal(double(0), "{}");
  assert.equal(double(Number.NaN), '{"fDouble":"NaN"}');
  assert.equal(float(Number.NEGATIVE_INFINITY), '{"fFloat":"-Infinity"}');
});

test("strings are escaped where JSON wants it", () => {
  const text = 'quote " backslash \\ newline \n é 😀 \u0001 \u2028';
  assert.deepEqual(JSON.parse(three(len(14, text))), { fString: text });
  assert.deepEqual(JSON.parse(three(len(74, [...len(1, text), ...len(2, "x")]))), {
    mString: { [text]: "x" },
  });
});

test("a string that is not UTF-8 is malformed in proto3 and repaired in proto2", () => {
  const error = failure("three.Request", wire(len(1, len(2, [0x61, 0xff]))));
  assert.equal(error.reason, "MALFORMED_MESSAGE");
  assert.equal(error.field, "message.text");
  assert.equal(failure("three.All", wire(len(74, len(2, [0xff])))).field, "mString");
  assert.equal(two(len(2, [0x61, 0xff])), '{"text":"a\ufffd"}');
  assert.equal(three(len(14, "\ufffd")), '{"fString":"\ufffd"}');
});

test("an error in a list of messages names the element", () => {
  const error = failure("three.All", wire(len(57, []), len(57, len(57, len(14, [0xff])))));
  assert.equal(error.field, "rAll[1].rAll[0].fString");
});

test("a missing required field is malformed", () => {
  assert.equal(failure("two.Strict", wire(len(2, "x"))).reason, "MALFORMED_MESSAGE");
  assert.equal(decode("two.Strict", wire(int(1, 0))), '{"id":0}');
});

test("nesting is bounded, in messages, groups and what is unknown", () => {
  let bytes: number[] = [];
  for (let level = 1; level < 10; level++) bytes = len(17, bytes);
  assert.doesNotThrow(() => decode("three.All", wire(bytes), { depth: 10 }));
  assert.equal(failure("three.All", wire(bytes), 9).reason, "TOO_DEEP");
  const groups = Uint8Array.from(Array.from({ length: 100_000 }, () => tag(5, 3)).flat());
  assert.equal(failure("three.All", groups).reason, "TOO_DEEP");
});

for (const [what, bytes] of [
  ["a tag cut short", [0x80]],
  ["field number 0", [0x00, 0x00]],
  ["wire type 6", [0x0e]],
  ["wire type 7", [0x0f]],
  ["a varint of eleven bytes", [...tag(3, 0), ...Array(10).fill(0xff), 1]],
  ["a tag beyond 32 bits", [0xf8, 0xff, 0xff, 0xff, 0xff, 0x01, 0]],
  ["a length beyond the end", [...tag(14, 2), 5, 1]],
  ["a length beyond 32 bits", [...tag(14, 2), ...varint(2n ** 40n)]],
  ["a fixed value cut short", [...tag(1, 1), 1, 2]],
  ["an end of no group", tag(999, 4)],
  ["a group without its end", [...tag(999, 3), ...int(1, 1)]],
  ["a group with another's end", [...tag(999, 3), ...tag(998, 4)]],
  ["a packed list cut in a value", [...len(43, [1, 0x80])]],
  ["a message whose field overruns it", [...tag(17, 2), 2, ...tag(14, 2), 3, 0x61, 0x62, 0x63]],
  ["a map entry whose field overruns it", [...len(63, [...tag(1, 2), 9]), ...Array(9).fill(0x08)]],
] as [string, number[]][]) {
  test(`${what} is malformed`, () => {
    assert.equal(failure("three.All", Uint8Array.from(bytes)).reason, "MALFORMED_MESSAGE");
  });
}

test("overlong varints are read as other readers do", () => {
  assert.equal(three([...tag(3, 0), 0x81, 0x80, 0x80, 0x00]), '{"fInt32":1}');
  assert.equal(three([...tag(13, 0), ...varint(2n ** 35n)]), '{"fBool":true}');
});

const RICH = encode(
  "three.All",
  `{"fDouble":1.5,"fFixed32":7,"fInt64":"-5","fString":"héllo","fAll":{"fBool":true,"rInt32":[1,300]},"rFixed64":[1,2],
    "mAll":{"k":{"fString":"x"}},"kSint64":{"-3":"y"},"timestamp":"2024-01-02T03:04:05.6Z","duration":"-1.5s","mask":"a.b,c",
    "value":{"a":[1,null,"x"]},"any":{"@type":"x/three.Author","login":"me"},"wString":"w"}`,
);

test("a message cut at any byte, or with any byte changed, gives JSON or a TranscodeError", () => {
  const attempt = (bytes: Uint8Array) => {
    try {
      JSON.parse(decode("three.All", bytes));
    } catch (error) {
      assert.ok(error instanceof TranscodeError, String(error));
    }
  };
  for (let length = 0; length < RICH.length; length++) attempt(RICH.subarray(0, length));
  for (let index = 0; index < RICH.length; index++) {
    for (let bit = 1; bit < 256; bit <<= 1) {
      const changed = Uint8Array.from(RICH);
      changed[index]! ^= bit;
      attempt(changed);
    }
  }
});

test("random bytes give JSON or a TranscodeError, for every kind of schema", () => {
  fc.assert(
    fc.property(
      fc.constantFrom("three.All", "two.Plain", "ed.Node"),
      fc.uint8Array({ maxLength: 60 }),
      (type, bytes) => {
        try {
          JSON.parse(decode(type, bytes));
        } catch (error) {
          assert.ok(error instanceof TranscodeError, String(error));
        }
      },
    ),
    { numRuns: 3000 },
  );
});
