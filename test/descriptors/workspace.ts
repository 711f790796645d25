import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import type { TestContext } from "node:test";
import type { Diagnostic } from "../../src/config/diagnostic.js";
import { LoadError } from "../../src/config/diagnostic.js";
import { loadModel } from "../../src/descriptors/load/load.js";
import type { Model } from "../../src/descriptors/model.js";

export type Files = Readonly<Record<string, string | Uint8Array>>;

/** A temporary folder with these files, gone after the test. */
export function folderOf(t: TestContext, files: Files): string {
  const folder = mkdtempSync(join(tmpdir(), "protogate-descriptors-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), content);
  }
  return folder;
}

export async function loadProtos(t: TestContext, files: Files) {
  return loadModel([{ kind: "protos", folder: folderOf(t, files), include: [] }]);
}

/** The model of a single file `test.proto`. */
export async function loadSource(t: TestContext, source: string): Promise<Model> {
  const { model, diagnostics } = await loadProtos(t, { "test.proto": source });
  if (diagnostics.length > 0) throw new LoadError(diagnostics);
  return model;
}

/** What loading complains about, as text with the folder left out. */
export async function problemsOf(t: TestContext, files: Files): Promise<string[]> {
  const folder = folderOf(t, files);
  return problems(folder, () => loadModel([{ kind: "protos", folder, include: [] }]));
}

/** The diagnostics of a load, whether it fails or not: `file:line:column: message`. */
export async function problems(
  folder: string,
  load: () => Promise<{ diagnostics: readonly Diagnostic[] }>,
): Promise<string[]> {
  const short = (text: string) =>
    text.replaceAll(`${folder}/`, "").replaceAll(folder, "<folder>").replaceAll(bundle, "<bundle>");
  let diagnostics: readonly Diagnostic[];
  try {
    ({ diagnostics } = await load());
  } catch (error) {
    if (!(error instanceof LoadError)) throw error;
    ({ diagnostics } = error);
  }
  return short(new LoadError(diagnostics).message)
    .split("\n")
    .filter(line => line !== "");
}

const bundle = new URL("../../protos", import.meta.url).pathname;
