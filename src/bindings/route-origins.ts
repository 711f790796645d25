import type { Diagnostic, FilePosition } from "../config/diagnostic.js";
import type { MethodType } from "../descriptors/model.js";
import { inTurns, type Pace } from "../net/pace.js";
import { mayBeShadowed, shadowedRoutes } from "../routing/reachability.js";
import { RouterBuilder } from "../routing/router.js";
import type { Template } from "../routing/template.js";
import type { BuiltInRoute } from "./built-in-route.js";
import type { Route } from "./route.js";
import { type MethodRule, ruleOrigin } from "./rules.js";
import type { VirtualHost } from "./virtual-hosts.js";

/** The declaration of a route, for messages; its position is available once the file's positions are read. */
export interface Origin {
  readonly rpc: MethodType | undefined;
  readonly method: string;
  readonly template: Template;
  /** The RPC service; undefined for routes without an RPC method. */
  readonly service: string | undefined;
  readonly path: string;
  text(): string;
  position(): FilePosition | undefined;
}

/** Two routes of which no request could choose one. */
interface Clash {
  readonly earlier: Origin;
  /** Where they meet; undefined without `http.hosts`. */
  readonly host: VirtualHost | undefined;
}

/** The routes of each host. */
export class HostedOrigins {
  readonly parts: readonly {
    readonly host: VirtualHost | undefined;
    readonly builder: RouterBuilder<Origin>;
  }[];

  constructor(hosts: readonly VirtualHost[]) {
    const all = hosts.length === 0 ? [undefined] : hosts;
    this.parts = all.map(host => ({ host, builder: new RouterBuilder<Origin>() }));
  }

  add(route: Route | BuiltInRoute, origin: Origin): Clash | undefined {
    let clash: Clash | undefined;
    for (const { host, builder } of this.parts) {
      if (host?.serves(route) === false) continue;
      const earlier = builder.add(route.method, route.template, origin);
      if (earlier !== undefined) clash ??= { earlier, host };
    }
    return clash;
  }

  /** The route that is declared for the same method and paths. */
  find(route: Route): Origin | undefined {
    for (const { host, builder } of this.parts) {
      const found = host?.serves(route) === false ? undefined : builder.find(route.method, route.template);
      if (found !== undefined) return found;
    }
    return undefined;
  }
}

/** Where there are hosts, the first of them. */
function atHost(host: VirtualHost | undefined): string {
  return host === undefined ? "" : ` at the host ${host.patterns[0]}`;
}

export class RuleOrigin implements Origin {
  constructor(
    readonly rule: MethodRule,
    readonly template: Template,
  ) {}

  get rpc(): MethodType {
    return this.rule.method;
  }

  get method(): string {
    return this.rule.rule.method;
  }

  get service(): string {
    return this.rule.service.service;
  }

  get path(): string {
    return this.rule.path;
  }

  text(): string {
    return ruleOrigin(this.rule);
  }

  position(): FilePosition | undefined {
    return this.rule.position();
  }
}

/** The error of two routes that meet. */
export function conflict(
  route: Pick<Route, "method" | "template">,
  origin: Origin,
  { earlier, host }: Clash,
): Diagnostic {
  return {
    severity: "error",
    message: `${route.method} ${route.template.text} is bound twice${atHost(host)}: by ${earlier.text()} and by ${origin.text()}; ${advice(origin, earlier)}`,
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

/** `GET /v1/{name}` */
function routeText({ method, template }: Pick<Route, "method" | "template">): string {
  return `${method} ${template.text}`;
}

export function place(declared: Pick<Origin, "path" | "position">): Pick<Diagnostic, "path" | "position"> {
  const { path } = declared;
  const position = declared.position();
  return { path, ...(position === undefined ? {} : { position }) };
}

/** Warns of routes whose paths others take. */
export async function shadowWarnings(
  builder: RouterBuilder<Origin>,
  host: VirtualHost | undefined,
  pace: Pace,
): Promise<Diagnostic[]> {
  const { routes } = builder;
  if (!routes.some(mayBeShadowed)) return [];
  const shadowed = await shadowedRoutes(routes, await builder.buildInTurns(pace), pace);
  for (const { route, by } of shadowed)
    for (const { rpc } of [route.value, ...by])
      if (rpc !== undefined) await inTurns(pace, rpc.file.readLocations());
  return shadowed.map(({ route, by }) => ({
    severity: "warning",
    message: `no request reaches ${routeText(route)}${atHost(host)}: its paths are taken by ${by
      .map(each => `${routeText(each)} of ${each.text()}`)
      .join(" and ")}`,
    ...place(route.value),
  }));
}
