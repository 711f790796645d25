import { openApiText } from "../openapi/documents.js";
import { readArguments } from "./arguments.js";
import { load } from "./load.js";

/** Prints the OpenAPI document of what a configuration serves. */
export async function openapi(args: readonly string[]): Promise<number> {
  const { config, yaml, service } = readArguments(args, { options: ["config", "yaml", "service"] });
  const { api } = await load(config);
  const text = await openApiText(api, service, yaml ? "yaml" : "json");
  // A pipe takes a large text in pieces.
  await new Promise<void>(done => process.stdout.write(text, () => done()));
  return 0;
}
