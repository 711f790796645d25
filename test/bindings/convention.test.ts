import assert from "node:assert/strict";
import { test } from "node:test";
import { firstWord } from "../../src/bindings/convention.js";

const words: readonly (readonly [name: string, word: string])[] = [
  ["GetArticles", "get"],
  ["Get", "get"],
  ["Getaway", "getaway"],
  ["ListAuthors", "list"],
  ["QUERYUsers", "query"],
  ["HTTPGet", "http"],
  ["getUser", "get"],
  ["list_users", "list"],
  ["Patch2", "patch2"],
  ["X", "x"],
];

for (const [name, word] of words) {
  test(`the first word of ${name} is ${word}`, () => assert.equal(firstWord(name), word));
}
