import { createHash } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const folder = join(import.meta.dirname, "corpus");

/** The kept inputs of a target, in a stable order. */
export function readCorpus(target: string): { readonly file: string; readonly bytes: Buffer }[] {
  const own = join(folder, target);
  mkdirSync(own, { recursive: true });
  return readdirSync(own)
    .sort()
    .map(file => ({ file: join(own, file), bytes: readFileSync(join(own, file)) }));
}

/** Keeps an input under the hash of its content. @returns its file */
export function keep(target: string, bytes: Buffer): string {
  const file = join(folder, target, createHash("sha256").update(bytes).digest("hex").slice(0, 16));
  writeFileSync(file, bytes);
  return file;
}

export function forget(file: string): void {
  rmSync(file);
}
