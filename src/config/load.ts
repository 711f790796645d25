import type { TSchema } from "typebox";
import { type ConfigInput, compose } from "./compose.js";
import { Decoder } from "./decoder.js";
import type { Diagnostic, FilePosition, Path } from "./diagnostic.js";
import { Findings } from "./findings.js";
import { type DraftOf, type Loaded, nodeOf, requiredKeys } from "./schema.js";
import type { KnownMistakes } from "./unavailable.js";

/** The format of a configuration. */
export interface ConfigFormat<S extends TSchema> {
  readonly schema: S;
  readonly mistakes: KnownMistakes;
  /** Finds problems that no schema can: missing files, dangling references, values that do not go together. */
  check(draft: DraftOf<Loaded<S>>, findings: Findings): void;
}

export interface LoadedConfig<C> {
  /** Undefined exactly when a diagnostic is an error. */
  readonly config: C | undefined;
  /** Every problem found, in the order of the files. */
  readonly diagnostics: readonly Diagnostic[];
  /** Paths (`listeners.http.address`) of the values that the environment or a file took part in. */
  readonly secrets: ReadonlySet<string>;
  /** Paths of those whose values are in the files themselves. */
  readonly literalSecrets: ReadonlySet<string>;
  /** Its files, the globs that include some, and the files and folders that it names, by absolute path; whether they exist or not. */
  readonly files: ReadonlySet<string>;
  /** The position of a node of the files, or of its nearest ancestor that exists; for problems found later on. */
  locate(path: Path): FilePosition;
}

/**
 * Loads a configuration: YAML with includes and overrides, substitution, checks, defaults. Relative paths
 * start from the folder of the file that contains them. Reads the files that it names with `${file:...}` and checks
 * whether the others exist; never throws for any content of them.
 */
export function loadFiles<S extends TSchema>(
  input: ConfigInput,
  { schema, mistakes, check }: ConfigFormat<S>,
  env: Readonly<Record<string, string | undefined>>,
): LoadedConfig<Loaded<S>> {
  const files = new Set<string>();
  const scope = { env, reads: (path: string) => void files.add(path) };
  const node = nodeOf(schema);
  const { tree, problems, complete } = compose(input, node, scope);
  const findings = new Findings(tree);
  for (const problem of problems) findings.add(problem);
  const locate = (path: Path) => tree.locate(path);
  const loaded = (config: Loaded<S> | undefined): LoadedConfig<Loaded<S>> => {
    const { diagnostics, secrets, literalSecrets } = findings;
    return { config, diagnostics, secrets, literalSecrets, files, locate };
  };
  if (!complete) return loaded(undefined);
  if (tree.root === undefined) {
    const required = requiredKeys(node).join(" and ");
    findings.error([], `expected a mapping, found nothing; a configuration needs at least ${required}`);
    return loaded(undefined);
  }
  const draft = new Decoder(findings, scope, mistakes).decode(node, tree.root) as
    | DraftOf<Loaded<S>>
    | undefined;
  if (draft !== undefined) check(draft, findings);
  const usable = findings.diagnostics.every(({ severity }) => severity !== "error");
  // Without an error the draft has every key that the schema requires, each of its type.
  return loaded(usable ? (draft as Loaded<S>) : undefined);
}
