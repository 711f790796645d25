import { accessSync, constants, statSync } from "node:fs";
import { fileProblem } from "./file-problem.js";
import type { Findings } from "./findings.js";
import type { Path } from "./path.js";

/** Adds an error unless `file` (absolute; undefined where it had a problem already) is there and readable; `suggestion` goes with it. */
export function checkPath(
  at: Path,
  file: string | undefined,
  expected: "file" | "folder",
  findings: Findings,
  suggestion?: string,
): void {
  const problem = file === undefined ? undefined : pathProblem(file, expected);
  if (file === undefined || problem === undefined) return;
  findings.error(at, `expected a ${expected}, but ${findings.show(at, file)} ${problem}`, { suggestion });
}

function pathProblem(path: string, expected: "file" | "folder"): string | undefined {
  try {
    const stats = statSync(path);
    if (expected === "folder" && !stats.isDirectory()) return "is not a folder";
    if (expected === "file" && !stats.isFile()) return "is not a file";
    accessSync(path, constants.R_OK);
    return undefined;
  } catch (error) {
    return fileProblem(error);
  }
}
