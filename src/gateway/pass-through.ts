import { RequestOrigins } from "../auth/request-origins.js";
import type { PassThroughRule } from "../bindings/own-route.js";
import { type AuthNames, authNames } from "../config/auth-schema.js";
import type { Config, UpstreamConfig } from "../config/schema.js";
import type { PassThrough, PassThroughTarget } from "../upstream/pass-through.js";
import { readClientTls } from "./tls.js";

/** What `http.proxy` adds to the route table. */
export function passThroughRules(config: Config): PassThroughRule[] {
  const { http, auth } = config;
  const origins = new RequestOrigins(http.cors?.origins ?? [], http.forwarded.trusted_hops);
  return http.proxy.map((proxy, index) => ({
    at: ["http", "proxy", index],
    method: "*",
    template: `${proxy.prefix}/**`,
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

/** Whether callers can be known by what browsers send with every upgrade, whosever page asks for it. */
function browsersIdentify(names: AuthNames, { auth }: Config): boolean {
  if (names === "none") return false;
  return names.some(name => {
    const provider = auth.providers[name];
    return provider !== undefined && (provider.type === "mtls" || "cookie" in provider);
  });
}

/** The application behind the prefixes of `http.proxy`; undefined where there are none. */
export async function passThroughOf(config: Config): Promise<PassThrough | undefined> {
  const { http, listeners, upstreams } = config;
  const targets: PassThroughTarget[] = http.proxy.map(({ prefix, rewrite, websocket, upstream: name }) => {
    // Loading has checked that the upstream exists.
    const upstream = upstreams[name] as UpstreamConfig;
    const { timeout, tls } = upstream;
    const origins = upstream.targets.map(trimmed);
    let turn = 0;
    const next = () => origins[turn++ % origins.length] as string;
    return { prefix, rewrite, websocket, next, timeout, tls: clientTls(tls) };
  });
  if (targets.length === 0) return undefined;
  const { createPassThrough } = await import("../upstream/pass-through.js");
  return createPassThrough(targets, listeners.http.engine === "uws");
}

function trimmed(origin: string): string {
  return origin.replace(/\/$/, "");
}

function clientTls(tls: UpstreamConfig["tls"]): PassThroughTarget["tls"] {
  const { serverName, ...files } = readClientTls(tls === true ? undefined : tls) ?? {};
  return tls === undefined || tls === true
    ? undefined
    : { ...files, ...(serverName === undefined ? {} : { servername: serverName }) };
}
