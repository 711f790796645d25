import type { Diagnostic } from "../config/diagnostic.js";
import type { Config } from "../config/schema.js";
import type { Model } from "../descriptors/model.js";
import { type Router, RouterBuilder } from "../httprule/router.js";
import { createCodecs } from "../transcode/codecs.js";
import { routePolicy } from "./policy.js";
import { compileRoute, type Route, RouteError } from "./route.js";
import { collectRules, type Locate, type RuleOfMethod, ruleOrigin } from "./rules.js";

export interface RouteTable {
  readonly routes: readonly Route[];
  readonly diagnostics: readonly Diagnostic[];
}

/**
 * Compiles every route that the configuration and the descriptors declare. Two routes with the same method and an
 * equivalent template are an error naming both; an annotation that does not fit its messages is a warning and gets
 * no route, a rule of the configuration that does not fit is an error.
 */
export function compileRoutes(config: Config, model: Model, locate: Locate): RouteTable {
  const diagnostics: Diagnostic[] = [];
  const builder = new RouterBuilder<RuleOfMethod>();
  const routes: Route[] = [];
  for (const rule of collectRules(config, model, locate, diagnostics)) {
    const policy = routePolicy(config, rule.service, rule.method.name);
    try {
      const route = compileRoute(rule, policy, createCodecs(model, policy.json));
      const earlier = builder.add(route.method, route.template, rule);
      if (earlier === undefined) routes.push(route);
      else diagnostics.push(conflict(route, rule, earlier));
    } catch (error) {
      if (!(error instanceof RouteError)) throw error;
      diagnostics.push(misfit(rule, error));
    }
  }
  return { routes, diagnostics };
}

/** The router over values made from routes, which are known to be free of conflicts. */
export function routerOf<T>(routes: readonly Route[], make: (route: Route) => T): Router<T> {
  const builder = new RouterBuilder<T>();
  for (const route of routes) builder.add(route.method, route.template, make(route));
  return builder.build();
}

function conflict(route: Route, rule: RuleOfMethod, earlier: RuleOfMethod): Diagnostic {
  return {
    severity: "error",
    message: `${route.method} ${route.template.text} is bound twice: by ${ruleOrigin(earlier)} and by ${ruleOrigin(rule)}; give one service a prefix or replace one rule under http.rules`,
    path: rule.path,
    ...(rule.position === undefined ? {} : { position: rule.position }),
  };
}

function misfit(rule: RuleOfMethod, error: RouteError): Diagnostic {
  return {
    severity: rule.source === "config" ? "error" : "warning",
    message: rule.source === "config" ? error.message : `no route for this rule: ${error.message}`,
    path: rule.path,
    ...(rule.position === undefined ? {} : { position: rule.position }),
    ...(error.suggestion === undefined ? {} : { suggestion: error.suggestion }),
  };
}
