import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { loadProtos, loadSource, problemsOf } from "./workspace.js";

const HEAD = `syntax = "proto3"; package t; import "google/protobuf/descriptor.proto";
enum Level { LOW = 0; HIGH = 1; }
message Rule { int32 number = 1; string text = 2; Rule rule = 3; repeated Rule rules = 4; }
extend google.protobuf.FieldOptions {
  int32 int = 50001; uint32 uint = 50002; string string = 50003; bytes bytes = 50004; bool bool = 50005;
  Level level = 50006; Rule rule = 50007; double double = 50008; repeated int32 ints = 50009; int64 long = 50010;
}
`;

describe("an option", () => {
  const valueProblem = async (t: Parameters<typeof problemsOf>[0], option: string) => {
    const [first, ...more] = await problemsOf(t, {
      "a.proto": `${HEAD}message M { int32 f = 1 [${option}]; }`,
    });
    assert.deepEqual(more, []);
    return first?.replace("a.proto:8:26: error: ", "").replace(" (at t.M.f)", "");
  };

  const bad: readonly (readonly [string, string])[] = [
    ["(int) = 2147483648", 'option (int): 2147483648 is out of range for int32 "int"'],
    ["(uint) = -1", 'option (uint): -1 is out of range for uint32 "uint"'],
    ["(long) = 9223372036854775808", 'option (long): 9223372036854775808 is out of range for int64 "long"'],
    ["(int) = 1.5", 'option (int): the number 1.5 is not a int32 for "int"'],
    ['(int) = "1"', 'option (int): the string "1" is not a int32 for "int"'],
    ["(string) = 1", 'option (string): the number 1 is not a string for "string"'],
    ['(string) = "\\xff"', 'option (string): the value of "string" is not valid UTF-8'],
    ["(bool) = yes", 'option (bool): "yes" is not a bool for "bool"'],
    ["(level) = MIDDLE", 'option (level): enum t.Level has no value "MIDDLE"'],
    ["(double) = one", 'option (double): "one" is not a double for "double"'],
    ["(rule) = 1", "option (rule): the number 1 is not a message, expected { ... } for t.Rule"],
    ["(rule) = { nothing: 1 }", 'option (rule): t.Rule has no field "nothing"'],
    ["(rule) = { [t.int]: 1 }", 'option (rule): t.Rule has no extension "t.int"'],
    ["(rule) = { number: 1 number: 2 }", 'option (rule): "number" is set twice'],
    ["(rule) = { number: [1] }", 'option (rule): "number" is not repeated and cannot take a list'],
    [
      "(rule).rules.number = 1",
      'option (rule).rules.number: "rules" is not a single message and has no "number"',
    ],
    ["(int).number = 1", 'option (int).number: "int" is not a single message and has no "number"'],
  ];
  for (const [option, expected] of bad) {
    it(`an option whose value does not fit is an error: ${option}`, async t => {
      assert.equal(await valueProblem(t, option), expected);
    });
  }

  it("an option whose extension is not known is a warning, and the rest is kept", async t => {
    const { model, diagnostics } = await loadProtos(t, {
      "a.proto": `${HEAD}message M { int32 f = 1 [(gogoproto.nullable) = false, (int) = 3]; }`,
    });
    assert.deepEqual(
      diagnostics.map(({ severity, message, path }) => [severity, message, path]),
      [
        [
          "warning",
          'option (gogoproto.nullable): extension "gogoproto.nullable" is neither declared nor imported here, so it is ignored',
          "t.M.f",
        ],
      ],
    );
    assert.equal(model.message("t.M")?.fields[0]?.options.get("t.int"), 3);
  });

  it("an option of a wrong name or place is a warning", async t => {
    const files = { "a.proto": `${HEAD}message M { option depricated = true; option (int) = 1; }` };
    assert.deepEqual(await problemsOf(t, files), [
      'a.proto:8:20: warning: option depricated: google.protobuf.MessageOptions has no field "depricated", so it is ignored (at t.M); did you mean "deprecated"?',
      'a.proto:8:46: warning: option (int): "int" extends google.protobuf.FieldOptions, not google.protobuf.MessageOptions, so it is ignored (at t.M)',
    ]);
  });

  it("an option may be an extension that is declared in the same file, after its use", async t => {
    const model = await loadSource(
      t,
      `edition = "2023"; package t; import "google/protobuf/descriptor.proto";
      message M { int32 f = 1 [(late).x.y = 5]; }
      message L { X x = 1 [features.message_encoding = DELIMITED]; message X { int32 y = 1; } }
      extend google.protobuf.FieldOptions { L late = 50001 [features.message_encoding = DELIMITED]; }`,
    );
    const options = model.message("t.M")!.fields[0]!.options;
    assert.equal(JSON.stringify(options.get("t.late")), '{"x":{"y":5}}');
  });

  it("the option trpc.api.http is read as google.api.http is", async t => {
    const model = await loadSource(
      t,
      `syntax = "proto3"; package t; import "trpc/api/annotations.proto"; message M {}
      service S { rpc Get(M) returns (M) { option (trpc.api.http) = { get: "/v1/m" additional_bindings { post: "/v1/m" body: "*" } }; } }`,
    );
    const http = model.services.get("t.S")?.methods[0]?.options.get("trpc.api.http");
    assert.equal(JSON.stringify(http), '{"get":"/v1/m","additional_bindings":[{"post":"/v1/m","body":"*"}]}');
  });

  it("named __proto__ is an ordinary name", async t => {
    const model = await loadSource(
      t,
      `syntax = "proto3"; package t; import "google/protobuf/descriptor.proto";
      message R { string __proto__ = 1; map<string, string> map = 2; }
      extend google.protobuf.MessageOptions { R r = 50001; }
      message M { option (r) = { __proto__: "x" map { key: "__proto__" value: "y" } }; }`,
    );
    const value = model.message("t.M")!.options.get("t.r");
    assert.deepEqual(
      Object.entries(value as object).map(([name, inner]) => [name, JSON.stringify(inner)]),
      [
        ["__proto__", '"x"'],
        ["map", '{"__proto__":"y"}'],
      ],
    );
    assert.equal(model.message("t.R")?.fieldsByName.get("__proto__")?.number, 1);
  });
});
