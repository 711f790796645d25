import type { Binding, BoundRoutes } from "../bindings/binding.js";
import { routerOf } from "../bindings/route-table.js";
import { HostTable } from "../net/host-table.js";
import type { Pace } from "../net/pace.js";
import { type HttpListenerConfig, httpListenersOf, redirects } from "../server/config.js";
import type { GatewayConfig } from "./config.js";

/** What a listener serves, by its name. One that the configuration does not have serves nothing. */
export type ListenerRoutes = (listener: string) => BoundRoutes;

/**
 * Parts what a generation serves among the HTTP listeners, so that no request has to look at what is not for it.
 * @param routes for all of them
 * @param bindings those of `routes`, with the paths of methods
 */
export async function listenerRoutes(
  config: GatewayConfig,
  routes: BoundRoutes,
  bindings: readonly Binding[],
  pace: Pace,
): Promise<ListenerRoutes> {
  let withoutDocuments: BoundRoutes | undefined;
  const byName = new Map<string, BoundRoutes>();
  for (const { name, listener } of httpListenersOf(config.listeners.http)) {
    let served = routes;
    if (config.http.docs !== undefined && !servesDocuments(config, name)) {
      const others = bindings.filter(binding => !isDocument(binding));
      withoutDocuments ??= { ...routes, router: await routerOf(others, binding => binding, pace) };
      served = withoutDocuments;
    }
    const redirectPort = redirectPortOf(listener);
    if (redirectPort !== undefined) served = { ...served, redirectPort };
    const { hosts } = listener;
    if (hosts !== undefined)
      served = { ...served, hosts: new HostTable(hosts.map(host => [host, served] as const)) };
    byName.set(name, served);
  }
  const nothing: BoundRoutes = { ...routes, hosts: new HostTable<BoundRoutes>([]) };
  return listener => byName.get(listener) ?? nothing;
}

/** `http` stands for all of `listeners.http`. */
export function servesDocuments({ http }: GatewayConfig, listener: string): boolean {
  return http.docs?.listeners.some(name => name === "http" || name === listener) === true;
}

function isDocument({ route }: Binding): boolean {
  return route.kind === "local" && route.handler.at[0] === "http" && route.handler.at[1] === "docs";
}

function redirectPortOf(listener: HttpListenerConfig): number | undefined {
  if (!redirects(listener)) return undefined;
  const { redirect_to_https: redirect } = listener;
  return typeof redirect === "object" ? redirect.port : 443;
}
