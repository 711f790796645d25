import type { Binding, BoundRoutes } from "../bindings/binding.js";
import { routerOf } from "../bindings/route-table.js";
import { isDocument, type VirtualHost } from "../bindings/virtual-hosts.js";
import { entriesAt, HostTable } from "../net/host-table.js";
import type { Pace } from "../net/pace.js";
import { type HttpListenerConfig, httpListenersOf, redirects } from "../server/config.js";
import type { Channel } from "../upstream/channel.js";
import type { Compiled } from "./compile.js";
import { servesDocuments } from "./documents-page.js";
import { gatewayUpstream } from "./own-services.js";
import { isSocketPath } from "./realtime-settings.js";

/** The routes of a listener, by its name. One that the configuration does not have serves nothing. */
export type ListenerRoutes = (listener: string) => BoundRoutes;

interface Parts {
  readonly compiled: Pick<Compiled, "loaded" | "hosts" | "hostDocuments">;
  /** For all listeners and hosts. */
  readonly routes: BoundRoutes;
  /** Those of `routes`, with the paths of methods. */
  readonly bindings: readonly Binding[];
  /** The channel to the gateway's own services at hosts that serve a part. */
  readonly ownChannels: ReadonlyMap<VirtualHost, Channel>;
}

/**
 * Divides the routes of a generation among the HTTP listeners and their hosts, so that requests are matched only with
 * routes of their own.
 */
export async function listenerRoutes(parts: Parts, pace: Pace): Promise<ListenerRoutes> {
  const { compiled, routes } = parts;
  const { config } = compiled.loaded;
  const routesAt = sharedRoutes(parts, pace);
  const byName = new Map<string, BoundRoutes>();
  for (const { name, listener } of httpListenersOf(config.listeners.http)) {
    const documents = config.http.docs === undefined || servesDocuments(config.http, name);
    const redirectPort = redirectPortOf(listener);
    const { hosts } = listener;
    if (compiled.hosts.length === 0) {
      const served = { ...(await routesAt(undefined, documents)), redirectPort };
      const table = hosts && new HostTable(hosts.map(host => [host, served] as const));
      byName.set(name, { ...served, hosts: table });
      continue;
    }
    const entries: (readonly [string, BoundRoutes])[] = [];
    for (const host of compiled.hosts) {
      const served = { ...(await routesAt(host, documents)), redirectPort };
      for (const pattern of host.patterns) entries.push([pattern, served]);
    }
    const table = new HostTable(hosts === undefined ? entries : entriesAt(hosts, entries));
    byName.set(name, { ...routes, redirectPort, hosts: table });
  }
  const nothing: BoundRoutes = { ...routes, hosts: new HostTable<BoundRoutes>([]) };
  return listener => byName.get(listener) ?? nothing;
}

/** Where two listeners serve the same at a host, they do it by one router. */
function sharedRoutes(
  { compiled, routes, bindings, ownChannels }: Parts,
  pace: Pace,
): (host: VirtualHost | undefined, documents: boolean) => Promise<BoundRoutes> {
  const made = new Map<string, BoundRoutes>();
  return async (host, documents) => {
    if (host === undefined && documents) return routes;
    const key = `${host === undefined ? "" : host.patterns.join()} ${documents}`;
    const earlier = made.get(key);
    if (earlier !== undefined) return earlier;
    const served = bindings
      .filter(({ route }) => host?.serves(route) !== false && (documents || !isDocument(route)))
      .map(binding => (host === undefined ? binding : bindingAt(host, binding)));
    const router = await routerOf(served, binding => binding, pace);
    const sockets = host === undefined || served.some(({ route }) => isSocketPath(route));
    const parted = { ...routes, router, sockets };
    made.set(key, parted);
    return parted;
  };

  function bindingAt(host: VirtualHost, binding: Binding): Binding {
    if (binding.kind === "local") {
      const handler = compiled.hostDocuments.get(host)?.get(binding.handler);
      return handler === undefined ? binding : { ...binding, handler };
    }
    if (binding.kind !== "rpc" || binding.route.upstream !== gatewayUpstream) return binding;
    const channel = ownChannels.get(host);
    if (channel === undefined) return binding;
    // Bindings of methods have these two by their class.
    const { service, metrics } = binding;
    return { ...binding, service, metrics, channel };
  }
}

function redirectPortOf(listener: HttpListenerConfig): number | undefined {
  if (!redirects(listener)) return undefined;
  const { redirect_to_https: redirect } = listener;
  return typeof redirect === "object" ? redirect.port : 443;
}
