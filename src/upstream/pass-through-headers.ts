import type { IncomingHttpHeaders } from "node:http";
import { connectionHeaders, connectionOptions } from "../config/own-header.js";
import type { Passed } from "./pass-through-request.js";

/** Names what was said of a request that comes over the private socket. */
export const ticketHeader = "x-protogate-ticket";

/** Without what belongs to the connection that the headers came over, and what their `connection` names. */
export function endToEnd(headers: IncomingHttpHeaders): IncomingHttpHeaders {
  // Several lines come as several values, whatever the type says.
  const named = connectionOptions(String(headers.connection ?? ""));
  const kept: IncomingHttpHeaders = {};
  for (const [name, value] of Object.entries(headers)) {
    if (!connectionHeaders.has(name) && !named.has(name)) kept[name] = value;
  }
  return kept;
}

/** What the backend is told of a request: what the client may say, end to end, and what the gateway says. */
export function toldHeaders(
  headers: IncomingHttpHeaders,
  { headers: own, ownHeader }: Passed,
): Record<string, string | string[]> {
  const all: Record<string, string | string[]> = {};
  for (const [name, value] of Object.entries(endToEnd(headers))) {
    // Some backends take `_` in a name for `-`.
    const canonical = name.replaceAll("_", "-");
    if (value === undefined || canonical === ticketHeader) continue;
    // Who asks whether to send its body has been told to.
    if (canonical === "expect" || Object.hasOwn(own, canonical) || ownHeader(canonical)) continue;
    all[name] = value;
  }
  for (const [name, value] of Object.entries(own)) if (value !== undefined) all[name] = value;
  return all;
}

/**
 * What the client is told of a reply. A `location` on the backend becomes one below the prefix.
 * @param rewrite what the backend sees in place of the prefix
 */
export function repliedHeaders(
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
