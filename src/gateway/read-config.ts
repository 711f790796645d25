import type { ConfigInput } from "../config/compose.js";
import { LoadError } from "../config/diagnostic.js";
import type { GatewayConfig } from "./config.js";
import { type LoadedGatewayConfig, loadConfig } from "./config.js";
import { tlsProblems } from "./tls.js";

export type Environment = Readonly<Record<string, string | undefined>>;

/** A configuration without errors, with the positions of its nodes. */
export type UsableConfig = LoadedGatewayConfig & { readonly config: GatewayConfig };

/** @throws LoadError with every problem of the files */
export function readConfig(input: ConfigInput, environment: Environment): UsableConfig {
  const loaded = loadConfig(input, environment);
  if (loaded.config === undefined) throw new LoadError(loaded.diagnostics, loaded.files);
  const problems = tlsProblems(loaded.config, loaded.locate);
  if (problems.length > 0) throw new LoadError([...loaded.diagnostics, ...problems], loaded.files);
  return { ...loaded, config: loaded.config };
}
