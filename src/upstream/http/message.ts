import type { IncomingHttpHeaders } from "node:http";
import { connectionHeaders, connectionOptions } from "../../net/headers.js";
import { type Failure, GatewayError, gatewayError, gatewayFailure } from "../../status/failure.js";

/** Headers that replace a request's own or are added; `undefined` removes one. */
export type ForwardedHeaders = Readonly<Record<string, string | undefined>>;

/** Without the hop-by-hop headers: those of the connection, and those that `connection` names. */
export function endToEnd<Headers extends IncomingHttpHeaders>(headers: Headers): Headers {
  // Several lines come as several values, unlike the type.
  const named = connectionOptions(String(headers.connection ?? ""));
  // It frames the body.
  named.delete("content-length");
  const kept: IncomingHttpHeaders = {};
  for (const [name, value] of Object.entries(headers)) {
    if (!connectionHeaders.has(name) && !named.has(name)) kept[name] = value;
  }
  return kept as Headers;
}

/**
 * The headers that the backend gets: the client's, end to end, and the gateway's own.
 * @param ownHeader whether a header is not the client's to send, by lower-case name with `-` in place of `_`
 */
export function backendHeaders(
  client: Readonly<Record<string, string>>,
  own: ForwardedHeaders,
  ownHeader: (name: string) => boolean,
): Record<string, string> {
  const all: Record<string, string> = {};
  for (const [name, value] of Object.entries(endToEnd(client))) {
    // Some backends take `_` in a name for `-`.
    const canonical = name.replaceAll("_", "-");
    // The gateway handles `expect` itself.
    if (canonical === "expect" || Object.hasOwn(own, canonical) || ownHeader(canonical)) continue;
    all[name] = value;
  }
  for (const [name, value] of Object.entries(own)) if (value !== undefined) all[name] = value;
  return all;
}

/**
 * The headers of a backend's response that the client gets. A `location` on the backend becomes one below the prefix.
 * @param rewrite the replacement of the prefix at the backend
 */
export function clientHeaders(
  headers: IncomingHttpHeaders,
  prefix: string,
  rewrite: string,
): IncomingHttpHeaders {
  const kept = endToEnd(headers);
  const { location } = kept;
  const base = rewrite.replace(/\/$/, "");
  if (typeof location !== "string" || !/^\/(?!\/)/.test(location) || !location.startsWith(base)) return kept;
  const rest = location.slice(base.length);
  if (rest === "" || /^[/?#]/.test(rest)) kept.location = `${prefix}${rest}`;
  return kept;
}

/**
 * Path and query as the backend sees them: the segments of the prefix replaced, everything else byte for byte, so that
 * policies and the backend judge the same path.
 * @param prefix without `/` at its end
 * @param rewrite the replacement of the prefix
 * @throws GatewayError MALFORMED_PATH for a path that a backend may read as another one: control characters, dot
 *   segments, a backslash or a fragment
 */
export function backendTarget(path: string, query: string, prefix: string, rewrite: string): string {
  if (controls.test(path)) throw malformed("the path has an encoded control character");
  if (ambiguous.test(path)) throw malformed("the path has a dot segment, a backslash or a fragment");
  // The prefix may have come percent-encoded: it is counted in segments.
  let rest = 0;
  for (let left = prefix.split("/").length - 1; left > 0 && rest >= 0; left--)
    rest = path.indexOf("/", rest + 1);
  const base = rewrite.endsWith("/") ? rewrite.slice(0, -1) : rewrite;
  const mapped = rest < 0 ? rewrite : `${base}${path.slice(rest)}`;
  return `${mapped === "" ? "/" : mapped}${query === "" ? "" : `?${query}`}`;
}

const controls = /%(?:[01][0-9a-f]|7f)/i;
const ambiguous = /[\\#]|\/(?:\.|%2e){1,2}(?:\/|$)/i;

function malformed(message: string): GatewayError {
  return gatewayError("MALFORMED_PATH", message);
}

/** Why a backend has not sent its whole response. `@fastify/reply-from` wraps the error: the cause is the real one. */
export function backendFailure(error: Error & { code?: string }): Failure {
  const cause = error.cause instanceof Error ? (error.cause as typeof error) : error;
  if (cause instanceof GatewayError) return cause.failure;
  const code = cause.code ?? error.code ?? "";
  if (notReached.has(code) || notTrusted.test(code))
    return gatewayFailure("UPSTREAM_UNAVAILABLE", "no endpoint of the upstream could be reached");
  if (timedOut.test(code)) return gatewayFailure("UPSTREAM_TIMEOUT", "the upstream did not respond in time");
  return gatewayFailure("UPSTREAM_PROTOCOL", "the upstream broke the HTTP protocol");
}

/** The request was never sent. */
const notReached: ReadonlySet<string> = new Set([
  "ECONNREFUSED",
  "ENOTFOUND",
  "EAI_AGAIN",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "UND_ERR_CONNECT_TIMEOUT",
]);
/** Codes of OpenSSL and Node.js about certificates and handshakes. */
const notTrusted = /CERT|SIGNATURE|ERR_TLS|ERR_SSL/;
const timedOut = /TIMEOUT/;
