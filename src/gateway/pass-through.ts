import { readFileSync } from "node:fs";
import type { PassThroughRule } from "../bindings/own-route.js";
import { authNames } from "../config/auth-schema.js";
import type { Config, UpstreamConfig } from "../config/schema.js";
import { createPassThrough, type PassThrough, type PassThroughTarget } from "../upstream/pass-through.js";

/** What `http.proxy` adds to the route table. */
export function passThroughRules({ http }: Config): PassThroughRule[] {
  return http.proxy.map((proxy, index) => ({
    at: ["http", "proxy", index],
    method: "*",
    template: `${proxy.prefix}/**`,
    upstream: proxy.upstream,
    websocket: proxy.websocket,
    auth: proxy.auth === undefined ? undefined : authNames(proxy.auth),
    rateLimit: proxy.rate_limit,
  }));
}

/** The application behind the prefixes of `http.proxy` and `more`; undefined where there are none. */
export function passThroughOf(
  { http, upstreams }: Config,
  more: readonly PassThroughTarget[],
): Promise<PassThrough> | undefined {
  const targets = http.proxy.map(({ prefix, rewrite, websocket, upstream: name }): PassThroughTarget => {
    // Loading has checked that the upstream exists.
    const upstream = upstreams[name] as UpstreamConfig;
    const { targets: origins, timeout, tls } = upstream;
    return { prefix, rewrite, websocket, origins: origins.map(trimmed), timeout, tls: tlsOf(tls) };
  });
  targets.push(...more);
  return targets.length === 0 ? undefined : createPassThrough(targets);
}

function trimmed(origin: string): string {
  return origin.replace(/\/$/, "");
}

function tlsOf(tls: UpstreamConfig["tls"]): PassThroughTarget["tls"] {
  if (tls === undefined || tls === true) return undefined;
  return {
    ...(tls.ca === undefined ? {} : { ca: readFileSync(tls.ca) }),
    ...(tls.cert === undefined ? {} : { cert: readFileSync(tls.cert) }),
    ...(tls.key === undefined ? {} : { key: readFileSync(tls.key) }),
    ...(tls.server_name === undefined ? {} : { servername: tls.server_name }),
  };
}
