import type { BoundRoutes } from "../bindings/binding.js";
import type { OpenStreams } from "../pipeline/open-streams.js";
import { Pipeline } from "../pipeline/pipeline.js";
import type { Engine } from "../server/engine.js";
import { startFastifyEngine } from "../server/node/fastify-engine.js";
import { startUwsEngine } from "../server/uws/uws-engine.js";
import { AccessLog } from "../telemetry/access-log.js";
import { none, other } from "../telemetry/route-metrics.js";
import { largestBody } from "./config.js";
import { listenerOf, listening } from "./listener.js";
import type { UsableConfig } from "./read-config.js";
import type { RealtimeService } from "./realtime.js";
import type { Runtime } from "./runtime.js";

/** What requests meet, asked at each request. */
export interface HttpView {
  readonly runtime: Runtime;
  readonly routes: () => BoundRoutes;
  readonly realtime: () => RealtimeService | undefined;
  readonly draining: () => boolean;
  readonly streams: OpenStreams;
}

/** Milliseconds. */
const socketIdleMs = 60_000;

/**
 * Starts the listener of clients with the engine that the configuration names.
 * @throws LoadError where it cannot listen, or the engine cannot be loaded
 */
export function startHttpListener(loaded: UsableConfig, view: HttpView): Promise<Engine> {
  const { runtime, routes, realtime, draining, streams } = view;
  const { listeners, http } = loaded.config;
  const { address, tls } = listenerOf(loaded, "http");
  const accessLog = new AccessLog(runtime.log);
  const pipeline = new Pipeline({
    routes,
    metrics: runtime.metrics,
    accessLog,
    tracer: runtime.tracer,
    draining,
    requestTimeoutMs: http.limits.request_timeout,
    streams,
  });
  const startEngine = listeners.http.engine === "uws" ? startUwsEngine : startFastifyEngine;
  return listening(loaded, ["listeners", "http"], () =>
    startEngine({
      ...address,
      tls,
      http2: listeners.http.http2 !== false,
      maxStreams: http.limits.streams,
      maxResets: http.limits.resets,
      headerLimit: http.limits.header,
      requestTimeout: http.limits.request_timeout,
      handle: (request, response) => pipeline.handle(request, response),
      upgrades: target => pipeline.upgrades(target),
      sockets: { maxMessageBytes: 2 * largestBody(loaded.config), idleTimeoutMs: socketIdleMs },
      crashed: error =>
        runtime.log.error({ err: error }, "A client connection was ended after an internal error."),
      ...(realtime() !== undefined && {
        attach: (app, peers, cork) => realtime()?.attach(app, peers, cork, tls !== undefined),
      }),
      takeUpgrade: (request, socket, head) => realtime()?.take(request, socket, head) === true,
      refused: ({ httpStatus, code }) =>
        runtime.metrics.route(none, other, none).observe(httpStatus, code, 0, 0, 0),
    }),
  );
}
