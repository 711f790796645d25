import { dirname, resolve } from "node:path";
import { check } from "./check.js";
import { Decoder } from "./decoder.js";
import type { Diagnostic, Position } from "./diagnostic.js";
import type { Draft } from "./draft.js";
import { Findings } from "./findings.js";
import type { Path } from "./path.js";
import type { Config } from "./schema.js";
import { configSchemaNode, requiredKeys } from "./schema-node.js";
import { Source } from "./source.js";

const least = requiredKeys(configSchemaNode).join(" and ");
const nothing = `expected a mapping, found nothing; a configuration needs at least ${least}`;

export interface LoadedConfig {
  /** Undefined exactly when a diagnostic is an error. */
  readonly config: Config | undefined;
  /** Every problem found, in the order of the file. */
  readonly diagnostics: readonly Diagnostic[];
  /** Paths (`listeners.http.address`) of the values that the environment or a file took part in. */
  readonly secrets: ReadonlySet<string>;
  /** Where a node of the file stands, or its nearest ancestor that exists; for problems found later on. */
  locate(path: Path): Position;
}

/**
 * Loads a configuration file: YAML, substitution, checks, defaults. Relative paths in it start from its folder.
 * Reads the files that it names with `${file:...}` and looks whether the others exist; never throws for what
 * is in them.
 */
export function loadConfig(
  file: string,
  env: Readonly<Record<string, string | undefined>> = process.env,
): LoadedConfig {
  const source = Source.read(file);
  const locate = (path: Path) => source.locate(path);
  if (source.diagnostics.length > 0) {
    return { config: undefined, diagnostics: source.diagnostics, secrets: new Set(), locate };
  }
  const findings = new Findings(source);
  const decoder = new Decoder(findings, { env, folder: dirname(resolve(file)) });
  if (source.root === undefined) findings.error([], nothing);
  const draft = source.root && (decoder.decode(configSchemaNode, source.root) as Draft | undefined);
  if (draft !== undefined) check(draft, findings);
  const { diagnostics, secrets } = findings;
  const usable = diagnostics.every(({ severity }) => severity !== "error");
  // Without an error the draft has every key that the schema requires, each as its type says.
  return { config: usable ? (draft as Config) : undefined, diagnostics, secrets, locate };
}
