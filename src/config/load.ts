import { dirname, resolve } from "node:path";
import type { TSchema } from "typebox";
import { Decoder } from "./decoder.js";
import type { Diagnostic, FilePosition, Path } from "./diagnostic.js";
import { Findings } from "./findings.js";
import { type DraftOf, type Loaded, nodeOf, requiredKeys } from "./schema.js";
import { Source } from "./source.js";
import type { KnownMistakes } from "./unavailable.js";

/** What a configuration file is to look like. */
export interface ConfigFormat<S extends TSchema> {
  readonly schema: S;
  readonly mistakes: KnownMistakes;
  /** Finds what no schema can: missing files, dangling references, values that do not go together. */
  check(draft: DraftOf<Loaded<S>>, findings: Findings): void;
}

export interface LoadedConfig<C> {
  /** Undefined exactly when a diagnostic is an error. */
  readonly config: C | undefined;
  /** Every problem found, in the order of the file. */
  readonly diagnostics: readonly Diagnostic[];
  /** Paths (`listeners.http.address`) of the values that the environment or a file took part in. */
  readonly secrets: ReadonlySet<string>;
  /** The file, and the files and folders that it names, by absolute path; whether they exist or not. */
  readonly files: ReadonlySet<string>;
  /** Where a node of the file stands, or its nearest ancestor that exists; for problems found later on. */
  locate(path: Path): FilePosition;
}

/**
 * Loads a configuration file: YAML, substitution, checks, defaults. Relative paths in it start from its folder.
 * Reads the files that it names with `${file:...}` and looks whether the others exist; never throws for what
 * is in them.
 */
export function loadFile<S extends TSchema>(
  file: string,
  { schema, mistakes, check }: ConfigFormat<S>,
  env: Readonly<Record<string, string | undefined>>,
): LoadedConfig<Loaded<S>> {
  const files = new Set([resolve(file)]);
  const source = Source.read(file);
  const locate = (path: Path) => source.locate(path);
  if (source.diagnostics.length > 0) {
    return { config: undefined, diagnostics: source.diagnostics, secrets: new Set(), files, locate };
  }
  const findings = new Findings(source);
  const node = nodeOf(schema);
  if (source.root === undefined) {
    const required = requiredKeys(node).join(" and ");
    findings.error([], `expected a mapping, found nothing; a configuration needs at least ${required}`);
  } else {
    const scope = { env, folder: dirname(resolve(file)), reads: (path: string) => void files.add(path) };
    const decoded = new Decoder(findings, scope, mistakes).decode(node, source.root);
    const draft = decoded as DraftOf<Loaded<S>> | undefined;
    if (draft !== undefined) check(draft, findings);
    const { diagnostics, secrets } = findings;
    const usable = diagnostics.every(({ severity }) => severity !== "error");
    // Without an error the draft has every key that the schema requires, each as its type says.
    return { config: usable ? (draft as Loaded<S>) : undefined, diagnostics, secrets, files, locate };
  }
  return { config: undefined, diagnostics: findings.diagnostics, secrets: findings.secrets, files, locate };
}
