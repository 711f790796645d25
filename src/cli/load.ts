import { type Compiled, compile, readConfig, type UsableConfig } from "../gateway/compile.js";
import { reflectOnce } from "../gateway/reflect-once.js";
import { createRuntime } from "../gateway/runtime.js";
import { createLogger } from "../telemetry/logger.js";

/**
 * Loads and compiles a configuration without listening. Reflection, where the file asks for it, is asked once.
 * @throws LoadError
 */
export async function load(file: string): Promise<Compiled> {
  const loaded: UsableConfig = readConfig(file, process.env);
  const runtime = createRuntime(loaded.config, createLogger("silent"));
  return compile(loaded, await reflectOnce(loaded), { runtime, channel: notConnected });
}

function notConnected(upstream: string): never {
  throw new Error(`upstream ${upstream} is not connected: nothing is served`);
}
