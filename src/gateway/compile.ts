import { compileRoutes, type RouteTable } from "../bindings/route-table.js";
import { type Diagnostic, LoadError } from "../config/diagnostic.js";
import { type LoadedConfig, loadConfig } from "../config/load.js";
import type { Config } from "../config/schema.js";
import { loadModel } from "../descriptors/load.js";
import type { Model } from "../descriptors/model.js";
import { descriptorInputs, type ReflectedFiles } from "./descriptors.js";
import { tlsProblems } from "./tls.js";

export type Environment = Readonly<Record<string, string | undefined>>;

/** A configuration that can be used, with where its nodes stand. */
export type UsableConfig = LoadedConfig & { readonly config: Config };

/** Everything that a configuration file says, checked and compiled; nothing of it listens or connects. */
export interface Compiled {
  readonly loaded: UsableConfig;
  readonly model: Model;
  readonly routes: RouteTable["routes"];
  readonly endpoints: RouteTable["endpoints"];
  /** Warnings only. */
  readonly diagnostics: readonly Diagnostic[];
}

/** @throws LoadError with every problem of the file */
export function readConfig(file: string, environment: Environment): UsableConfig {
  const loaded = loadConfig(file, environment);
  if (loaded.config === undefined) throw new LoadError(loaded.diagnostics);
  const usable = { ...loaded, config: loaded.config };
  const problems = tlsProblems(usable);
  if (problems.length > 0) throw new LoadError([...loaded.diagnostics, ...problems]);
  return usable;
}

/** @throws LoadError with every problem of the descriptors, or of the routes */
export async function compile(loaded: UsableConfig, reflected: ReflectedFiles): Promise<Compiled> {
  const { model, diagnostics } = await loadModel(descriptorInputs(loaded.config, reflected));
  const table = compileRoutes(loaded.config, model, loaded.locate);
  const all = [...loaded.diagnostics, ...diagnostics, ...table.diagnostics];
  if (all.some(each => each.severity === "error")) throw new LoadError(all);
  return { loaded, model, routes: table.routes, endpoints: table.endpoints, diagnostics: all };
}
