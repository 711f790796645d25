import type { Diagnostic } from "../config/diagnostic.js";
import { type Compiled, compile, readConfig, type UsableConfig } from "../gateway/compile.js";
import { reflectOnce } from "../gateway/reflect-once.js";
import { createRuntime } from "../gateway/runtime.js";
import { createPace } from "../net/pace.js";
import { createLogger } from "../telemetry/logger.js";

/**
 * Loads and compiles a configuration without listening. Reflection, where the file asks for it, is asked once.
 * @throws LoadError
 */
export async function load(file: string): Promise<Compiled> {
  const loaded: UsableConfig = readConfig(file, process.env);
  const runtime = createRuntime(loaded.config, createLogger("silent"));
  const reflected = await reflectOnce(loaded);
  const compiled = await compile(loaded, reflected, { runtime, pace: createPace(), channel: notConnected });
  return { ...compiled, diagnostics: [...compiled.diagnostics, ...notExposed(compiled, file)] };
}

/** Names at most. */
const shown = 20;

/** A configuration that exposes nothing: which services could stand there. */
function notExposed({ loaded, model, routes, own }: Compiled, file: string): readonly Diagnostic[] {
  const { services, descriptors } = loaded.config;
  if (services.length + routes.length + own.length > 0 || descriptors.length === 0) return [];
  const names = [...model.services.keys()].toSorted();
  const more = names.length > shown ? ` and ${names.length - shown} more` : "";
  const message = `no service is exposed; the descriptors have ${names.slice(0, shown).join(", ") || "none"}${more}`;
  return [{ severity: "warning", message, position: { file, line: 0, column: 0 }, path: "services" }];
}

function notConnected(upstream: string): never {
  throw new Error(`upstream ${upstream} is not connected: nothing is served`);
}
