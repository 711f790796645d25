import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { jsonMembers } from "../../src/codec/json-members.js";

test("members are the source text of their values", () => {
  const text = ' { "id" : 7, "body":{"big":9007199254740993,"s":"a,}\\"{"} ,"b\\u006fx":[1,[2,{"x":3}]] } ';
  assert.deepEqual(
    [...jsonMembers(text)],
    [
      ["id", "7"],
      ["body", '{"big":9007199254740993,"s":"a,}\\"{"}'],
      ["box", '[1,[2,{"x":3}]]'],
    ],
  );
});

test("members of any object mean what JSON.parse makes of them", () => {
  fc.assert(
    fc.property(fc.dictionary(fc.string(), fc.jsonValue()), fc.constantFrom(0, 1, "\t"), (object, indent) => {
      const text = JSON.stringify(object, undefined, indent);
      const parsed = JSON.parse(text) as Record<string, unknown>;
      const members = jsonMembers(text);
      assert.deepEqual([...members.keys()].sort(), Object.keys(parsed).sort());
      for (const [name, value] of members) assert.deepEqual(JSON.parse(value), parsed[name]);
    }),
  );
});

test("jsonMembers takes the last value of a name that comes twice", () => {
  assert.equal(jsonMembers('{"a":1,"\\u0061":2}').get("a"), "2");
});

test("no text makes it run on", () => {
  fc.assert(
    fc.property(fc.stringMatching(/^[{}[\]",:\\a1 ]*$/), text => {
      try {
        jsonMembers(text);
      } catch (error) {
        assert.ok(error instanceof SyntaxError);
      }
    }),
    { numRuns: 2000, examples: [['{"a",1']] },
  );
});
