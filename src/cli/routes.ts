import { describeRoute } from "../gateway/route-description.js";
import { configOf, readArguments } from "./arguments.js";
import { load } from "./load.js";
import { table } from "./table.js";

/** Lists the routes of a configuration. */
export async function routes(args: readonly string[]): Promise<number> {
  const given = readArguments("routes", args, []);
  const compiled = await load(configOf("routes", given));
  const described = [...compiled.routes, ...compiled.own].map(describeRoute);
  if (given.json) {
    process.stdout.write(`${JSON.stringify(described, null, 2)}\n`);
    return 0;
  }
  const rows = described.map(({ method, template, rpc, upstream, source }) => [
    method,
    template,
    rpc,
    upstream,
    source,
  ]);
  process.stdout.write(table([["METHOD", "TEMPLATE", "RPC", "UPSTREAM", "SOURCE"], ...rows]));
  return 0;
}
