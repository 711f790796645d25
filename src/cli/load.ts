import { type Compiled, compile, readConfig, type UsableConfig } from "../gateway/compile.js";
import { reflectOnce } from "../gateway/reflect-once.js";

/**
 * Loads and compiles a configuration without listening. Reflection, where the file asks for it, is asked once.
 * @throws LoadError
 */
export async function load(file: string): Promise<Compiled> {
  const loaded: UsableConfig = readConfig(file, process.env);
  return compile(loaded, await reflectOnce(loaded));
}
