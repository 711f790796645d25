import { describeRoute } from "../bindings/route-description.js";
import { formatDiagnostic } from "../config/diagnostic.js";
import { readArguments } from "./arguments.js";
import { hostsOf } from "./hosts.js";
import { load } from "./load.js";
import { table } from "./table.js";

/** Lists the routes of a configuration. */
export async function routes(args: readonly string[]): Promise<number> {
  const { config, json } = readArguments(args, { options: ["config", "json"] });
  const compiled = await load(config);
  // Methods without a route are among the reasons to run this command.
  for (const warning of compiled.diagnostics) process.stderr.write(`${formatDiagnostic(warning)}\n`);
  const { hosts } = compiled;
  const described = [...compiled.routes, ...compiled.builtIn, ...compiled.methodPaths].map(route => ({
    ...describeRoute(route),
    ...(hosts.length > 0 && { hosts: hostsOf(hosts, route) }),
  }));
  if (json) {
    process.stdout.write(`${JSON.stringify(described, null, 2)}\n`);
    return 0;
  }
  const rows = described.map(({ method, template, rpc, upstream, source, hosts: at }) => [
    method,
    template,
    rpc,
    upstream,
    source,
    ...(at === undefined ? [] : [at.join(", ")]),
  ]);
  const head = ["METHOD", "TEMPLATE", "RPC", "UPSTREAM", "SOURCE", ...(hosts.length > 0 ? ["HOSTS"] : [])];
  process.stdout.write(table([head, ...rows]));
  return 0;
}
