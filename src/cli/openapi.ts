import { openApiText } from "../openapi/documents.js";
import { readArguments } from "./arguments.js";
import { servedAt } from "./hosts.js";
import { load } from "./load.js";

/** Prints the OpenAPI document of a configuration. */
export async function openapi(args: readonly string[]): Promise<number> {
  const { config, yaml, service, host } = readArguments(args, {
    options: ["config", "yaml", "service", "host"],
  });
  const compiled = await load(config);
  const serves = servedAt(compiled.hosts, host);
  const { routes, builtIn } = compiled.api;
  const api = { ...compiled.api, routes: routes.filter(serves), builtIn: builtIn.filter(serves) };
  const text = await openApiText(api, service, yaml ? "yaml" : "json");
  // A pipe takes a large text in pieces.
  await new Promise<void>(done => process.stdout.write(text, () => done()));
  return 0;
}
