import type { BuiltInRoute } from "../bindings/built-in-route.js";
import type { Route } from "../bindings/route.js";
import type { VirtualHost } from "../bindings/virtual-hosts.js";
import { HostTable, hostName } from "../net/host-table.js";
import { UsageError } from "./arguments.js";

/** The hosts that serve a route. */
export function hostsOf(hosts: readonly VirtualHost[], route: Route | BuiltInRoute): readonly string[] {
  return hosts.filter(host => host.serves(route)).flatMap(({ patterns }) => patterns);
}

/**
 * Which routes are served at a host.
 * @param host as in a Host header; undefined for the routes of all hosts that are not named
 * @throws UsageError where nothing is served there
 */
export function servedAt(
  hosts: readonly VirtualHost[],
  host: string | undefined,
): (route: Route | BuiltInRoute) => boolean {
  if (hosts.length === 0) return () => true;
  const table = new HostTable(hosts.flatMap(each => each.patterns.map(pattern => [pattern, each] as const)));
  const found = table.find(host);
  if (found !== undefined) return route => found.serves(route);
  const named = hosts
    .flatMap(({ patterns }) => patterns)
    .slice(0, 10)
    .join(", ");
  throw new UsageError(
    host === undefined
      ? `the configuration serves ${named}; expected one of these hosts, by --host or in the address`
      : `the host ${hostName(host)} is not served; expected one of ${named}`,
  );
}
