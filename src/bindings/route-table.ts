import { createCodecs } from "../codec/codecs.js";
import type { Diagnostic } from "../config/diagnostic.js";
import { formatPath } from "../config/diagnostic.js";
import type { MethodType, Model } from "../descriptors/model.js";
import { inTurns, type Pace } from "../net/pace.js";
import { buildInTurns, type Router } from "../routing/router.js";
import { TemplateError } from "../routing/template.js";
import { TemplateParts } from "../routing/template-parser.js";
import type { TrieEntry } from "../routing/trie.js";
import { rpcProtocol } from "../upstream/protocols.js";
import type { LocalHandler } from "./built-in-route.js";
import { type BuiltInRoute, builtInRoute, type PassThroughPrefix } from "./built-in-route.js";
import { type RoutePolicy, routePolicy } from "./policy.js";
import { compileRoute, type Route, RouteError } from "./route.js";
import { conflict, HostedOrigins, type Origin, place, RuleOrigin, shadowWarnings } from "./route-origins.js";
import { collectRules, type Locate, type MethodRule, methodPaths } from "./rules.js";
import {
  type BindingSections,
  type ProtocolName,
  protocolNames,
  type ServiceConfig,
} from "./service-config.js";
import type { VirtualHost } from "./virtual-hosts.js";
import { wrapperProblems } from "./wrappers.js";

export interface RouteTable {
  readonly routes: readonly Route[];
  /** The paths of methods that have no rule there, for other protocols than REST. */
  readonly methodPaths: readonly Route[];
  /** Routes without an RPC method. */
  readonly builtIn: readonly BuiltInRoute[];
  readonly diagnostics: readonly Diagnostic[];
}

/**
 * Compiles every route that the configuration and the descriptors declare. Two routes with the same method and an
 * equivalent template are an error naming both; an annotation that does not fit its messages is a warning and gets
 * no route, a rule of the configuration that does not fit is an error.
 * @param declared routes without an RPC method
 * @param hosts the hosts at which each part of the table is served; none: everything at every host
 */
export async function compileRoutes(
  config: BindingSections,
  model: Model,
  locate: Locate,
  pace: Pace,
  declared: readonly (LocalHandler | PassThroughPrefix)[] = [],
  hosts: readonly VirtualHost[] = [],
): Promise<RouteTable> {
  const diagnostics: Diagnostic[] = [];
  const table = new HostedOrigins(hosts);
  const routes: Route[] = [];
  diagnostics.push(...wrapperProblems(config, model, locate));
  const policyOf = sharedPolicies(config, model);
  const parts = new TemplateParts();
  const warned = new Set<MethodType>();
  const readLocations = async (rule: MethodRule | undefined, earlier?: Origin): Promise<void> => {
    for (const method of [rule?.method, earlier?.rpc])
      if (method !== undefined) await inTurns(pace, method.file.readLocations());
  };
  for (const rule of await collectRules(config, model, locate, diagnostics, pace)) {
    if (pace.spent(routeUnits)) await pace.nextTurn();
    const policy = policyOf(rule);
    if (!warned.has(rule.method) && streamsUnsupported(rule, config)) {
      warned.add(rule.method);
      await readLocations(rule);
      diagnostics.push(streamWarning(rule, config));
    }
    if (policy.protocols?.includes("rest") === false) continue;
    try {
      const protocols = protocolsBeside(rule, policy.protocols ?? protocolNames);
      const route = compileRoute(rule, policy, createCodecs(model, policy.json), protocols, parts);
      const origin = new RuleOrigin(rule, route.template);
      const clash = table.add(route, origin);
      if (clash === undefined) routes.push(route);
      else {
        await readLocations(rule, clash.earlier);
        diagnostics.push(conflict(route, origin, clash));
      }
    } catch (error) {
      if (!(error instanceof RouteError)) throw error;
      await readLocations(rule);
      diagnostics.push(mismatch(rule, error));
    }
  }
  const own: BuiltInRoute[] = [];
  for (const each of declared) {
    const path = formatPath(each.at);
    try {
      const route = builtInRoute(each);
      const origin: Origin = {
        rpc: undefined,
        method: route.method,
        template: route.template,
        text: () => path,
        service: undefined,
        path,
        position: () => locate(each.at),
      };
      const clash = table.add(route, origin);
      if (clash === undefined) own.push(route);
      else {
        await readLocations(undefined, clash.earlier);
        diagnostics.push(conflict(route, origin, clash));
      }
    } catch (error) {
      if (!(error instanceof TemplateError)) throw error;
      diagnostics.push({
        severity: "error",
        message: `template "${each.template}": ${error.message} (at character ${error.offset + 1})`,
        ...place({ path, position: () => locate(each.at) }),
      });
    }
  }
  for (const { host, builder } of table.parts)
    diagnostics.push(...(await shadowWarnings(builder, host, pace)));
  const withRoutes = new Set(routes.map(({ rpc }) => rpc));
  const paths: Route[] = [];
  for (const path of methodPaths(config, model, locate)) {
    if (pace.spent(routeUnits)) await pace.nextTurn();
    const policy = policyOf(path);
    const enabled = policy.protocols ?? (withRoutes.has(path.method) ? protocolNames : []);
    const gets = path.method.idempotency === "no_side_effects";
    for (const rule of gets ? [path, getPath(path)] : [path]) {
      const protocols = protocolsBeside(rule, enabled);
      if (protocols.length === 0) continue;
      const route = compileRoute(rule, policy, createCodecs(model, policy.json), protocols);
      const earlier = table.find(route);
      if (earlier === undefined) paths.push(route);
      else if (earlier.rpc !== rule.method) {
        await readLocations(rule, earlier);
        diagnostics.push(takenPath(route, rule, earlier, policy));
      }
    }
  }
  return { routes, methodPaths: paths, builtIn: own, diagnostics };
}

/** The policies of methods. Methods without keys of their own share one, among all services with the same options. */
function sharedPolicies(config: BindingSections, model: Model): (rule: MethodRule) => RoutePolicy {
  const ofMethods = new Map<MethodType, RoutePolicy>();
  const ofServices = new Map<ServiceConfig, RoutePolicy>();
  const same = new Map<string, RoutePolicy>();
  return ({ method, service }) => {
    const own = service.methods[method.name] !== undefined;
    const known = own ? ofMethods.get(method) : ofServices.get(service);
    if (known !== undefined) return known;
    if (own) {
      const policy = routePolicy(config, service, method.name, model);
      ofMethods.set(method, policy);
      return policy;
    }
    const key = JSON.stringify({ ...service, service: "", prefix: "", methods: {} });
    const policy = same.get(key) ?? routePolicy(config, service, method.name, model);
    same.set(key, policy);
    ofServices.set(service, policy);
    return policy;
  };
}

/** Whether a method streams on an upstream whose protocol carries no streams. */
function streamsUnsupported({ method, service }: MethodRule, { upstreams }: BindingSections): boolean {
  if (!method.clientStreaming && !method.serverStreaming) return false;
  return rpcProtocol(upstreams[service.upstream]?.protocol)?.streams === false;
}

function streamWarning(rule: MethodRule, { upstreams }: BindingSections): Diagnostic {
  const { method, service } = rule;
  const protocol = upstreams[service.upstream]?.protocol;
  return {
    severity: "warning",
    message: `${method.fullName} streams, which the protocol ${protocol} of upstream "${service.upstream}" does not carry here; its calls get 501`,
    ...place(rule),
  };
}

const none: readonly ProtocolName[] = [];

/** The protocols that may be used beside REST on the route of a rule; none except on the path of its RPC. */
function protocolsBeside(
  { rule, method, prefix }: MethodRule,
  enabled: readonly ProtocolName[],
): readonly ProtocolName[] {
  if (prefix !== "" || rule.template !== method.path) return none;
  if (rule.method === "POST") return withoutRest(enabled);
  const unary = !method.clientStreaming && !method.serverStreaming;
  const gets = rule.method === "GET" && unary && method.idempotency === "no_side_effects";
  return gets && enabled.includes("connect") ? ["connect"] : none;
}

const listsWithoutRest = new WeakMap<readonly ProtocolName[], readonly ProtocolName[]>();

/** The same list for the same names. */
function withoutRest(names: readonly ProtocolName[]): readonly ProtocolName[] {
  let others = listsWithoutRest.get(names);
  if (others === undefined) {
    others = names.filter(name => name !== "rest");
    listsWithoutRest.set(names, others);
  }
  return others;
}

function getPath(path: MethodRule): MethodRule {
  return { ...path, rule: { ...path.rule, method: "GET", body: "" } };
}

/** Where the configuration does not name these protocols, the path stays with the route that has it. */
function takenPath(route: Route, rule: MethodRule, earlier: Origin, policy: RoutePolicy): Diagnostic {
  const { method, template, protocols } = route;
  return {
    severity: policy.protocols === undefined ? "warning" : "error",
    message: `${rule.method.fullName} cannot be called by ${protocols.join(", ")}: ${method} ${template.text} is bound by ${earlier.text()}`,
    ...place(rule),
  };
}

/** Units for compiling one route. */
const routeUnits = 60;

/** The router over values made from routes, which are known to be free of conflicts. */
export async function routerOf<R extends Pick<Route, "method" | "template">, T>(
  routes: readonly R[],
  make: (route: R) => T,
  pace: Pace,
): Promise<Router<T>> {
  const entries: TrieEntry<T>[] = [];
  for (const route of routes) {
    entries.push({ method: route.method, template: route.template, value: make(route) });
    if (pace.spent(bindUnits)) await pace.nextTurn();
  }
  return buildInTurns(entries, pace);
}

/** Units for binding one route. */
const bindUnits = 15;

function mismatch(rule: MethodRule, error: RouteError): Diagnostic {
  return {
    severity: rule.source === "config" ? "error" : "warning",
    message: rule.source === "config" ? error.message : `no route for this rule: ${error.message}`,
    ...place(rule),
    ...(error.suggestion === undefined ? {} : { suggestion: error.suggestion }),
  };
}
