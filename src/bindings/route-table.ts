import { createCodecs } from "../codec/codecs.js";
import type { Diagnostic, FilePosition } from "../config/diagnostic.js";
import { formatPath } from "../config/diagnostic.js";
import type { Model } from "../descriptors/model.js";
import type { Pace } from "../net/pace.js";
import { shadowedRoutes } from "../routing/reachability.js";
import { type Router, RouterBuilder } from "../routing/router.js";
import { TemplateError } from "../routing/template.js";
import type { LocalHandler } from "./built-in-route.js";
import { type BuiltInRoute, builtInRoute, type PassThroughPrefix } from "./built-in-route.js";
import { routePolicy } from "./policy.js";
import { compileRoute, type Route, RouteError } from "./route.js";
import { collectRules, type Locate, type MethodRule, ruleOrigin } from "./rules.js";
import type { BindingSections } from "./service-config.js";
import { wrapperProblems } from "./wrappers.js";

export interface RouteTable {
  readonly routes: readonly Route[];
  /** What no RPC method answers. */
  readonly builtIn: readonly BuiltInRoute[];
  readonly diagnostics: readonly Diagnostic[];
}

/**
 * Compiles every route that the configuration and the descriptors declare. Two routes with the same method and an
 * equivalent template are an error naming both; an annotation that does not fit its messages is a warning and gets
 * no route, a rule of the configuration that does not fit is an error.
 * @param declared what no RPC method answers
 */
export async function compileRoutes(
  config: BindingSections,
  model: Model,
  locate: Locate,
  pace: Pace,
  declared: readonly (LocalHandler | PassThroughPrefix)[] = [],
): Promise<RouteTable> {
  const diagnostics: Diagnostic[] = [];
  const builder = new RouterBuilder<Origin>();
  const routes: Route[] = [];
  diagnostics.push(...wrapperProblems(config, model, locate));
  for (const rule of await collectRules(config, model, locate, diagnostics, pace)) {
    if (pace.spent(routeUnits)) await pace.nextTurn();
    const policy = routePolicy(config, rule.service, rule.method.name, model);
    try {
      const route = compileRoute(rule, policy, createCodecs(model, policy.json));
      const origin: Origin = {
        text: ruleOrigin(rule),
        route: routeText(route),
        service: rule.service.service,
        path: rule.path,
        position: rule.position,
      };
      const earlier = builder.add(route.method, route.template, origin);
      if (earlier === undefined) routes.push(route);
      else diagnostics.push(conflict(route, origin, earlier));
    } catch (error) {
      if (!(error instanceof RouteError)) throw error;
      diagnostics.push(misfit(rule, error));
    }
  }
  const own: BuiltInRoute[] = [];
  for (const each of declared) {
    const path = formatPath(each.at);
    const route = `${each.method} ${each.template}`;
    const origin: Origin = { text: path, route, service: undefined, path, position: locate(each.at) };
    try {
      const route = builtInRoute(each);
      const earlier = builder.add(route.method, route.template, origin);
      if (earlier === undefined) own.push(route);
      else diagnostics.push(conflict(route, origin, earlier));
    } catch (error) {
      if (!(error instanceof TemplateError)) throw error;
      diagnostics.push({
        severity: "error",
        message: `template "${each.template}": ${error.message} (at character ${error.offset + 1})`,
        ...place(origin),
      });
    }
  }
  diagnostics.push(...(await shadowWarnings(builder, pace)));
  return { routes, builtIn: own, diagnostics };
}

/** What compiling one route costs. */
const routeUnits = 60;

async function shadowWarnings(builder: RouterBuilder<Origin>, pace: Pace): Promise<Diagnostic[]> {
  const router = await builder.buildInTurns(pace);
  const shadowed = await shadowedRoutes(builder.routes, router, pace);
  return shadowed.map(({ route, by }) => ({
    severity: "warning",
    message: `no request reaches ${route.method} ${route.template.text}: its paths are taken by ${by
      .map(({ route, text }) => `${route} of ${text}`)
      .join(" and ")}`,
    ...place(route.value),
  }));
}

/** Who has declared a route, for messages. */
interface Origin {
  readonly text: string;
  /** `GET /v1/{name}` */
  readonly route: string;
  /** The RPC service; undefined where no RPC method answers. */
  readonly service: string | undefined;
  readonly path: string;
  readonly position: FilePosition | undefined;
}

/** The router over values made from routes, which are known to be free of conflicts. */
export async function routerOf<R extends Pick<Route, "method" | "template">, T>(
  routes: readonly R[],
  make: (route: R) => T,
  pace: Pace,
): Promise<Router<T>> {
  const builder = new RouterBuilder<T>();
  for (const route of routes) {
    builder.add(route.method, route.template, make(route));
    if (pace.spent(bindUnits)) await pace.nextTurn();
  }
  return builder.buildInTurns(pace);
}

/** What binding one route costs. */
const bindUnits = 15;

function conflict(route: Pick<Route, "method" | "template">, origin: Origin, earlier: Origin): Diagnostic {
  return {
    severity: "error",
    message: `${route.method} ${route.template.text} is bound twice: by ${earlier.text} and by ${origin.text}; ${advice(origin, earlier)}`,
    ...place(origin),
  };
}

/** A prefix moves all routes of a service, so that it never parts two methods of one. */
function advice({ service }: Origin, earlier: Origin): string {
  if (service === undefined || earlier.service === undefined) {
    return "give one of them another path";
  }
  if (service === earlier.service) {
    return "give one of the methods another path by a rule under http.rules";
  }
  return "give one service a prefix or replace one rule under http.rules";
}

function routeText({ method, template }: Pick<Route, "method" | "template">): string {
  return `${method} ${template.text}`;
}

function place({ path, position }: Pick<Origin, "path" | "position">): Pick<Diagnostic, "path" | "position"> {
  return { path, ...(position === undefined ? {} : { position }) };
}

function misfit(rule: MethodRule, error: RouteError): Diagnostic {
  return {
    severity: rule.source === "config" ? "error" : "warning",
    message: rule.source === "config" ? error.message : `no route for this rule: ${error.message}`,
    ...place(rule),
    ...(error.suggestion === undefined ? {} : { suggestion: error.suggestion }),
  };
}
