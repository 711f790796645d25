import { requireUsable } from "../net/server-tls.js";
import { AddonError, loadUws } from "../net/uws-addon.js";
import type { Realtime } from "../realtime/realtime.js";
import { acceptPortableSockets, type PortableSockets } from "../realtime/sockets/portable-sockets.js";
import type { SocketUpgradeOptions } from "../realtime/sockets/upgrade.js";
import { acceptUwsSockets } from "../realtime/sockets/uws-sockets.js";
import type { Engine, EngineOptions } from "../server/engine.js";
import { clientCertificate } from "../server/node/client-certificate.js";
import { startFastifyEngine } from "../server/node/fastify-engine.js";
import { startUwsEngine } from "../server/uws/uws-engine.js";

/** The engine of sockets: uWebSockets.js, or `ws` on a server of Node.js. */
export type SocketEngine = "uws" | "portable";

/** The options of the realtime listener. */
export interface RealtimeListenerOptions
  extends Omit<EngineOptions, "attach" | "takeUpgrade" | "upgrades" | "sockets"> {
  readonly engine: SocketEngine;
  readonly sockets: Omit<SocketUpgradeOptions, "encrypted">;
}

/**
 * The faster engine where it can be loaded.
 * @param headLimit as `loadUws` has it
 * @returns why it is the portable one, where it is
 */
export async function chooseSocketEngine(
  headLimit: number,
): Promise<{ readonly engine: SocketEngine; readonly why: string | undefined }> {
  try {
    await loadUws(headLimit);
    return { engine: "uws", why: undefined };
  } catch (error) {
    if (!(error instanceof AddonError)) throw error;
    return { engine: "portable", why: error.reason };
  }
}

/**
 * Listens for the WebSockets of `realtime`. Requests for anything else are exchanges, as on the HTTP listener.
 * @throws AddonError where the addon is to be used and cannot be loaded
 * @throws the system's error (`EADDRINUSE`, `EACCES`) where it cannot listen
 * @throws Error where the certificate cannot be used
 */
export function startRealtimeListener(
  realtime: Realtime,
  { engine, sockets, ...options }: RealtimeListenerOptions,
): Promise<Engine> {
  const encrypted = options.tls !== undefined;
  if (engine === "portable") return startPortable(realtime, { ...sockets, encrypted }, options);
  return startUwsEngine({
    ...options,
    attach: (app, server) => acceptUwsSockets(app, realtime, { ...sockets, encrypted, server }),
  });
}

/** Takes sockets in by a listener whose engine is fastify. */
export function portableSockets(realtime: Realtime, options: SocketUpgradeOptions): Promise<PortableSockets> {
  return acceptPortableSockets(realtime, { ...options, certificateOf: clientCertificate });
}

async function startPortable(
  realtime: Realtime,
  options: SocketUpgradeOptions,
  engineOptions: EngineOptions,
): Promise<Engine> {
  if (engineOptions.tls !== undefined) requireUsable(engineOptions.tls);
  const sockets = await portableSockets(realtime, options);
  try {
    const engine = await startFastifyEngine({
      ...engineOptions,
      takeUpgrade: (request, net, head) => sockets.take(request, net, head),
    });
    return {
      port: engine.port,
      get shown() {
        return engine.shown;
      },
      renew: tls => engine.renew(tls),
      close: until => engine.close(until),
      destroy: () => {
        sockets.destroy();
        engine.destroy();
      },
    };
  } catch (error) {
    sockets.destroy();
    throw error;
  }
}
