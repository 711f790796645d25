import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { encodeText } from "../../src/routing/percent.js";
import { RouterBuilder } from "../../src/routing/router.js";
import { equivalenceKey, type Template } from "../../src/routing/template.js";
import { parseTemplate } from "../../src/routing/template-parser.js";
import { expandTemplate } from "./expansion.js";
import { filledTemplate } from "./template-arbitrary.js";

/** Writes a parsed template without looking at its text. */
function format({ segments, variables, verb }: Template): string {
  const parts = segments.map(segment => {
    if (segment.kind === "literal") return encodeText(segment.value);
    return segment.kind === "single" ? "*" : "**";
  });
  for (const { path, start, end } of variables) {
    parts[start] = `{${path.join(".")}=${parts[start]}`;
    parts[end - 1] += "}";
  }
  const text = `/${parts.join("/")}`;
  return verb === undefined ? text : `${text}:${encodeText(verb)}`;
}

function withoutText({ segments, variables, verb }: Template): unknown {
  return { segments, verb, variables: variables.map(({ pattern: _, ...rest }) => rest) };
}

describe("any template", () => {
  test("a template that is parsed and written again means the same", () => {
    fc.assert(
      fc.property(filledTemplate, ({ text }) => {
        const template = parseTemplate(text);
        const again = parseTemplate(format(template));
        assert.deepEqual(withoutText(again), withoutText(template));
        assert.equal(equivalenceKey(again), equivalenceKey(template));
      }),
      { numRuns: 500 },
    );
  });

  test("a template that is expanded with any values matches the path and gives the values back", () => {
    fc.assert(
      fc.property(filledTemplate, ({ text, values }) => {
        const template = parseTemplate(text);
        const path = expandTemplate(template, values);
        const builder = new RouterBuilder<string>();
        builder.add("GET", template, text);
        assert.deepEqual(
          builder.build().match("GET", path),
          { kind: "found", value: text, variables: values },
          path,
        );
      }),
      { numRuns: 2000 },
    );
  });

  test("any text is parsed as a template or refused with an offset within it", () => {
    const unit = fc.constantFrom("/", "{", "}", "*", "**", ":", "=", ".", "a", "b", "%", "41", "é", " ");
    fc.assert(
      fc.property(fc.string({ unit, maxLength: 16 }), text => {
        try {
          parseTemplate(text);
        } catch (error) {
          const { name, offset } = error as { name: string; offset: number };
          assert.equal(name, "TemplateError");
          assert.ok(offset >= 0 && offset <= text.length, `${text}: ${offset}`);
        }
      }),
      { numRuns: 5000 },
    );
  });
});

describe("expansion", () => {
  const expand = (template: string, ...values: string[]): string =>
    expandTemplate(parseTemplate(template), values);

  test("expansion encodes everything but the unreserved characters in a single segment", () => {
    assert.equal(expand("/{a}", "aZ0-._~/:%+ é!'()*"), "/aZ0-._~%2F%3A%25%2B%20%C3%A9%21%27%28%29%2A");
  });

  test("expansion keeps the slashes of several segments", () => {
    assert.equal(expand("/v1/{name=messages/*}", "messages/a b"), "/v1/messages/a%20b");
    assert.equal(expand("/v1/{name=**}/x", "a//b"), "/v1/a//b/x");
    assert.equal(expand("/v1/{name=**}/x", ""), "/v1/x");
    assert.equal(expand("/{name=**}", ""), "/");
  });

  test("expansion writes wildcards outside of variables as they are", () => {
    assert.equal(expand("/a/*/{b}/**:v", "1"), "/a/*/1/**:v");
  });

  test("expansion refuses values that the template would not give back", () => {
    const refused: [template: string, ...values: string[]][] = [
      ["/{a}"],
      ["/{a}", "1", "2"],
      ["/{a}", ""],
      ["/{a}", ".."],
      ["/{a}", "x/../y"],
      ["/{a}", "\ud800"],
      ["/{a=m/*}", "m"],
      ["/{a=m/*}", "m/"],
      ["/{a=m/*}", "n/1"],
      ["/{a=m/*}", "m/1/2"],
      ["/{a=fixed}", "other"],
      ["/{a=**/s/*}", "s"],
      ["/{a=**/s/*}", "a/t/1"],
      ["/{a=**}", "a/../b"],
    ];
    for (const [template, ...values] of refused) {
      assert.throws(
        () => expand(template, ...values),
        RangeError,
        `${template} with ${JSON.stringify(values)}`,
      );
    }
  });
});
