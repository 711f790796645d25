import assert from "node:assert/strict";
import { test } from "node:test";
import { JsonFields } from "../../src/bindings/json-fields.js";
import { GatewayError } from "../../src/status/failure.js";

const known = ["room", "limit", "urgent", "names", "data"];

function fieldsOf(body: string): JsonFields {
  return new JsonFields(Buffer.from(body), known);
}

test("fields of a body are read with their types; null and an empty body are fields that are absent", () => {
  const fields = fieldsOf(
    '{"room":"","limit":3,"urgent":false,"names":["a"],"data":{"id":9007199254740993}}',
  );
  assert.equal(fields.text("room"), "");
  assert.equal(fields.integer("limit", 1), 3);
  assert.equal(fields.flag("urgent"), false);
  assert.deepEqual(fields.texts("names"), ["a"]);
  assert.equal(fields.source("data"), '{"id":9007199254740993}');
  for (const body of ["", "{}", '{"room":null,"limit":null,"urgent":null,"names":null}']) {
    const empty = fieldsOf(body);
    assert.equal(empty.optionalText("room"), undefined);
    assert.equal(empty.integer("limit", 1), undefined);
    assert.equal(empty.flag("urgent"), undefined);
    assert.equal(empty.optionalTexts("names"), undefined);
    assert.equal(empty.value("room"), undefined);
    assert.equal(empty.source("data"), undefined);
  }
  assert.equal(fieldsOf('{"data":null}').source("data"), "null");
});

const mistakes: readonly (readonly [
  what: string,
  body: string,
  read: (fields: JsonFields) => unknown,
  reason: string,
  message: string,
])[] = [
  ["text that is missing", "{}", fields => fields.text("room"), "INVALID_VALUE", "room not provided"],
  [
    "a number for text",
    '{"room":7}',
    fields => fields.text("room"),
    "INVALID_VALUE",
    "room: expected a string, found the number 7",
  ],
  [
    "an integer that is too large",
    '{"limit":11}',
    fields => fields.integer("limit", 1, 10),
    "INVALID_VALUE",
    "limit: expected an integer from 1 to 10, found the number 11",
  ],
  [
    "an integer that a double would round",
    '{"limit":9007199254740993}',
    fields => fields.integer("limit", 1),
    "INVALID_VALUE",
    "limit: expected an integer from 1, found the number 9007199254740993",
  ],
  [
    "a text for true or false",
    '{"urgent":"yes"}',
    fields => fields.flag("urgent"),
    "INVALID_VALUE",
    'urgent: expected true or false, found the string "yes"',
  ],
  [
    "a list that holds a number",
    '{"names":["a",1]}',
    fields => fields.texts("names"),
    "INVALID_VALUE",
    "names: expected a list of strings, found a list",
  ],
  [
    "a misspelled name",
    '{"limt":1}',
    () => undefined,
    "UNKNOWN_FIELD",
    'limt: unknown field; did you mean "limit"?',
  ],
  [
    "a name that is like no other",
    '{"__proto__":1}',
    () => undefined,
    "UNKNOWN_FIELD",
    "__proto__: unknown field; expected room, limit, urgent, names, data",
  ],
];
for (const [what, body, read, reason, message] of mistakes)
  test(`${what} in a body of the gateway's own routes is refused, with its name in message and details`, () => {
    assert.throws(
      () => read(fieldsOf(body)),
      error => {
        assert.ok(error instanceof GatewayError);
        assert.deepEqual([error.failure.reason, error.failure.message], [reason, message]);
        const [field] = /^\w+/.exec(message) ?? [];
        const [violations] = error.failure.details;
        assert.ok(Buffer.from(violations?.value ?? []).includes(field ?? ""));
        return true;
      },
    );
  });
