import { execFileSync } from "node:child_process";
import { cpSync, existsSync, symlinkSync } from "node:fs";
import { join, resolve } from "node:path";

const root = resolve(import.meta.dirname, "..");

/**
 * Compiles `src` into a folder that looks like the package; each test file takes a folder of its own.
 * @returns the script of the command line
 */
export function compileTo(to: string): string {
  const dist = join(to, "dist");
  const options = [
    "-p",
    "tsconfig.build.json",
    "--outDir",
    dist,
    "--tsBuildInfoFile",
    join(dist, ".tsbuildinfo"),
  ];
  execFileSync(process.execPath, ["node_modules/typescript/bin/tsc", ...options], { cwd: root });
  for (const folder of ["demo/page", "docs-page/assets"])
    cpSync(join(root, "src", folder), join(dist, folder), { recursive: true });
  for (const name of ["package.json", "protos", "config"])
    if (!existsSync(join(to, name))) symlinkSync(join(root, name), join(to, name));
  return join(dist, "main.js");
}
