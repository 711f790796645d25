import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { describe, test } from "node:test";
import { RouterBuilder } from "../../src/routing/router.js";
import type { Template } from "../../src/routing/template.js";
import { parseTemplate } from "../../src/routing/template-parser.js";
import { expandTemplate } from "./expansion.js";

const rule = /^[^\n/]*?\b(get|put|post|delete|patch)\s*:\s*((?:"[^"\n]*"\s*)+)/gm;

/** Every distinct method and template that the protos of Google's public APIs are annotated with. */
function publishedTemplates(): Map<string, { method: string; text: string; file: string }> {
  const root = dirname(createRequire(import.meta.url).resolve("google-proto-files/package.json"));
  const found = new Map<string, { method: string; text: string; file: string }>();
  for (const file of readdirSync(root, { recursive: true, encoding: "utf8" })) {
    if (!file.endsWith(".proto")) continue;
    for (const [, method = "", strings = ""] of readFileSync(join(root, file), "utf8").matchAll(rule)) {
      const text = [...strings.matchAll(/"([^"]*)"/g)].map(([, part]) => part).join("");
      found.set(`${method} ${text}`, { method: method.toUpperCase(), text, file });
    }
  }
  return found;
}

describe("the templates that Google publishes", () => {
  const published = [...publishedTemplates().values()];

  test("all templates that Google publishes are parsed", () => {
    assert.ok(published.length > 10_000, `${published.length} templates`);
    for (const { text, file } of published)
      assert.doesNotThrow(() => parseTemplate(text), `${file}: ${text}`);
  });

  test("all templates that Google publishes are matched among each other, with their values", () => {
    const builder = new RouterBuilder<Template>();
    const templates = published.map(({ method, text }) => ({ method, template: parseTemplate(text) }));
    for (const { method, template } of templates) builder.add(method, template, template);
    const router = builder.build();
    for (const { method, template } of templates) {
      const values = template.variables.map(({ pattern }) =>
        pattern.replaceAll("**", "x/y:z").replaceAll("*", "x:é"),
      );
      const path = expandTemplate(template, values);
      const match = router.match(method, path);
      assert.equal(match.kind, "found", `${method} ${path}`);
      if (match.kind !== "found" || match.value !== template) continue;
      assert.deepEqual(match.variables, values, `${method} ${path}`);
    }
  });
});
