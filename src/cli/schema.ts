import { publishedSchema } from "../config/json-schema.js";
import { ConfigSchema } from "../gateway/config.js";
import { readArguments } from "./arguments.js";

/** Prints the JSON Schema of the configuration. */
export async function schema(args: readonly string[]): Promise<number> {
  readArguments(args, {});
  process.stdout.write(`${JSON.stringify(publishedSchema(ConfigSchema), null, 2)}\n`);
  return 0;
}
