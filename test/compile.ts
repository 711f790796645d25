/**
 * Compiles the project and its tests into `build/`, where every other file is a link to the original, so that paths
 * relative to a script lead to the same. Types are not checked. Does nothing where nothing has changed.
 */
import { execFileSync } from "node:child_process";
import {
  type Dirent,
  lstatSync,
  mkdirSync,
  readdirSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
} from "node:fs";
import { dirname, join, relative } from "node:path";
import { isCompiled, root } from "./node-script.js";

const build = join(root, "build");
/** What is no source: versions, packages, products. */
const left = new Set([".git", "build", "dist", "coverage", "node_modules"]);

function compile(): void {
  // The chat page of the demo loads it.
  execFileSync(process.execPath, [join(root, "clients/js/build.mjs")], { stdio: "inherit" });
  mkdirSync(build, { recursive: true });
  link(join(root, "node_modules"), join(build, "node_modules"));
  const config = join(root, "tsconfig.test.json");
  const isFresh = mirror(root, build) && isNewer(join(build, ".tsbuildinfo"), config);
  if (!isFresh)
    execFileSync(process.execPath, [join(root, "node_modules/typescript/bin/tsc"), "-p", config], {
      stdio: "inherit",
    });
}

/** The script of the command line; compiles it where the tests are not compiled themselves. */
export function compiledMain(): string {
  if (!isCompiled) compile();
  return join(build, "src/main.js");
}

/** Makes a folder of `build/` have what its original has; returns whether all compiled files are up to date. */
function mirror(from: string, to: string): boolean {
  mkdirSync(to, { recursive: true });
  let isFresh = true;
  const wanted = new Set([".tsbuildinfo", "node_modules"]);
  for (const entry of readdirSync(from, { withFileTypes: true })) {
    if (from === root && left.has(entry.name)) continue;
    const [source, target] = [join(from, entry.name), join(to, entry.name)];
    wanted.add(entry.name);
    if (entry.isDirectory() && hasScripts(source)) {
      if (isLink(target)) rmSync(target);
      isFresh = mirror(source, target) && isFresh;
      continue;
    }
    link(source, target);
    if (!isScript(entry)) continue;
    const script = entry.name.replace(/ts$/, "js");
    wanted.add(script).add(`${script}.map`);
    isFresh &&= isNewer(join(to, script), source);
  }
  for (const name of readdirSync(to)) if (!wanted.has(name)) rmSync(join(to, name), { recursive: true });
  return isFresh;
}

function isScript(entry: Dirent): boolean {
  return entry.isFile() && entry.name.endsWith(".ts");
}

function hasScripts(folder: string): boolean {
  return readdirSync(folder, { withFileTypes: true, recursive: true }).some(isScript);
}

function link(source: string, target: string): void {
  const path = relative(dirname(target), source);
  if (isLink(target) && readlinkSync(target) === path) return;
  rmSync(target, { recursive: true, force: true });
  symlinkSync(path, target);
}

function isLink(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() ?? false;
}

function isNewer(product: string, source: string): boolean {
  const made = statSync(product, { throwIfNoEntry: false });
  return made !== undefined && made.mtimeMs >= statSync(source).mtimeMs;
}

if (!isCompiled && process.argv[1] === import.meta.filename) compile();
