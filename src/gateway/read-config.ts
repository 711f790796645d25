import { LoadError } from "../config/diagnostic.js";
import { type LoadedConfig, loadConfig } from "../config/load.js";
import type { Config } from "../config/schema.js";
import { tlsProblems } from "./tls.js";

export type Environment = Readonly<Record<string, string | undefined>>;

/** A configuration without errors, with the positions of its nodes. */
export type UsableConfig = LoadedConfig & { readonly config: Config };

/** @throws LoadError with every problem of the file */
export function readConfig(file: string, environment: Environment): UsableConfig {
  const loaded = loadConfig(file, environment);
  if (loaded.config === undefined) throw new LoadError(loaded.diagnostics);
  const problems = tlsProblems(loaded.config, loaded.locate);
  if (problems.length > 0) throw new LoadError([...loaded.diagnostics, ...problems]);
  return { ...loaded, config: loaded.config };
}
