import assert from "node:assert/strict";
import { describe, test } from "node:test";
import {
  equivalenceKey,
  type Segment,
  type Template,
  TemplateError,
  templateLimits,
} from "../../src/routing/template.js";
import { parseTemplate, prefixTemplate } from "../../src/routing/template-parser.js";

const single: Segment = { kind: "single" };
const multi: Segment = { kind: "multi" };
const literal = (value: string): Segment => ({ kind: "literal", value });
const variable = (path: string, start: number, end: number, pattern: string, isMulti = false) => ({
  path: path.split("."),
  start,
  end,
  multi: isMulti,
  pattern,
});

function assertRefused(text: string, offset: number, message: RegExp): void {
  assert.throws(
    () => parseTemplate(text),
    (error: unknown) => {
      assert.ok(error instanceof TemplateError, `${text}: ${error}`);
      assert.match(error.message, message);
      assert.equal(error.offset, offset, `${text}: ${error.message}`);
      return true;
    },
  );
}

describe("the template grammar accepts", () => {
  const accepted: [string, Omit<Template, "text">][] = [
    ["/", { segments: [], variables: [], verb: undefined }],
    ["/v1", { segments: [literal("v1")], variables: [], verb: undefined }],
    ["/v1/*", { segments: [literal("v1"), single], variables: [], verb: undefined }],
    ["/**", { segments: [multi], variables: [], verb: undefined }],
    ["/{id}", { segments: [single], variables: [variable("id", 0, 1, "*")], verb: undefined }],
    ["/{id=*}", { segments: [single], variables: [variable("id", 0, 1, "*")], verb: undefined }],
    [
      "/{id=fixed}",
      { segments: [literal("fixed")], variables: [variable("id", 0, 1, "fixed")], verb: undefined },
    ],
    ["/{a.b_1._c}", { segments: [single], variables: [variable("a.b_1._c", 0, 1, "*")], verb: undefined }],
    ["/{x=**}", { segments: [multi], variables: [variable("x", 0, 1, "**", true)], verb: undefined }],
    [
      "/v1/{name=messages/*}",
      {
        segments: [literal("v1"), literal("messages"), single],
        variables: [variable("name", 1, 3, "messages/*", true)],
        verb: undefined,
      },
    ],
    [
      "/v1/{name=**/botSessions/*}",
      {
        segments: [literal("v1"), multi, literal("botSessions"), single],
        variables: [variable("name", 1, 4, "**/botSessions/*", true)],
        verb: undefined,
      },
    ],
    [
      "/v1/{name=projects/**}/x",
      {
        segments: [literal("v1"), literal("projects"), multi, literal("x")],
        variables: [variable("name", 1, 3, "projects/**", true)],
        verb: undefined,
      },
    ],
    [
      "/{a}/x/{b}:do",
      {
        segments: [single, literal("x"), single],
        variables: [variable("a", 0, 1, "*"), variable("b", 2, 3, "*")],
        verb: "do",
      },
    ],
    ["/a:do", { segments: [literal("a")], variables: [], verb: "do" }],
    ["/*:do", { segments: [single], variables: [], verb: "do" }],
    ["/caf%C3%A9", { segments: [literal("café")], variables: [], verb: undefined }],
    ["/a%2Fb%3Ac%2a", { segments: [literal("a/b:c*")], variables: [], verb: undefined }],
    ["/a:%64o", { segments: [literal("a")], variables: [], verb: "do" }],
    ["/a-b._~!$&'()+,;=@", { segments: [literal("a-b._~!$&'()+,;=@")], variables: [], verb: undefined }],
  ];
  for (const [text, expected] of accepted) {
    test(`the template ${text} is parsed`, () =>
      assert.deepEqual(parseTemplate(text), { text, ...expected }));
  }
});

describe("the template grammar refuses", () => {
  const refused: [name: string, text: string, offset: number, message: RegExp][] = [
    ["an empty template", "", 0, /empty/],
    ["a template that does not start with a slash", "v1/a", 0, /start with "\/"/],
    ["an empty segment at the start", "//a", 1, /must not be empty/],
    ["an empty segment in the middle", "/a//b", 3, /must not be empty/],
    ["an empty segment in a pattern", "/{a=b//c}", 6, /must not be empty/],
    ["a pattern that starts with a slash", "/{a=/b}", 4, /must not be empty/],
    ["a trailing slash", "/a/", 2, /not end with "\/"/],
    ["a trailing slash in a pattern", "/{a=b/}", 5, /not end with "\/"/],
    ["a variable without a name", "/{}", 2, /field name.*"}"/],
    ["a variable without a name but with a pattern", "/{=*}", 2, /field name.*"="/],
    ["an empty pattern", "/{a=}", 4, /expected a pattern/],
    ["a verb without a segment", "/:verb", 1, /needs a segment/],
    ["a verb after a slash", "/a/:verb", 3, /needs a segment/],
    ["an empty verb", "/*:", 3, /expected a verb/],
    ["an empty verb after a variable", "/{a}:", 5, /expected a verb/],
    ["a second verb", "/a:b:c", 4, /ends the template.*%3A/],
    ["a segment after a verb", "/a:b/c", 4, /ends the template/],
    ["a wildcard as a verb", "/a:*", 3, /not allowed.*%2A/],
    ["a variable as a verb", "/a:{b}", 3, /not allowed/],
    ["text before a variable", "/a{b}", 2, /whole segment/],
    ["text after a variable", "/{b}a", 4, /whole segment/],
    ["two variables in one segment", "/{a}{b}", 4, /whole segment/],
    ["text before a wildcard", "/a*", 2, /whole segment/],
    ["text after a wildcard", "/*a", 2, /whole segment/],
    ["three stars", "/***", 3, /whole segment/],
    ["text before a variable in a pattern", "/{a=b{c}}", 5, /whole segment/],
    ["a nested variable", "/{a={b}}", 4, /another variable/],
    ["a nested variable in a name", "/{{a}}", 2, /another variable/],
    ["a verb in a pattern", "/{a=b:c}", 5, /verb must not be inside/],
    ["a verb after the name", "/{a:b}", 3, /verb must not be inside/],
    ["a verb in place of a pattern", "/{a=:b}", 4, /verb must not be inside/],
    ["a second **", "/**/a/**", 6, /only once/],
    ["a second ** in a variable", "/**/{a=b/**}", 9, /only once/],
    ["the same variable twice", "/{a.b}/{a.b}", 8, /"a\.b" is used twice/],
    ["a name that starts with a digit", "/{1a}", 2, /field name/],
    ["a name with a dash", "/{a-b}", 3, /expected "=", "\." or "}".*"-"/],
    ["a name with spaces", "/{ a }", 2, /field name/],
    ["a name that ends with a dot", "/{a.}", 4, /field name/],
    ["a name with two dots", "/{a..b}", 4, /field name/],
    ["an unclosed variable", "/{a", 3, /expected "}"/],
    ["an unclosed pattern", "/{a=b", 5, /expected "}"/],
    ["an opening brace at the end", "/{", 2, /end of the template/],
    ["a closing brace without an opening one", "/a}", 2, /closes no variable/],
    ["a closing brace as a segment", "/}", 1, /closes no variable/],
    ["a closing brace too many", "/{a}}", 4, /closes no variable/],
    ["an escape that is not hexadecimal", "/ab%zz", 3, /invalid percent-encoding "%zz"/],
    ["an escape that is cut off", "/ab%2", 3, /invalid percent-encoding "%2"/],
    ["an escape that is not UTF-8", "/a%20%FF", 2, /not valid UTF-8/],
    ["an overlong escape", "/%C0%AF", 1, /not valid UTF-8/],
    ["a broken escape in a verb", "/a:b%", 4, /invalid percent-encoding/],
    ["a space", "/a b", 2, /" " is not allowed here; write %20/],
    ["a query", "/a?b=c", 2, /"\?" is not allowed here; write %3F/],
    ["a fragment", "/a#b", 2, /write %23/],
    ["text beyond ASCII", "/aé", 2, /write %C3%A9/],
    ["text beyond the basic plane", "/a😀", 2, /write %F0%9F%98%80/],
    ["a lone surrogate", "/a\ud800", 2, /U\+D800/],
    ["a backslash", "/a\\b", 2, /write %5C/],
    ["a dot segment", "/a/./b", 3, /can never match/],
    ["a parent segment", "/..", 1, /can never match/],
    ["an escaped parent segment", "/%2e%2E", 1, /can never match/],
  ];
  for (const [name, text, offset, message] of refused) {
    test(`a template is refused for ${name}: ${JSON.stringify(text)}`, () =>
      assertRefused(text, offset, message));
  }

  test("a template of more than the allowed characters is refused", () => {
    parseTemplate(`/${"a".repeat(templateLimits.length - 1)}`);
    assertRefused(`/${"a".repeat(templateLimits.length)}`, templateLimits.length, /at most 4096/);
  });

  test("a template of more than the allowed segments is refused", () => {
    parseTemplate("/a".repeat(templateLimits.segments));
    assertRefused("/*".repeat(templateLimits.segments + 1), 2 * templateLimits.segments + 1, /128 segments/);
  });

  test("a template of more than the allowed variables is refused", () => {
    const variables = (count: number): string => Array.from({ length: count }, (_, i) => `/{v${i}}`).join("");
    parseTemplate(variables(templateLimits.variables));
    const offset = variables(templateLimits.variables).length + 1;
    assertRefused(variables(templateLimits.variables + 1), offset, /64 variables/);
  });
});

describe("equivalence", () => {
  const key = (text: string): string => equivalenceKey(parseTemplate(text));

  test("equivalence of templates does not depend on variables or on how a literal is escaped", () => {
    const same: [string, string][] = [
      ["/v1/{a}", "/v1/*"],
      ["/v1/{a}", "/v1/{b.c=*}"],
      ["/v1/{a=messages/*}", "/v1/messages/{id}"],
      ["/{a=**}", "/**"],
      ["/%61b", "/ab"],
      ["/a:%76", "/a:v"],
    ];
    for (const [one, other] of same) assert.equal(key(one), key(other), `${one} and ${other}`);
  });

  test("templates that match different paths are not equivalent", () => {
    const texts = [
      "/",
      "/*",
      "/**",
      "/%2A",
      "/%2A%2A",
      "/a",
      "/a/b",
      "/a%2Fb",
      "/a:b",
      "/a%3Ab",
      "/a/*",
      "/a/**",
      "/**/a",
    ];
    assert.equal(new Set(texts.map(key)).size, texts.length);
  });
});

describe("a prefix", () => {
  test("a prefix is prepended to the template", () => {
    assert.deepEqual(
      prefixTemplate("/blog", parseTemplate("/v1/{name=articles/*}:read")),
      parseTemplate("/blog/v1/{name=articles/*}:read"),
    );
    assert.deepEqual(prefixTemplate("/a/b/", parseTemplate("/c")), parseTemplate("/a/b/c"));
  });

  test("a prefix that is empty or the root changes nothing", () => {
    assert.deepEqual(prefixTemplate("", parseTemplate("/a")), parseTemplate("/a"));
    assert.deepEqual(prefixTemplate("/", parseTemplate("/a")), parseTemplate("/a"));
  });

  test("a prefix replaces the root template", () => {
    assert.deepEqual(prefixTemplate("/blog", parseTemplate("/")), parseTemplate("/blog"));
  });

  test("a prefix that is not a path of literals is refused", () => {
    for (const prefix of ["blog", "/a//b", "/{a}", "/*", "/a:b", "/a b"]) {
      assert.throws(() => prefixTemplate(prefix, parseTemplate("/x")), TemplateError, prefix);
    }
  });
});
