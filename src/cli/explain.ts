import { type Explanation, explainRequest } from "../explain/explanation.js";
import { explainSource } from "../gateway/documents-page.js";
import { readArguments, UsageError } from "./arguments.js";
import { servedAt } from "./hosts.js";
import { load } from "./load.js";
import { table } from "./table.js";

/** Prints which route serves a request, which field each value goes to, and why similar routes do not match. */
export async function explain(args: readonly string[]): Promise<number> {
  const { positionals, config, json, ...options } = readArguments(args, {
    positionals: ["METHOD", "'PATH?QUERY'"],
    options: ["config", "json", "host"],
  });
  const [method = "", address = ""] = positionals;
  // A whole URL may be given as well, as in the address bar of a browser.
  const [origin = "", host = options.host] = /^https?:\/\/([^/?#]+)(?=\/)/.exec(address) ?? [];
  const target = address.slice(origin.length);
  if (!target.startsWith("/")) throw new UsageError(`the path must begin with "/", found "${address}"`);
  const compiled = await load(config);
  const { routes, builtIn, methodPaths } = compiled;
  const serves = servedAt(compiled.hosts, host);
  const source = await explainSource(compiled, [...routes, ...builtIn, ...methodPaths].filter(serves));
  const explanation = await explainRequest(source, {
    method: method.toUpperCase(),
    target,
    header: () => undefined,
    body: undefined,
  });
  process.stdout.write(json ? `${JSON.stringify(explanation, null, 2)}\n` : print(explanation));
  return explanation.refused === undefined && ["found", "options"].includes(explanation.outcome) ? 0 : 1;
}

function print(explanation: Explanation): string {
  const { method, path, route, values = [], refused, conditions = [], allow, others, request } = explanation;
  const lines: string[] = [];
  if (route !== undefined) {
    const outcome = refused === undefined ? "is served by" : `is ${refused.status}, matched by`;
    lines.push(`${method} ${path} ${outcome} ${route.method} ${route.template}`);
    const target = route.rpc === "" ? "the gateway itself" : `${route.rpc} on upstream "${route.upstream}"`;
    lines.push(`  ${target} (${route.source})`, "");
    const rows = values.map(({ from, name, value, to }) => [
      `  ${from}`,
      `${name} = ${JSON.stringify(value)}`,
      `→ ${to}`,
    ]);
    lines.push(table([...rows, ["  body", "", `→ ${explanation.body}`]]).trimEnd());
    if (request !== undefined) lines.push("", `  request ${JSON.stringify(request)}`);
  } else if (allow !== undefined) {
    const status = explanation.outcome === "options" ? "204 with Allow" : "405";
    lines.push(`${method} ${path} is ${status}: the path allows ${allow.join(", ")}`);
  } else if (refused === undefined) {
    lines.push(`${method} ${path} is 404: no route matches`);
  }
  if (refused !== undefined) {
    const at = refused.field === "" ? "" : `${refused.field}: `;
    lines.push(`  refused with ${refused.status} ${refused.reason}: ${at}${refused.message}`);
  } else if (conditions.length > 0) {
    const rows = conditions.map(({ status, reason, when }) => [`  ${status}`, reason, when]);
    lines.push("", "Refused before the call:", table([["  STATUS", "REASON", "WHEN"], ...rows]).trimEnd());
  }
  if (others.length > 0) {
    const rows = others.map(other => [`  ${other.method}`, other.template, other.reason]);
    lines.push("", "Not chosen:", table([["  METHOD", "TEMPLATE", "WHY"], ...rows]).trimEnd());
  }
  return `${lines.join("\n")}\n`;
}
