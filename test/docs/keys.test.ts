import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { allKeys, keysOfTables, tablePages, withKeyTables } from "./key-tables.js";
import { pages, reference } from "./page.js";

const tables = tablePages(pages);

describe("the tables of configuration keys", () => {
  for (const { path, text } of pages)
    if (text.includes("<!-- keys of "))
      it(`${path} has the keys that the schema has (npm run schema writes its tables)`, () =>
        assert.equal(withKeyTables(text, tables), text));

  it("every key of the configuration is in a table of a page", () => {
    const listed = new Set(pages.flatMap(({ text }) => keysOfTables(text, tables)));
    const bounds = reference("limits").tableRows("key", "default", "what it bounds");
    for (const [key = ""] of bounds) listed.add(key.replaceAll("`", ""));
    const sections = reference("configuration").tableRows("section", "content");
    for (const [names = ""] of sections)
      for (const name of names.split(", ")) listed.add(name.replaceAll("`", ""));
    const missing = allKeys().filter(key => !listed.has(key));
    assert.deepEqual(missing, []);
  });
});
