import assert from "node:assert/strict";
import { test } from "node:test";
import { createPace } from "../../src/net/pace.js";
import { compileValidators } from "../../src/validation/compile.js";
import { encode, model, typeOf } from "./model.js";

const names = [
  "Texts",
  "Numbers",
  "Required",
  "Lists",
  "Choices",
  "Together",
  "Expressions",
  "Raw",
  "Times",
  "Tree",
  "Outer",
  "Shout",
  "Legacy",
  "Modern",
] as const;

const { byType, diagnostics } = await compileValidators(
  model,
  names.map(name => typeOf(model, name)),
  createPace(),
);

function violations(name: string, json: unknown): string[] {
  const type = typeOf(model, name);
  const validate = byType.get(type);
  assert.ok(validate !== undefined, `${name} has no rules`);
  return validate(encode(type, json)).map(
    ({ field, description, reason }) => `${field}: ${description} [${reason}]`,
  );
}

const cases: readonly [name: (typeof names)[number], json: unknown, expected: readonly string[]][] = [
  ["Texts", { name: "ok" }, []],
  ["Texts", {}, ["name: must be at least 2 characters [STRING_MIN_LEN]"]],
  ["Texts", { name: "a" }, ["name: must be at least 2 characters [STRING_MIN_LEN]"]],
  ["Texts", { name: "toolong" }, ["name: must be at most 5 characters [STRING_MAX_LEN]"]],
  ["Texts", { name: "ééééé" }, []],
  ["Texts", { name: "ok", slug: "A1" }, ["slug: does not match regex pattern `^[a-z]+$` [STRING_PATTERN]"]],
  [
    "Texts",
    {
      name: "ok",
      email: "a@b.c",
      id: "6ba7b810-9dad-11d1-80b4-00c04fd430c8",
      color: "red",
      prefix: "rooms/1",
    },
    [],
  ],
  [
    "Texts",
    { name: "ok", email: "a@", id: "1", color: "blue", prefix: "x" },
    [
      "email: must be a valid email address [STRING_EMAIL]",
      "id: must be a valid UUID [STRING_UUID]",
      "color: must be in list [red, green] [STRING_IN]",
      "prefix: does not have prefix `rooms/` [STRING_PREFIX]",
    ],
  ],
  ["Texts", { name: "ok", nick: "" }, ["nick: must be at least 3 characters [STRING_MIN_LEN]"]],
  ["Texts", { name: "ok", nick: "abc", muted: "x" }, []],
  ["Numbers", {}, []],
  ["Numbers", { i32: 9, i64: "9007199254740993", u64: "18446744073709551614", f: 0.5, s: 2 }, []],
  [
    "Numbers",
    { i32: 10, i64: "9007199254740994", u64: "18446744073709551615", f: 1, s: 3, x: 1, b: true, d: "NaN" },
    [
      "i32: must be greater than or equal to 0 and less than 10 [INT32_GTE_LT]",
      "i64: must be less than or equal to 9007199254740993 [INT64_LTE]",
      "u64: must be less than 18446744073709551615 [UINT64_LT]",
      "d: must be finite [DOUBLE_FINITE]",
      "f: must be greater than -1 and less than 1 [FLOAT_GT_LT]",
      "s: must not be in list [3, 4] [SINT32_NOT_IN]",
      "x: must equal 0 [FIXED32_CONST]",
      "b: must equal false [BOOL_CONST]",
    ],
  ],
  [
    "Numbers",
    { i32: -1, d: "Infinity", f: -1 },
    [
      "i32: must be greater than or equal to 0 and less than 10 [INT32_GTE_LT]",
      "d: must be finite [DOUBLE_FINITE]",
      "f: must be greater than -1 and less than 1 [FLOAT_GT_LT]",
    ],
  ],
  ["Required", { room: "a", person: { login: "x" }, tags: ["a"] }, []],
  [
    "Required",
    {},
    [
      "room: value is required [REQUIRED]",
      "person: value is required [REQUIRED]",
      "tags: value is required [REQUIRED]",
    ],
  ],
  [
    "Required",
    { room: "a", person: {}, tags: [""] },
    ["person.login: must be at least 1 characters [STRING_MIN_LEN]"],
  ],
  ["Lists", { tags: ["a"] }, []],
  ["Lists", {}, ["tags: must contain at least 1 item(s) [REPEATED_MIN_ITEMS]"]],
  ["Lists", { tags: ["a", "a"] }, ["tags: repeated value must contain unique items [REPEATED_UNIQUE]"]],
  [
    "Lists",
    { tags: ["a", "b", "c", "d"] },
    ["tags: must contain no more than 3 item(s) [REPEATED_MAX_ITEMS]"],
  ],
  ["Lists", { tags: ["a", "bbb"] }, ["tags[1]: must be at most 2 characters [STRING_MAX_LEN]"]],
  [
    "Lists",
    { tags: ["a"], people: [{ login: "a" }, {}] },
    ["people[1].login: must be at least 1 characters [STRING_MIN_LEN]"],
  ],
  [
    "Lists",
    { tags: ["a"], counts: { aa: 1, b: 1 } },
    ['counts["b"]: key: must be at least 2 characters [STRING_MIN_LEN]'],
  ],
  [
    "Lists",
    { tags: ["a"], counts: { aa: 0, bb: 1, cc: 1 } },
    [
      "counts: map must be at most 2 entries [MAP_MAX_PAIRS]",
      'counts["aa"]: must be greater than 0 [INT32_GT]',
    ],
  ],
  [
    "Lists",
    { tags: ["a"], byNumber: { "7": {} } },
    ["by_number[7].login: must be at least 1 characters [STRING_MIN_LEN]"],
  ],
  ["Lists", { tags: ["a"], counts: { 'q"': 0 } }, ['counts["q\\""]: must be greater than 0 [INT32_GT]']],
  ["Choices", { room: "a", color: "COLOR_RED" }, []],
  [
    "Choices",
    { color: 7 },
    [
      "color: value must be one of the defined enum values [ENUM_DEFINED_ONLY]",
      "target: exactly one field is required in oneof [REQUIRED]",
    ],
  ],
  ["Choices", { user: 0 }, ["user: must be greater than 0 [INT32_GT]"]],
  ["Choices", { user: 1 }, []],
  ["Together", { a: "x" }, []],
  ["Together", { a: "x", b: "y" }, [": only one of a, b can be set [MESSAGE_ONEOF]"]],
  ["Together", {}, [": one of a, b must be set [MESSAGE_ONEOF]"]],
  ["Expressions", { from: 1, to: 2, code: "ab" }, []],
  ["Expressions", { from: 2, to: 1, code: "ab" }, [": from must be before to [EXPRESSIONS_RANGE]"]],
  [
    "Expressions",
    { from: 1, to: 2000, code: "b" },
    ["code: must start with a, not b [EXPRESSIONS_CODE]", ': "this.to < 1000" returned false [THIS_TO_1000]'],
  ],
  ["Raw", { data: "AQI=" }, []],
  [
    "Raw",
    {},
    ["data: must be at least 1 bytes [BYTES_MIN_LEN]", "data: does not have prefix 01 [BYTES_PREFIX]"],
  ],
  [
    "Raw",
    { data: "AgICAgI=" },
    ["data: must be at most 4 bytes [BYTES_MAX_LEN]", "data: does not have prefix 01 [BYTES_PREFIX]"],
  ],
  [
    "Times",
    {
      wait: "5s",
      birth: "2000-01-01T00:00:00Z",
      mask: "a",
      any: { "@type": "type.googleapis.com/edge.Person", login: "x" },
      boxed: 6,
    },
    [],
  ],
  ["Times", {}, []],
  [
    "Times",
    {
      wait: "60s",
      birth: "9999-01-01T00:00:00Z",
      mask: "c",
      any: { "@type": "type.googleapis.com/edge.Free" },
      boxed: 5,
    },
    [
      "wait: must be greater than or equal to 0s and less than 60s [DURATION_GTE_LT]",
      "birth: must be less than now [TIMESTAMP_LT_NOW]",
      "mask: must only contain paths in [a, b] [FIELD_MASK_IN]",
      "any: type URL must be in the allow list [ANY_IN]",
      "boxed: must be greater than 5 [INT32_GT]",
    ],
  ],
  ["Tree", { name: "a", children: [{ name: "b", twin: { name: "c" } }] }, []],
  [
    "Tree",
    { name: "a", children: [{ name: "b" }, { name: "b", children: [{}] }], twin: { twin: {} } },
    [
      "children[1].children[0].name: must be at least 1 characters [STRING_MIN_LEN]",
      "twin.name: must be at least 1 characters [STRING_MIN_LEN]",
      "twin.twin.name: must be at least 1 characters [STRING_MIN_LEN]",
    ],
  ],
  ["Outer", {}, []],
  ["Outer", { inner: {} }, []],
  [
    "Outer",
    { inner: { person: {} } },
    ["inner.person.login: must be at least 1 characters [STRING_MIN_LEN]"],
  ],
  ["Shout", { text: "HEY" }, []],
  ["Shout", { text: "hey" }, ["text: must be in capitals [STRING_SHOUT]"]],
  ["Shout", {}, []],
  ["Legacy", { name: "ab" }, []],
  [
    "Legacy",
    { name: "a", size: 0, part: { text: "x" } },
    [
      "size: must be greater than 0 [INT32_GT]",
      "name: must be at least 2 characters [STRING_MIN_LEN]",
      "part.text: must be at least 2 characters [STRING_MIN_LEN]",
    ],
  ],
  ["Modern", {}, ["implicit: must be at least 2 characters [STRING_MIN_LEN]"]],
  ["Modern", { explicit: "", implicit: "ab" }, ["explicit: must be at least 2 characters [STRING_MIN_LEN]"]],
  [
    "Modern",
    { implicit: "ab", delimited: { explicit: "a", implicit: "ab" } },
    ["delimited.explicit: must be at least 2 characters [STRING_MIN_LEN]"],
  ],
];

test("no rule of the protos is complained about", () => {
  assert.deepEqual(diagnostics, []);
});

for (const [name, json, expected] of cases) {
  const what = expected.length === 0 ? "accept" : "refuse";
  test(`the rules of ${name} ${what} ${JSON.stringify(json)}`, () => {
    assert.deepEqual(violations(name, json), expected);
  });
}
