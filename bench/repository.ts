import { existsSync } from "node:fs";
import { dirname, join } from "node:path";

/** The checkout's folder, wherever below it this file was compiled to. */
export const root = findRoot(import.meta.dirname);

function findRoot(folder: string): string {
  if (existsSync(join(folder, "package-lock.json"))) return folder;
  const parent = dirname(folder);
  if (parent === folder) throw new Error("the bench runs in a checkout of the repository only");
  return findRoot(parent);
}
