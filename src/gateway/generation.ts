import type { AdminRoute } from "../bindings/admin-route.js";
import type { BoundRoutes } from "../bindings/binding.js";
import type { VirtualHost } from "../bindings/virtual-hosts.js";
import type { Diagnostic } from "../config/diagnostic.js";
import type { Model } from "../descriptors/model.js";
import { createPace } from "../net/pace.js";
import type { RealtimeConfig } from "../realtime/config.js";
import type { Channel } from "../upstream/channel.js";
import { type Backends, reflectedUpstreams } from "./backends.js";
import { type BindContext, bindRoutes } from "./bind-routes.js";
import { compile } from "./compile.js";
import { ErrorDetails } from "./error-details.js";
import { createGuards, type Guards } from "./guards.js";
import { type ListenerRoutes, listenerRoutes } from "./listener-routes.js";
import { gatewayUpstream, ownChannel } from "./own-services.js";
import type { GatewayState } from "./readiness.js";
import {
  callCheck,
  type RealtimeParts,
  type Rooms,
  realtimeSettings,
  socketGuard,
  socketListenerHttp,
  socketPath,
} from "./realtime-settings.js";
import { RefCount } from "./ref-count.js";
import type { Runtime } from "./runtime.js";

/** All that one configuration and its descriptors come to. A request keeps the generation that it began with. */
export interface Generation {
  readonly model: Model;
  /** The routes of all HTTP listeners together. */
  readonly routes: BoundRoutes;
  /** Where each part is served; none: everything at every host. */
  readonly hosts: readonly VirtualHost[];
  /** The routes of each of them. */
  readonly routesOf: ListenerRoutes;
  readonly guards: Guards;
  /** Undefined without `realtime`. */
  readonly realtime: RealtimeParts | undefined;
  readonly adminRoutes: readonly AdminRoute[];
  /** Warnings only. */
  readonly diagnostics: readonly Diagnostic[];
  /** Resolves after the last of its requests. To be called once, when another generation serves. */
  retire(): Promise<void>;
}

export interface BuildContext {
  readonly runtime: Runtime;
  /** Serves the rooms of the configuration; not used where it has none. */
  readonly rooms: Rooms;
  /** Those that serve now, not closed before the generation is built: counts of limits go on. */
  readonly previousGuards: Guards | undefined;
  /** The state that the gateway's own health depends on. */
  state(): GatewayState;
  /** Aborted when the gateway shuts down. */
  readonly shutdown: AbortSignal;
}

/**
 * Builds a generation in turns of the event loop; nothing of it is used before it is complete.
 * @throws LoadError where descriptors or routes have errors
 */
export async function buildGeneration(
  backends: Backends,
  { runtime, rooms, previousGuards, state, shutdown }: BuildContext,
): Promise<Generation> {
  const pace = createPace();
  // Loading has checked that the upstream exists.
  const channel = (upstream: string): Channel => backends.channels.get(upstream) as Channel;
  const compiled = await compile(backends.loaded, backends.reflected, {
    runtime,
    rooms,
    authenticators: () => guards.authenticators,
    channel,
    pace,
    comments: false,
  });
  const { model, routes, methodPaths, builtIn, adminRoutes, diagnostics } = compiled;
  const { config } = backends.loaded;
  const { ownServices: own } = compiled;
  const ownServices = own && ownChannel(own.known, state, shutdown);
  const ownChannels = new Map(
    [...(own?.knownAt ?? [])].map(([host, known]) => [host, ownChannel(known, state, shutdown)]),
  );
  const closeOwn = async (): Promise<void> => {
    await Promise.all([ownServices, ...ownChannels.values()].map(each => each?.close()));
  };
  const guards = createGuards(config, model, channel, runtime, previousGuards);
  try {
    const requests = new RefCount();
    const details = detailRenderers(model, backends);
    const context: BindContext = {
      compiled,
      backends,
      guards,
      channel: name => (name === gatewayUpstream && ownServices !== undefined ? ownServices : channel(name)),
      details,
      requests,
      runtime,
      pace,
    };
    const { routes: http, all } = await bindRoutes(
      [...routes, ...builtIn, ...methodPaths],
      config.http,
      context,
      compiled.hosts.length > 0,
    );
    const routesOf = await listenerRoutes({ compiled, routes: http, bindings: all, ownChannels }, pace);
    const realtime = config.realtime && (await realtimeParts(config.realtime, http, context));
    backends.users.acquire();
    return {
      model,
      routes: http,
      hosts: compiled.hosts,
      routesOf,
      guards,
      realtime,
      adminRoutes,
      diagnostics,
      retire: async () => {
        await requests.unused();
        guards.close();
        await closeOwn();
        backends.users.release();
      },
    };
  } catch (error) {
    guards.close();
    await closeOwn();
    throw error;
  }
}

/** @param http the settings of the HTTP listener */
async function realtimeParts(
  section: RealtimeConfig,
  http: BoundRoutes,
  context: BindContext,
): Promise<RealtimeParts> {
  const { compiled, backends, guards, details } = context;
  const { bridge, socketListenerRoutes: realtimeOwn, authorizers, roomPolicy: rooms } = compiled;
  const { config } = backends.loaded;
  const path = socketPath(section);
  const route = realtimeOwn.find(({ method, template }) => method === "GET" && template.text === path);
  const guard = socketGuard(config, section, guards, route && authorizers.get(route), rooms);
  return {
    settings: realtimeSettings(config, section, guard),
    target: bridge && {
      plan: bridge,
      channels: backends.channels,
      check: callCheck(config, compiled),
      details,
    },
    feeds: { plans: compiled.feeds, channels: backends.channels, streams: section.feeds.streams },
    routes: (await bindRoutes(realtimeOwn, socketListenerHttp(config, section), context)).routes,
    httpHeaders: http.responseHeaders,
  };
}

/** For the upstreams whose reflection has types that the model lacks. */
function detailRenderers(model: Model, { loaded, channels, signal }: Backends): Map<string, ErrorDetails> {
  const { depth } = loaded.config.http.limits;
  return new Map(
    reflectedUpstreams(loaded.config).map(upstream => {
      const channel = channels.get(upstream) as Channel;
      return [upstream, new ErrorDetails(model, { upstream, channel, signal, depth })];
    }),
  );
}
