import { isDeepStrictEqual } from "node:util";
import type { RealtimeConfig } from "../realtime/config.js";
import { certificatesOf } from "../server/config.js";
import type { GatewayConfig } from "./config.js";

/** The settings that a reload does not change, by their paths in the configuration. */
const fixedSettings: Readonly<Record<string, (config: GatewayConfig) => unknown>> = {
  "listeners.realtime": ({ listeners: { realtime } }) =>
    realtime && { ...realtime, tls: fixedTls(realtime.tls) },
  "listeners.admin": ({ listeners: { admin } }) => ({
    ...admin,
    token: undefined,
    tls: fixedTls(admin.tls),
    client_ca: admin.client_ca !== undefined,
  }),
  "http.limits.header": ({ http }) => http.limits.header,
  "http.limits.streams": ({ http }) => http.limits.streams,
  "http.limits.resets": ({ http }) => http.limits.resets,
  "http.limits.request_timeout": ({ http }) => http.limits.request_timeout,
  "server.workers": ({ server }) => server.workers,
  "telemetry.metrics": ({ telemetry }) => telemetry.metrics,
  "telemetry.tracing": ({ telemetry }) => telemetry.tracing,
};

/** Certificates are renewed; whether there is TLS is not. */
function fixedTls(tls: GatewayConfig["listeners"]["admin"]["tls"]): unknown {
  const [first] = certificatesOf(tls);
  return first !== undefined;
}

/** Whether clients of the realtime listener must use TLS 1.3. */
function onlyNewest({ listeners: { realtime } }: GatewayConfig): boolean {
  const [first] = certificatesOf(realtime?.tls);
  return first !== undefined && String(first.min_version) === "1.3";
}

/** The settings that a reload does not change as long as there are rooms. */
const fixedOfRooms: Readonly<Record<string, (realtime: RealtimeConfig) => unknown>> = {
  "realtime.path": ({ path }) => path,
  "realtime.limits.message": ({ limits }) => limits.message,
  "realtime.limits.idle_timeout": ({ limits }) => limits.idle_timeout,
  "realtime.deflate": ({ deflate }) => deflate,
  "realtime.history": ({ history }) => history,
  "realtime.rooms[].history": ({ rooms }) =>
    typeof rooms === "boolean" ? [] : rooms.map(({ match, history }) => ({ match, history })),
  "realtime.broker": ({ broker }) => broker,
  "realtime.api": ({ api }) => api,
};

/**
 * The settings that take effect only after a restart.
 * @param started the configuration that the process started with
 * @param rooms the one that the rooms were opened with
 */
export function restartOnly(
  started: GatewayConfig,
  rooms: RealtimeConfig | undefined,
  loaded: GatewayConfig,
): string[] {
  const paths = changed(fixedSettings, started, loaded);
  const tokenOf = ({ listeners }: GatewayConfig): string | undefined => listeners.admin.token;
  if (tokenOf(started) !== undefined && tokenOf(loaded) === undefined) paths.push("listeners.admin.token");
  // The listener may have uWebSockets.js, which cannot refuse older versions.
  if (!onlyNewest(started) && onlyNewest(loaded)) paths.push("listeners.realtime.tls.min_version");
  if (rooms !== undefined && loaded.realtime !== undefined)
    paths.push(...changed(fixedOfRooms, rooms, loaded.realtime));
  return paths;
}

function changed<T>(fixed: Readonly<Record<string, (from: T) => unknown>>, before: T, now: T): string[] {
  return Object.entries(fixed).flatMap(([path, of]) =>
    isDeepStrictEqual(of(before), of(now)) ? [] : [path],
  );
}
