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

test("no title of a test or of a group begins with a relative clause", () => {
  const files = readdirSync(root, { recursive: true, encoding: "utf8" }).filter(file => file.endsWith(".ts"));
  const clauses = files.flatMap(file =>
    [...readFileSync(join(root, file), "utf8").matchAll(/\b(?:describe|it|test)\(\s*["`]what [^"`]*/gi)].map(
      ([match]) => `${file}: ${match.trim()}`,
    ),
  );
  assert.deepEqual(clauses, []);
});
