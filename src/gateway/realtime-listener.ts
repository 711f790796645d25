import type { Engine, EngineOptions } from "../http/engine.js";
import { startUwsEngine } from "../http/uws-engine.js";
import type { Realtime } from "../realtime/realtime.js";
import { acceptUpgrades, type UpgradeOptions } from "../realtime/upgrade.js";

/** What the listener of the sockets needs. */
export interface RealtimeListenerOptions extends Omit<EngineOptions, "attach"> {
  readonly sockets: Omit<UpgradeOptions, "encrypted" | "peers" | "cork">;
}

/**
 * Listens for the WebSockets of `realtime`. Requests for anything else are exchanges, as on the HTTP listener.
 * @throws AddonError where the addon cannot be loaded
 * @throws the system's error (`EADDRINUSE`, `EACCES`) where it cannot listen
 * @throws Error where the certificate cannot be used
 */
export function startRealtimeListener(
  realtime: Realtime,
  { sockets, ...options }: RealtimeListenerOptions,
): Promise<Engine> {
  const encrypted = options.tls !== undefined;
  return startUwsEngine({
    ...options,
    attach: (app, peers, cork) => acceptUpgrades(app, realtime, { ...sockets, encrypted, peers, cork }),
  });
}
