import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { JsonPolicy } from "../../src/codec/codec.js";
import { TranscodeError } from "../../src/codec/error.js";
import { decode, echo, encode, type } from "./schema.js";
import { group, int, len, wire } from "./wire-bytes.js";

function failure(type: string, json: string, policy: Partial<JsonPolicy> = {}): TranscodeError {
  try {
    encode(type, json, policy);
  } catch (error) {
    assert.ok(error instanceof TranscodeError, String((error as Error).stack));
    return error;
  }
  return assert.fail(`${json} was accepted`);
}

/** The grid: what each kind takes, as it is printed afterwards, and what it refuses. */
const GRID: Record<string, { takes: [json: string, printed: string][]; refuses: string[] }> = {
  int32: {
    takes: [
      ["1", "1"],
      ["-0", "0"],
      ['"7"', "7"],
      ["1e3", "1000"],
      ['"1e3"', "1000"],
      ["1.0", "1"],
      ['"-1.50e1"', "-15"],
      ["2147483647", "2147483647"],
      ["-2147483648", "-2147483648"],
    ],
    refuses: [
      "2147483648",
      "-2147483649",
      "1.5",
      '"1.5"',
      '""',
      '" 1"',
      '"1 "',
      '"+1"',
      '"0x1"',
      '"01"',
      '"1."',
      "true",
      "[]",
      "{}",
      "1e400",
      "1.00000000000000000001",
      '"NaN"',
    ],
  },
  uint32: { takes: [["4294967295", "4294967295"]], refuses: ["-1", "4294967296"] },
  sint32: { takes: [["-2147483648", "-2147483648"]], refuses: ["2147483648"] },
  fixed32: { takes: [["4294967295", "4294967295"]], refuses: ["-1"] },
  sfixed32: { takes: [["-2147483648", "-2147483648"]], refuses: ["2147483648"] },
  int64: {
    takes: [
      ["9223372036854775807", '"9223372036854775807"'],
      ['"-9223372036854775808"', '"-9223372036854775808"'],
      ["9007199254740993", '"9007199254740993"'],
      ["9007199254740993.0", '"9007199254740993"'],
      ["1e18", '"1000000000000000000"'],
      ["-4294967297", '"-4294967297"'],
      ["4294967296", '"4294967296"'],
    ],
    refuses: [
      "9223372036854775808",
      '"-9223372036854775809"',
      "0.5",
      "9007199254740992.5",
      "1e-400",
      '"1e999999999"',
    ],
  },
  uint64: {
    takes: [["18446744073709551615", '"18446744073709551615"']],
    refuses: ["18446744073709551616", "-1"],
  },
  sint64: {
    takes: [
      ['"-9223372036854775808"', '"-9223372036854775808"'],
      ["9223372036854775807", '"9223372036854775807"'],
      ["-3", '"-3"'],
    ],
    refuses: ["9223372036854775808"],
  },
  fixed64: {
    takes: [
      ["18446744073709551615", '"18446744073709551615"'],
      ["5000000000", '"5000000000"'],
    ],
    refuses: ["-1"],
  },
  sfixed64: {
    takes: [
      ["-9223372036854775808", '"-9223372036854775808"'],
      ["-5000000000", '"-5000000000"'],
    ],
    refuses: ["9223372036854775808"],
  },
  double: {
    takes: [
      ["0.1", "0.1"],
      ["-0", "-0"],
      ['"1.5e3"', "1500"],
      ['"NaN"', '"NaN"'],
      ['"-Infinity"', '"-Infinity"'],
      ["1.7976931348623157e308", "1.7976931348623157e+308"],
      ["9007199254740993", "9007199254740992"],
    ],
    refuses: ["1e309", '"1e309"', '""', '" 1"', '"nan"', '"+Infinity"', '"1_0"', "true"],
  },
  float: {
    takes: [
      ["3.4028235e38", "3.4028235e+38"],
      ["0.1", "0.1"],
      ['"Infinity"', '"Infinity"'],
    ],
    refuses: ["3.5e38", "-1e39", '"1e39"'],
  },
  bool: {
    takes: [
      ["true", "true"],
      ["false", "false"],
    ],
    refuses: ["1", '"true"', "0", '""'],
  },
  string: {
    takes: [
      ['"a\\u0000é😀"', '"a\\u0000é😀"'],
      ['""', '""'],
    ],
    refuses: ["1", "true", "[]"],
  },
  bytes: {
    takes: [
      ['"AQID"', '"AQID"'],
      ['"-_8="', '"+/8="'],
      ['"+/8"', '"+/8="'],
      ['"AA"', '"AA=="'],
      ['""', '""'],
    ],
    refuses: ['"A"', '"AA="', '"AAA=="', '"A A="', '"AA\\n"', '"=AAA"', '"AA=A"', '"AAAAA"', '"é==="', "[1]"],
  },
  color: {
    takes: [
      ['"RED"', '"RED"'],
      ["1", '"RED"'],
      ["-1", '"NEGATIVE"'],
      ["1.0", '"RED"'],
      ["55", "55"],
    ],
    refuses: ['"red"', '""', '"1"', "1.5", "2147483648", "true"],
  },
};

for (const [kind, { takes, refuses }] of Object.entries(GRID)) {
  test(`a ${kind} takes every form of its values, as field, list element and map value`, () => {
    for (const [json, printed] of takes) {
      assert.equal(echo("three.All", `{"o_${kind}":${json}}`), `{"${camel(`o_${kind}`)}":${printed}}`);
      assert.equal(echo("three.All", `{"r_${kind}":[${json}]}`), `{"${camel(`r_${kind}`)}":[${printed}]}`);
      assert.equal(
        echo("three.All", `{"m_${kind}":{"k":${json}}}`),
        `{"${camel(`m_${kind}`)}":{"k":${printed}}}`,
      );
    }
  });

  test(`a ${kind} refuses what does not fit, naming the field as it was sent`, () => {
    for (const json of [...refuses]) {
      for (const [text, field] of [
        [`{"o_${kind}":${json}}`, `o_${kind}`],
        [`{"${camel(`o_${kind}`)}":${json}}`, camel(`o_${kind}`)],
        [`{"r_${kind}":[${json}]}`, `r_${kind}[0]`],
        [`{"m_${kind}":{"k":${json}}}`, `m_${kind}["k"]`],
      ] as const) {
        const error = failure("three.All", text);
        assert.equal(error.reason, "INVALID_VALUE", text);
        assert.equal(error.field, field);
        assert.match(error.message, /found|has no value named/);
      }
    }
    assert.equal(failure("three.All", `{"r_${kind}":[null]}`).reason, "INVALID_VALUE");
    assert.equal(failure("three.All", `{"m_${kind}":{"k":null}}`).reason, "INVALID_VALUE");
    assert.equal(failure("three.All", `{"r_${kind}":{}}`).reason, "INVALID_VALUE");
    assert.equal(failure("three.All", `{"m_${kind}":[]}`).reason, "INVALID_VALUE");
    assert.equal(encode("three.All", `{"o_${kind}":null,"r_${kind}":null,"m_${kind}":null}`).length, 0);
  });
}

function camel(name: string): string {
  return name.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());
}

test("fields are written by number, whatever the order of the members", () => {
  const expected = wire(int(3, 1), len(14, "s"), len(43, [1]), int(101, 2));
  assert.deepEqual(
    new Uint8Array(encode("three.All", '{"cInt32":2,"rInt32":[1],"fString":"s","f_int32":1}')),
    expected,
  );
});

test("fields without presence leave out their default; others write it", () => {
  assert.equal(
    encode("three.All", '{"fInt32":0,"fString":"","fBool":false,"fDouble":0,"fColor":"BLACK","fBytes":""}')
      .length,
    0,
  );
  assert.deepEqual(new Uint8Array(encode("three.All", '{"oInt32":0}')), wire(int(23, 0)));
  assert.deepEqual(new Uint8Array(encode("three.All", '{"cInt32":0}')), wire(int(101, 0)));
  assert.deepEqual(new Uint8Array(encode("three.All", '{"fAll":{}}')), wire(len(17, [])));
});

test("lists are packed where the schema says so", () => {
  assert.deepEqual(
    new Uint8Array(encode("three.All", '{"rInt32":[1,2],"unpacked":[1,2]}')),
    wire(len(43, [1, 2]), int(58, 1), int(58, 2)),
  );
  assert.deepEqual(new Uint8Array(encode("two.Plain", '{"loose":[1]}')), wire(int(10, 1)));
  assert.equal(encode("three.All", '{"rInt32":[],"rString":[]}').length, 0);
});

test("groups and delimited messages are written between tags", () => {
  assert.deepEqual(
    new Uint8Array(encode("two.Plain", '{"section":{"page":1},"rows":[{}]}')),
    wire(group(6, int(1, 1)), group(7, [])),
  );
  assert.deepEqual(
    new Uint8Array(encode("ed.Node", '{"child":{},"prefixed":{}}')),
    wire(group(3, []), len(7, [])),
  );
});

test("lengths of any size are right", () => {
  for (const size of [0, 1, 39, 40, 41, 127, 128, 16383, 16384, 70_000]) {
    for (const unit of ["a", "é", "😀"]) {
      const text = unit.repeat(size);
      assert.equal(
        echo("three.All", `{"fAll":{"fAll":{"fString":"${text}"}}}`),
        text === "" ? '{"fAll":{"fAll":{}}}' : `{"fAll":{"fAll":{"fString":"${text}"}}}`,
      );
    }
  }
});

test("an unknown member is refused with the nearest name", () => {
  const error = failure("three.Request", '{"message":{"author":{"firstNam":"x"}}}');
  assert.equal(error.reason, "UNKNOWN_FIELD");
  assert.equal(error.field, "message.author.firstNam");
  assert.equal(error.suggestion, "firstName");
  assert.equal(error.message, 'three.Author has no field named "firstNam"');
  assert.equal(failure("three.Author", '{"__proto__":1}').reason, "UNKNOWN_FIELD");
  assert.equal(failure("three.Author", '{"constructor":1}').reason, "UNKNOWN_FIELD");
});

test("unknown members and enum names are left out where the policy ignores them", () => {
  const policy = { unknownFields: "ignore" } as const;
  const json =
    '{"nope":{"a":[1]},"fColor":"PINK","rColor":["RED","PINK",2],"mColor":{"a":"PINK","b":"RED"},"[x.y]":1}';
  assert.equal(echo("three.All", json, policy), '{"rColor":["RED","GREEN"],"mColor":{"b":"RED"}}');
});

test("an unknown enum name is refused with the nearest name", () => {
  const error = failure("three.All", '{"fColor":"GREN"}');
  assert.deepEqual([error.reason, error.field, error.suggestion], ["INVALID_VALUE", "fColor", "GREEN"]);
});

test("a closed enum refuses unknown numbers", () => {
  assert.equal(failure("two.Plain", '{"closed":9}').reason, "INVALID_VALUE");
  assert.equal(echo("two.Plain", '{"closed":2}'), '{"closed":"TWO"}');
});

test("a field under both of its names is a duplicate, null or not", () => {
  const error = failure("three.All", '{"fInt32":1,"f_int32":1}');
  assert.deepEqual([error.reason, error.field], ["DUPLICATE_KEY", "f_int32"]);
  assert.equal(failure("three.All", '{"fInt32":null,"f_int32":1}').reason, "DUPLICATE_KEY");
  assert.equal(failure("three.All", '{"renamed":"a","Other Name":"b"}').reason, "DUPLICATE_KEY");
});

test("two members of a oneof conflict, unless one is null", () => {
  const error = failure("three.All", '{"fAll":{"cInt32":0,"c_string":""}}');
  assert.deepEqual([error.reason, error.field], ["ONEOF_CONFLICT", "fAll.c_string"]);
  assert.equal(echo("three.All", '{"cInt32":null,"cString":"x"}'), '{"cString":"x"}');
  assert.equal(failure("three.All", '{"cNull":null,"cString":"x"}').reason, "ONEOF_CONFLICT");
});

test("an unknown enum name that is ignored leaves its oneof to another member", () => {
  const policy = { unknownFields: "ignore" } as const;
  assert.equal(echo("three.All", '{"cColor":"PINK","cString":"x"}', policy), '{"cString":"x"}');
  assert.equal(failure("three.All", '{"cColor":"RED","cString":"x"}', policy).reason, "ONEOF_CONFLICT");
  assert.equal(failure("three.All", '{"cColor":true}', policy).field, "cColor");
});

test("a missing required field is named", () => {
  const error = failure("two.Strict", '{"id":1,"child":{"name":"x"}}');
  assert.deepEqual([error.reason, error.field], ["INVALID_VALUE", "child.id"]);
  assert.equal(failure("two.Strict", '{"id":null}').field, "id");
});

test("map keys take the canonical text of their kind only", () => {
  assert.equal(
    echo("three.All", '{"kInt64":{"-9223372036854775808":"x"},"kBool":{"true":"t","false":"f"}}'),
    '{"kInt64":{"-9223372036854775808":"x"},"kBool":{"true":"t","false":"f"}}',
  );
  for (const [kind, key] of [
    ["int32", "1.0"],
    ["int32", "01"],
    ["int32", "-0"],
    ["int32", ""],
    ["int32", "2147483648"],
    ["uint64", "-1"],
    ["bool", "TRUE"],
    ["bool", "1"],
  ]) {
    const error = failure("three.All", `{"k_${kind}":{"${key}":"x"}}`);
    assert.equal(error.reason, "INVALID_VALUE");
  }
});

test("map keys that are names of Object.prototype are ordinary", () => {
  const json = '{"mString":{"__proto__":"a","constructor":"b","toString":"c"}}';
  assert.equal(echo("three.All", json), json);
});

test("JSON names are data, whatever characters they have", () => {
  const json = JSON.stringify({ '"); throw 1; // ${x} ` \\ \u2028': "a" });
  assert.equal(echo("three.All", json), json);
  assert.equal(echo("three.All", '{"__proto__":"x"}'), '{"__proto__":"x"}');
  assert.equal(echo("three.All", '{"prototype":"x"}', { names: "proto" }), '{"prototype":"x"}');
  const hostile = JSON.stringify({ [type("three.All").fieldsByName.get("hostile")!.jsonName]: 1 });
  assert.equal(failure("three.All", hostile).field.startsWith('"); throw 1;'), true);
});

test("extensions are read by full name, and only those of the type", () => {
  const json = '{"number":1,"[two.ext_number]":5,"[two.ext_texts]":["a"],"[two.Scope.scoped]":"s"}';
  assert.equal(echo("two.Plain", json), json);
  assert.equal(failure("two.Plain", '{"[two.none]":1}').reason, "UNKNOWN_FIELD");
  assert.equal(failure("three.All", '{"[two.ext_number]":1}').reason, "UNKNOWN_FIELD");
  assert.equal(failure("two.Plain", '{"[two.ext_plain]":{"number":"x"}}').field, "[two.ext_plain].number");
  assert.equal(echo("two.Plain", '{"[two.ext_number]":null}'), "{}");
});

test("a message wants an object", () => {
  for (const json of ["null", "1", '"x"', "[]", "true", "9007199254740993"]) {
    const error = failure("three.All", json);
    assert.deepEqual([error.reason, error.field], ["INVALID_VALUE", ""], json);
  }
});

test("nesting is bounded by the policy", () => {
  const nested = (levels: number) => `${'{"fAll":'.repeat(levels - 1)}{}${"}".repeat(levels - 1)}`;
  assert.doesNotThrow(() => encode("three.All", nested(10), { depth: 10 }));
  assert.equal(failure("three.All", nested(11), { depth: 10 }).reason, "TOO_DEEP");
});

for (const [what, open, close] of [
  ["Struct", '{"a":', "}"],
  ["ListValue", "[", "]"],
  ["Value", '[{"a":', "}]"],
] as const) {
  test(`a ${what} may nest as deep as the JSON around it, both ways`, () => {
    const field = { Struct: "struct", ListValue: "list", Value: "value" }[what];
    const each = open.length - open.replace(/[[{]/g, "").length;
    const nested = (levels: number) =>
      `{"${field}":${open.repeat(levels / each)}1${close.repeat(levels / each)}}`;
    for (const inner of [98, 99].filter(levels => levels % each === 0)) {
      const wire = encode("three.All", nested(inner));
      assert.equal(decode("three.All", wire), nested(inner));
      // One level of its own for the message.
      assert.throws(() => decode("three.All", wire, { depth: inner }), /too deep/);
      assert.equal(failure("three.All", nested(inner), { depth: inner }).reason, "TOO_DEEP");
    }
    assert.equal(failure("three.All", nested(100)).reason, "TOO_DEEP");
  });
}

test("lists, maps and wrappers count as levels of JSON, both ways", () => {
  for (const [json, levels] of [
    ['{"rInt32":[1]}', 2],
    ['{"unpacked":[1]}', 2],
    ['{"rAll":[{"fInt32":1}]}', 3],
    ['{"mAll":{"k":{"fInt32":1}}}', 3],
    ['{"mInt32":{"k":1}}', 2],
    ['{"rWrapper":["1"]}', 2],
    ['{"mTimestamp":{"k":"1970-01-01T00:00:05Z"}}', 2],
    ['{"wInt64":"1","timestamp":"1970-01-01T00:00:05Z","mask":"a","value":"x"}', 1],
    ['{"any":{"@type":"x/three.All","fAll":{"rInt32":[1]}}}', 4],
    ['{"any":{"@type":"x/google.protobuf.ListValue","value":[1]}}', 3],
  ] as const) {
    const wire = encode("three.All", json, { depth: levels });
    assert.deepEqual(JSON.parse(decode("three.All", wire, { depth: levels })), JSON.parse(json));
    assert.equal(failure("three.All", json, { depth: levels - 1 }).reason, "TOO_DEEP", json);
    // What an Any holds degrades instead.
    if (!json.includes("any"))
      assert.throws(() => decode("three.All", wire, { depth: levels - 1 }), /too deep/, json);
  }
});

test("a number that does not fit is shown with the digits that were sent", () => {
  for (const [field, number] of [
    ["fInt64", "9223372036854775808"],
    ["fInt32", "1.50"],
    ["fInt32", "1e30"],
    ["fUint64", "18446744073709551616"],
    ["rInt64", "9223372036854775807.5"],
    ["fFloat", "3.5e38"],
    ["fDouble", "1e999"],
    ["fBool", "1.0"],
    ["fColor", "99999999999"],
    ["fString", "12345678901234567890"],
    ["wInt64", "-9223372036854775809"],
    ["timestamp", "1e3"],
  ] as const) {
    const json = field.startsWith("r") ? `{"${field}":[${number}]}` : `{"${field}":${number}}`;
    assert.ok(failure("three.All", json).message.endsWith(`found the number ${number}`), json);
  }
  assert.match(
    failure("three.All", '{"kInt64":{"9223372036854775808":""}}').message,
    /"9223372036854775808"/,
  );
});

test("an error repeats at most 64 characters of the input", () => {
  const long = "x".repeat(5000);
  for (const json of [
    `{"${long}":1}`,
    `{"fInt32":"${long}"}`,
    `{"fColor":"${long}"}`,
    `{"mInt32":{"${long}":"x"}}`,
    `{"kInt32":{"${long}":"x"}}`,
    `{"timestamp":"${long}"}`,
    `{"any":{"@type":"a/${long}"}}`,
    `{"fInt32":1${"0".repeat(5000)}}`,
  ]) {
    const error = failure("three.All", json);
    assert.ok(error.message.length < 250, error.message);
    assert.ok(error.field.length < 100, error.field);
  }
});

test("any JSON under any field gives a message or a TranscodeError", () => {
  for (const name of ["three.All", "two.Plain", "ed.Node"]) {
    const names = fc.constantFrom(
      ...type(name).fieldsByName.keys(),
      "[two.ext_plain]",
      "[two.ext_closed]",
      "@type",
      "value",
    );
    const value = fc.letrec<{ value: unknown }>(tie => ({
      value: fc.oneof(
        { maxDepth: 4 },
        fc.constantFrom<unknown>(null, 0, -1, 1.5, 1e300, "", "1", "RED", "AA==", "1s", "x/three.All", true),
        fc.array(tie("value"), { maxLength: 3 }),
        fc.dictionary(names, tie("value"), { maxKeys: 4 }),
      ),
    })).value;
    fc.assert(
      fc.property(fc.dictionary(names, value, { maxKeys: 4 }), json => {
        try {
          JSON.parse(echo(name, JSON.stringify(json)));
        } catch (error) {
          assert.ok(error instanceof TranscodeError, String((error as Error).stack));
          assert.notEqual(error.reason, "MALFORMED_MESSAGE", error.message);
        }
      }),
      { numRuns: 1500 },
    );
  }
});
