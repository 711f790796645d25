import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import protobuf from "protobufjs";
import { parseProto } from "../../src/descriptors/parse/file.js";
import { SyntaxFault } from "../../src/descriptors/parse/scanner.js";

const faultOf = (source: string): string => {
  try {
    parseProto(source);
  } catch (error) {
    if (error instanceof SyntaxFault) return `${error.line}:${error.column}: ${error.message}`;
    throw error;
  }
  return "none";
};

describe("a syntax error", () => {
  const faults: readonly (readonly [string, string])[] = [
    ['syntax = "proto4";', '1:10: unknown syntax "proto4", expected one of proto2, proto3'],
    ['edition = "2022";', '1:11: unknown edition "2022", expected one of 2023, 2024, 2026'],
    ['syntax = "proto3"; mesage M {}', '1:20: expected a declaration but found "mesage"'],
    ['syntax = "proto3"; message M { int32 a 1; }', '1:40: expected "=" but found "1"'],
    ['syntax = "proto3"; message M { int32 a = 1 }', '1:44: expected ";" but found "}"'],
    ['syntax = "proto3"; message M { int32 a = 0; }', "1:43: field number 0 is not between 1 and 536870911"],
    [
      'syntax = "proto3"; message M { required int32 a = 1; }',
      '1:32: label "required" is not allowed in proto3',
    ],
    [
      'edition = "2023"; message M { optional int32 a = 1; }',
      '1:31: label "optional" is not allowed in editions; use features.field_presence',
    ],
    ["message M { int32 a = 1; }", '1:13: expected "required", "optional" or "repeated" but found "int32"'],
    [
      "message M {\n  optional int32 a = 1;\n",
      '3:1: expected "required", "optional" or "repeated" but found the end of the file',
    ],
    ['import "a\n";', "1:8: the string that starts here has no end on its line"],
    ["/* never\nclosed", "1:1: the comment that starts here has no end"],
    ['option java_package = "\\q";', '1:23: unknown escape "\\\\q" in the string'],
    ["enum E { A = 0x; }", '1:14: malformed number "0x"'],
    ["enum E { A = 08; }", "1:14: malformed octal number 08"],
    ["message M { optional int32 a = 1 [default = true]; }", "none"],
    [
      'message M { optional int32 a = 1 [default = "x"]; }',
      "1:35: the default does not fit the type of the field",
    ],
    ["service S { rpc A(M) return (M); }", '1:22: expected "returns" but found "return"'],
    [
      'syntax = "proto3"; message M { map<float, int32> m = 1; }',
      "1:36: the key of a map must be an integer, bool or string type",
    ],
    ["\u00e9", '1:1: unexpected character "\u00e9"'],
    [`syntax = "proto3"; ${"message M { ".repeat(100)}`, "1:798: messages are nested more than 64 deep"],
    [`option (a) = ${"{ a ".repeat(100)}`, "1:274: option values are nested more than 64 deep"],
  ];
  for (const [source, expected] of faults) {
    it(`a syntax error says where and what was expected: ${source.slice(0, 60).replaceAll("\n", " ")}`, () => {
      assert.equal(faultOf(source), expected);
    });
  }

  it("any text is parsed or gives a syntax error, nothing else", () => {
    const word = fc.constantFrom(
      ..."message M enum E service S rpc extend option optional repeated oneof map < > { } [ ] ( ) ; , . = - : / 1 0x1f 1.5 \"s\" 'x\\n' // \n /* */ reserved extensions to max import syntax group int32 stream returns".split(
        " ",
      ),
    );
    fc.assert(
      fc.property(fc.array(word, { maxLength: 40 }), words => {
        faultOf(words.join(" "));
        faultOf(`syntax = "proto3"; message M { ${words.join(" ")}`);
      }),
      { numRuns: 500 },
    );
  });
});

describe("text", () => {
  it("a .proto text gives the same messages and fields as protobufjs reads", () => {
    const name = fc.stringMatching(/^[a-z][a-z0-9_]{0,8}$/);
    const type = fc.constantFrom("int32", "string", "bytes", "double", "M0", ".p.M0");
    const label = fc.constantFrom("", "repeated ", "optional ");
    const field = fc.record({ name, type, label });
    const message = fc.uniqueArray(field, { maxLength: 6, selector: each => each.name });
    fc.assert(
      fc.property(fc.array(message, { minLength: 1, maxLength: 4 }), messages => {
        const body = messages.map((fields, index) => {
          const lines = fields.map(
            (each, at) => `${each.label}${each.type} f_${each.name} = ${at + 1}; // note`,
          );
          return `message M${index} {\n${lines.join("\n")}\n}`;
        });
        const source = `syntax = "proto3";\npackage p;\n${body.join("\n")}`;
        const { proto } = parseProto(source);
        const root = protobuf.parse(source, { keepCase: true }).root;
        for (const { name: messageName, field: fields } of proto.messageType) {
          const expected = root.lookupType(`p.${messageName}`).fieldsArray;
          assert.deepEqual(
            fields.map(each => [each.name, each.number, each.label === 3]),
            expected.map(each => [each.name, each.id, each.repeated]),
          );
        }
      }),
      { numRuns: 100 },
    );
  });
});
