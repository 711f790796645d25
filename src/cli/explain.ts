import type { BuiltInRoute } from "../bindings/built-in-route.js";
import { conditionsOf, type RouteCondition } from "../bindings/conditions.js";
import { lookUpRoute, type RouteLookup } from "../bindings/lookup.js";
import type { Route } from "../bindings/route.js";
import { routerOf } from "../bindings/route-table.js";
import { createCodecs } from "../codec/codecs.js";
import { requestFailure, TranscodeError } from "../codec/error.js";
import { eachParameter, resolveParameter } from "../codec/json-to-wire/query.js";
import { noWrappers } from "../codec/well-known.js";
import type { Field } from "../descriptors/model.js";
import type { Compiled } from "../gateway/compile.js";
import { describeRoute, type RouteDescription } from "../gateway/route-description.js";
import { createPace } from "../net/pace.js";
import type { Candidate } from "../routing/explanation.js";
import { type Reason, reasons } from "../status/reasons.js";
import { readArguments, UsageError } from "./arguments.js";
import { load } from "./load.js";
import { table } from "./table.js";

/** Where one value of the request goes. */
interface Placement {
  readonly from: "path" | "query";
  readonly name: string;
  readonly value: string;
  /** The request field with its type; what becomes of the value where there is none. */
  readonly to: string;
}

interface Explanation {
  readonly method: string;
  readonly path: string;
  readonly outcome: RouteLookup<Route | BuiltInRoute>["kind"];
  readonly route?: RouteDescription;
  readonly values?: readonly Placement[];
  readonly body?: string;
  /** The request message that path and query make, as JSON. */
  readonly request?: unknown;
  /** Why the request is refused before any call. */
  readonly refused?: {
    readonly status: number;
    readonly reason: string;
    readonly field: string;
    readonly message: string;
  };
  /** What the request can still be refused for. */
  readonly conditions?: readonly RouteCondition[];
  readonly allow?: readonly string[];
  readonly others: readonly { readonly method: string; readonly template: string; readonly reason: string }[];
}

/** Tells which route answers a request, which field each value goes to, and why the near misses lost. */
export async function explain(args: readonly string[]): Promise<number> {
  const { positionals, config, json } = readArguments(args, {
    positionals: ["METHOD", "'PATH?QUERY'"],
    options: ["config", "json"],
  });
  const [method = "", address = ""] = positionals;
  // A whole address may be given as well, as it stands in a browser.
  const target = address.replace(/^https?:\/\/[^/?#]+(?=\/)/, "");
  if (!target.startsWith("/")) throw new UsageError(`the path must begin with "/", found "${address}"`);
  const compiled = await load(config);
  const explanation = await explainRequest(compiled, method.toUpperCase(), target);
  process.stdout.write(json ? `${JSON.stringify(explanation, null, 2)}\n` : print(explanation));
  return explanation.refused === undefined && ["found", "options"].includes(explanation.outcome) ? 0 : 1;
}

async function explainRequest(compiled: Compiled, method: string, target: string): Promise<Explanation> {
  const mark = target.indexOf("?");
  const path = mark < 0 ? target : target.slice(0, mark);
  const query = mark < 0 ? "" : target.slice(mark + 1);
  const router = await routerOf<Route | BuiltInRoute, Route | BuiltInRoute>(
    [...compiled.routes, ...compiled.builtIn, ...compiled.methodPaths],
    route => route,
    createPace(),
  );
  const found = lookUpRoute(router, method, path);
  const others = found.kind === "malformed" ? [] : losers(router.explain(method, path));
  const base = { method, path, outcome: found.kind, others };
  switch (found.kind) {
    case "found":
      return { ...base, ...explainMatch(compiled, found.value, found.variables, query) };
    case "options":
    case "method":
      return { ...base, allow: found.allow };
    case "malformed":
      return { ...base, refused: refusal("MALFORMED_PATH", found.message) };
    case "none":
      return base;
  }
}

function explainMatch(
  compiled: Compiled,
  route: Route | BuiltInRoute,
  variables: readonly string[],
  query: string,
): Pick<Explanation, "route" | "values" | "body" | "request" | "refused" | "conditions"> {
  const conditions = conditionsOf(route, compiled.checks);
  if (route.kind !== "rpc") return { route: describeRoute(route), body: "whatever answers", conditions };
  if (!route.rest)
    return {
      route: describeRoute(route),
      body: `a message in ${route.protocols.join(", ")}`,
      conditions: conditions.filter(({ reason }) => reason !== "UNSUPPORTED_MEDIA_TYPE"),
    };
  const { body } = route;
  const taken =
    body.kind === "none" ? "not taken" : body.kind === "all" ? "the whole request" : fieldText([body.field]);
  const described = { route: describeRoute(route), body: taken, conditions };
  const values: Placement[] = route.variables.map((fields, index) => ({
    from: "path",
    name: `{${route.template.variables[index]?.path.join(".")}}`,
    value: variables[index] ?? "",
    to: fieldText(fields),
  }));
  try {
    eachParameter(query, (name, value) =>
      values.push({ from: "query", name, value, to: destination(route, name) }),
    );
    const bytes = route.request.encode(variables, query, { contentType: "", bytes: new Uint8Array(0) });
    const codec = createCodecs(compiled.model, route.policy.json).message(route.rpc.input);
    return { ...described, values, request: JSON.parse(codec.decode(bytes)) };
  } catch (error) {
    if (!(error instanceof TranscodeError)) throw error;
    // A field that neither path nor query touches may come with the body.
    const touched = values.some(({ to, name }) => to.startsWith(`${error.field} `) || name === error.field);
    if (body.kind !== "none" && error.field !== "" && !touched) return { ...described, values };
    const { field, message, suggestion } = error;
    const { reason, httpStatus } = requestFailure(error);
    const hint = suggestion === undefined ? "" : `; did you mean "${suggestion}"?`;
    return {
      ...described,
      values,
      refused: { status: httpStatus, reason, field, message: `${message}${hint}` },
    };
  }
}

function refusal(reason: Reason, message: string): NonNullable<Explanation["refused"]> {
  return { status: reasons[reason].httpStatus, reason, field: "", message };
}

function destination(route: Route, name: string): string {
  if (route.policy.query.ignore.has(name)) return "ignored (by the configuration)";
  const resolution = resolveParameter(route.rpc.input, name, route.policy.json.wrappers ?? noWrappers);
  if (resolution.kind === "target") {
    const { path, part } = resolution.target;
    return fieldText(part === undefined ? path : [...path, part]);
  }
  return resolution.kind === "unknown" && route.policy.query.unknown === "ignore"
    ? "ignored (no such field)"
    : "refused";
}

/** `message.author.login (string)` */
function fieldText(fields: readonly Field[]): string {
  const leaf = fields[fields.length - 1] as Field;
  const type = leaf.message?.fullName ?? leaf.enum?.fullName ?? leaf.kind;
  const shown = leaf.map === undefined ? type : "map";
  return `${fields.map(field => field.name).join(".")} (${leaf.repeated && leaf.map === undefined ? "repeated " : ""}${shown})`;
}

/** What else matched, and what came near: at least half of its segments fit. */
function losers(candidates: readonly Candidate<Route | BuiltInRoute>[]): Explanation["others"] {
  return candidates
    .filter(({ outcome, matched, template }) =>
      outcome === "path" ? matched * 2 >= template.segments.length : outcome !== "found",
    )
    .map(({ method, template, reason }) => ({ method, template: template.text, reason }));
}

function print(explanation: Explanation): string {
  const { method, path, route, values = [], refused, conditions = [], allow, others, request } = explanation;
  const lines: string[] = [];
  if (route !== undefined) {
    const outcome = refused === undefined ? "is answered by" : `is ${refused.status}, matched by`;
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
    const answer = explanation.outcome === "options" ? "204 with Allow" : "405";
    lines.push(`${method} ${path} is ${answer}: the path answers ${allow.join(", ")}`);
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
