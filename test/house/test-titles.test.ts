import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { test } from "node:test";

const root = resolve(import.meta.dirname, "..");

/** Words with which the second half of a sentence begins, whose first half is the title of the group. */
const continuations =
  "are|is|was|that|of|whose|may|can|cannot|has|have|does|do|gives|takes|leaves|keeps|says|tells|refuses|answers|passes|reads|prints|sends|finds|shows|goes|ends|stays|lets|accepts|loads|describes|decodes|exports|rejects|ignores";
const titled = new RegExp(`^\\s*(?:it|test)\\(\\s*(["\`])(?:${continuations}) [^"\`]*`, "gm");

test("the title of a test reads alone, without the title of its group", () => {
  const files = readdirSync(root, { recursive: true, encoding: "utf8" }).filter(file => file.endsWith(".ts"));
  const halves = files.flatMap(file =>
    [...readFileSync(join(root, file), "utf8").matchAll(titled)].map(([match]) => `${file}: ${match.trim()}`),
  );
  assert.deepEqual(halves, []);
});

/** Every title after `describe(`, `it(` or `test(`. */
const titles = /\b(?:describe|it|test)(?:\.\w+)?\(\s*(["`])(?<title>(?:(?!\1).)*)\1/g;

function titlesWith(words: RegExp): string[] {
  const files = readdirSync(root, { recursive: true, encoding: "utf8" }).filter(file => file.endsWith(".ts"));
  return files.flatMap(file =>
    [...readFileSync(join(root, file), "utf8").matchAll(titles)]
      .map(({ groups }) => groups?.title ?? "")
      .filter(title => words.test(title))
      .map(title => `${file}: ${title}`),
  );
}

test("no title of a test or of a group begins with a relative clause", () => {
  assert.deepEqual(titlesWith(/^(?:what|whatever|who|whoever) /i), []);
});

test("no title of a test or of a group says told for notified, or asked for requested", () => {
  assert.deepEqual(titlesWith(/\b(?:is|are) (?:told|asked)\b/i), []);
});
