import type { BoundRoutes } from "../bindings/binding.js";
import { networkMatcher } from "../net/networks.js";
import type { OpenStreams } from "../pipeline/open-streams.js";
import { Pipeline } from "../pipeline/pipeline.js";
import type { HttpListenerConfig, NamedListener } from "../server/config.js";
import type { Engine, HeaderReader, ProxyProtocol } from "../server/engine.js";
import { headerOf, startFastifyEngine } from "../server/node/fastify-engine.js";
import { startUwsEngine } from "../server/uws/uws-engine.js";
import { none, other } from "../telemetry/route-metrics.js";
import { largestBody } from "./config.js";
import { listenerOf, listening } from "./listener.js";
import type { UsableConfig } from "./read-config.js";
import type { RealtimeService } from "./realtime.js";
import type { Runtime } from "./runtime.js";

/** The current routes and settings, read at each request. */
export interface HttpView {
  readonly runtime: Runtime;
  /** @param listener by name */
  readonly routes: (listener: string) => BoundRoutes;
  readonly realtime: () => RealtimeService | undefined;
  readonly draining: () => boolean;
  readonly streams: OpenStreams;
}

/** A listener that is open. It keeps its address and engine; its name is that of the configuration that serves. */
export interface OpenListener {
  name: string;
  /** It accepts nothing new. */
  retired: boolean;
}

/** The view of one listener. */
interface ListenerView extends HttpView {
  readonly state: OpenListener;
  /** Accepts sockets, where the engine has to know it at its start. */
  readonly sockets: RealtimeService | undefined;
}

/** Milliseconds. */
const socketIdleMs = 60_000;

/**
 * Starts a listener of clients with the engine that the configuration names.
 * @throws LoadError where it cannot listen, or the engine cannot be loaded
 */
export function startHttpListener(
  loaded: UsableConfig,
  { name, at, listener }: NamedListener<HttpListenerConfig>,
  { runtime, routes, realtime, sockets, draining, streams, state }: ListenerView,
): Promise<Engine> {
  const { http } = loaded.config;
  const { address, tls } = listenerOf(loaded.config, name);
  const pipeline = new Pipeline({
    routes: () => routes(state.name),
    metrics: runtime.metrics,
    accessLog: runtime.accessLog,
    tracer: runtime.tracer,
    draining: () => state.retired || draining(),
    requestTimeoutMs: http.limits.request_timeout,
    streams,
  });
  const startEngine = listener.engine === "uws" ? startUwsEngine : startFastifyEngine;
  return listening(loaded, at, () =>
    startEngine({
      ...address,
      tls,
      http2: listener.http2 !== false,
      maxStreams: http.limits.streams,
      maxResets: http.limits.resets,
      proxyProtocol: proxyProtocolOf(listener, () => runtime.metrics.proxyHeaderRefused(state.name)),
      headerLimit: http.limits.header,
      requestTimeout: http.limits.request_timeout,
      handle: (request, response) => pipeline.handle(request, response),
      upgrades: (target, header) => pipeline.upgrades(target, header),
      sockets: { maxMessageBytes: 2 * largestBody(loaded.config), idleTimeoutMs: socketIdleMs },
      crashed: error =>
        runtime.log.error({ err: error }, "A client connection was ended after an internal error."),
      ...(sockets !== undefined && {
        attach: (app, server) => {
          const serves = (header: HeaderReader): boolean => pipeline.servesSockets(header);
          sockets.attach(app, { server, serves, encrypted: tls !== undefined });
        },
      }),
      takeUpgrade: (request, socket, head) =>
        pipeline.servesSockets(headerOf(request)) && realtime()?.take(request, socket, head) === true,
      refused: ({ httpStatus, code }) =>
        runtime.metrics.route(none, other, none).observe(httpStatus, code, 0, 0, 0),
    }),
  );
}

function proxyProtocolOf(
  { proxy_protocol: proxies = false }: HttpListenerConfig,
  refused: () => void,
): ProxyProtocol | undefined {
  if (proxies === false) return undefined;
  return { trusts: proxies === true ? () => true : networkMatcher(proxies), refused };
}
