import { pathGlob } from "../auth/policy/path-glob.js";
import type { Diagnostic, Path } from "../config/diagnostic.js";
import { formatPath } from "../config/diagnostic.js";
import { nearest } from "../config/nearest.js";
import { readHostPattern } from "../net/host-table.js";
import type { BuiltInRoute } from "./built-in-route.js";
import type { HostConfig, HostsConfig } from "./host-config.js";
import type { Route } from "./route.js";
import type { Locate } from "./rules.js";

/** The hosts of one or several entries of `http.hosts` that serve the same. */
export interface VirtualHost {
  /** In the form of `readHostPattern`. */
  readonly patterns: readonly string[];
  /** Whether everything is served. */
  readonly everything: boolean;
  serves(route: Route | BuiltInRoute): boolean;
}

/** The entries of `http.hosts`, those with the same content together; none without it. */
export function virtualHosts(hosts: HostsConfig | undefined): readonly VirtualHost[] {
  const byContent = new Map<string, { readonly patterns: string[]; readonly host: HostConfig }>();
  for (const [key, host] of Object.entries(hosts ?? {})) {
    const { services, routes, docs = true } = host;
    const content = JSON.stringify([services, routes, docs]);
    const same = byContent.get(content) ?? { patterns: [], host };
    byContent.set(content, same);
    // Loading has checked that it is one.
    same.patterns.push(readHostPattern(key) as string);
  }
  return [...byContent.values()].map(({ patterns, host }) => {
    const { docs = true } = host;
    const everything = host.services === undefined && host.routes === undefined;
    const takes = takesOf(host);
    return {
      patterns,
      everything: everything && docs,
      serves: route => (isDocument(route) ? docs : everything || takes(route)),
    };
  });
}

/** Whether a route is one of the documents of `http.docs`. */
export function isDocument(route: Route | BuiltInRoute): boolean {
  return route.kind === "local" && route.handler.at[0] === "http" && route.handler.at[1] === "docs";
}

function takesOf({ services = [], routes = [] }: HostConfig): (route: Route | BuiltInRoute) => boolean {
  const exact = new Set(services);
  const prefixes = services.filter(each => each.endsWith(".**")).map(each => each.slice(0, -2));
  const globs = routes.map(pathGlob);
  const known = new Map<string, boolean>();
  const takesService = (name: string): boolean => {
    let takes = known.get(name);
    if (takes === undefined) {
      takes = exact.has(name) || prefixes.some(prefix => name.startsWith(prefix));
      known.set(name, takes);
    }
    return takes;
  };
  return route =>
    (route.kind === "rpc" && takesService(route.rpc.service.fullName)) ||
    globs.some(glob => glob.coverage(route.template) === "always");
}

/** Routes that are named in one message. */
const maxNamed = 5;

/**
 * Problems of `http.hosts` that the routes reveal: entries that name nothing, and routes that are served at no host.
 * @param all the result of `virtualHosts` for them
 * @param routes all that HTTP listeners could serve
 */
export function hostProblems(
  hosts: HostsConfig | undefined,
  all: readonly VirtualHost[],
  routes: readonly (Route | BuiltInRoute)[],
  locate: Locate,
): readonly Diagnostic[] {
  if (hosts === undefined) return [];
  const services = new Set(
    routes.flatMap(route => (route.kind === "rpc" ? [route.rpc.service.fullName] : [])),
  );
  const templates = new Set(routes.filter(route => !isDocument(route)).map(({ template }) => template.text));
  const problem = (severity: Diagnostic["severity"], path: Path, message: string, suggestion?: string) => ({
    severity,
    message,
    position: locate(path),
    path: formatPath(path),
    ...(suggestion === undefined ? {} : { suggestion }),
  });
  if (Object.keys(hosts).length === 0)
    return [
      problem("error", ["http", "hosts"], "no host is served; expected at least one, or no http.hosts"),
    ];
  const problems: Diagnostic[] = [];
  for (const [key, host] of Object.entries(hosts)) {
    const at = ["http", "hosts", key];
    host.services?.forEach((name, index) => {
      const takes = takesOf({ services: [name] });
      if (routes.some(takes)) return;
      const message = `no service that is exposed is named by "${name}"`;
      problems.push(problem("error", [...at, "services", index], message, nearest(name, services)));
    });
    host.routes?.forEach((glob, index) => {
      const takes = takesOf({ routes: [glob] });
      if (routes.some(route => !isDocument(route) && takes(route))) return;
      const paths = pathGlob(glob);
      const partly = routes.find(({ template }) => paths.coverage(template) === "depends");
      const message =
        partly === undefined
          ? `no route is named by "${glob}"`
          : `no route is named by "${glob}", which is but a part of ${partly.template.text}`;
      const suggestion = partly === undefined ? nearest(glob, templates) : undefined;
      problems.push(problem("error", [...at, "routes", index], message, suggestion));
    });
  }
  const left = routes.filter(route => !isDocument(route) && !all.some(host => host.serves(route)));
  const missing = new Set(left);
  const served = new Set(
    routes.flatMap(each => (each.kind === "rpc" && !missing.has(each) ? [each.rpc] : [])),
  );
  const unserved = new Set(
    left
      // The path of a method may be left to hosts that serve its service.
      .filter(route => route.kind !== "rpc" || route.rest || !served.has(route.rpc))
      .map(({ method, template }) => `${method} ${template.text}`),
  );
  if (unserved.size === 0) return problems;
  const names = [...unserved].slice(0, maxNamed).join(", ");
  const more = unserved.size > maxNamed ? ` and ${unserved.size - maxNamed} more` : "";
  problems.push(problem("warning", ["http", "hosts"], `no host serves ${names}${more}`));
  return problems;
}
