import { type AuthNames, authNames } from "../auth/config.js";
import { RequestOrigins } from "../auth/request-origins.js";
import type { PassThroughPrefix } from "../bindings/built-in-route.js";
import { readClientTls } from "../upstream/client-tls.js";
import type { UpstreamConfig } from "../upstream/config.js";
import type { BackendTls } from "../upstream/http/client.js";
import type { ForwardedPrefix, Forwarders } from "../upstream/http/forwarder.js";
import type { GatewayConfig } from "./config.js";

/** The routes of `http.proxy`. */
export function passThroughRules(config: GatewayConfig): PassThroughPrefix[] {
  const { http, auth } = config;
  const origins = new RequestOrigins(http.cors?.origins ?? [], http.forwarded.trusted_hops);
  return http.proxy.map((proxy, index) => ({
    at: ["http", "proxy", index],
    method: "*",
    template: `${proxy.prefix}/**`,
    prefix: proxy.prefix,
    upstream: proxy.upstream,
    websocket: proxy.websocket,
    auth: proxy.auth === undefined ? undefined : authNames(proxy.auth),
    rateLimit: proxy.rate_limit,
    ...(proxy.websocket &&
      browsersIdentify(authNames(proxy.auth ?? auth.default), config) && {
        check: request => {
          if (request.header("upgrade") !== undefined) origins.requireForSocket(request);
        },
      }),
  }));
}

/** Whether callers can be authenticated by headers that browsers send with every upgrade, for any page. */
function browsersIdentify(names: AuthNames, { auth }: GatewayConfig): boolean {
  if (names === "none") return false;
  return names.some(name => {
    const provider = auth.providers[name];
    return provider !== undefined && (provider.type === "mtls" || "cookie" in provider);
  });
}

/** The forwarders to the backends of `http.proxy`; undefined where there are none. */
export async function forwardersOf(config: GatewayConfig): Promise<Forwarders | undefined> {
  const { http, upstreams } = config;
  const prefixes: ForwardedPrefix[] = http.proxy.map(({ prefix, rewrite, upstream: name }) => {
    // Loading has checked that the upstream exists.
    const { timeout: timeoutMs, tls, targets } = upstreams[name] as UpstreamConfig;
    const origins = targets.map(trimmed);
    let turn = 0;
    const next = () => origins[turn++ % origins.length] as string;
    return { prefix, rewrite, next, timeoutMs, tls: clientTls(tls) };
  });
  if (prefixes.length === 0) return undefined;
  const { createForwarders } = await import("../upstream/http/forwarder.js");
  return createForwarders(prefixes);
}

function trimmed(origin: string): string {
  return origin.replace(/\/$/, "");
}

function clientTls(tls: UpstreamConfig["tls"]): BackendTls | undefined {
  const { serverName, ...files } = readClientTls(tls === true ? undefined : tls) ?? {};
  return tls === undefined || tls === true
    ? undefined
    : { ...files, ...(serverName === undefined ? {} : { servername: serverName }) };
}
