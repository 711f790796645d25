import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { root } from "../node-script.js";
import { tablePages, withKeyTables } from "./key-tables.js";
import { pages } from "./page.js";

/** `npm run schema` writes the tables of keys of all pages with this. */
const tables = tablePages(pages);
for (const { path, text } of pages) {
  const written = withKeyTables(text, tables);
  if (written !== text) writeFileSync(join(root, path), written);
}
