import { isIP } from "node:net";
import { GatewayError, gatewayFailure } from "../status/failure.js";
import type { Exchange } from "./exchange.js";

/** What the backend is told of the client. */
export interface Forwarded {
  readonly for: string;
  readonly host: string;
  readonly proto: string;
}

/**
 * `x-forwarded-*` as sent to the backend. With no trusted proxy in front, whatever a client claims is replaced by what
 * the socket says; with `trustedHops` of them, that many of the last entries are kept and the peer is added.
 * @throws GatewayError INVALID_HEADER where Host is none
 */
export function forwardedOf(exchange: Exchange, trustedHops: number): Forwarded {
  const scheme = exchange.encrypted ? "https" : "http";
  const host = exchange.header("host") ?? "";
  if (host !== lastHost) checkHost(host);
  if (trustedHops === 0) return { for: exchange.remoteAddress, host, proto: scheme };
  const claimed = exchange.header("x-forwarded-for")?.split(",") ?? [];
  const kept = claimed
    .slice(-trustedHops)
    .map(entry => entry.trim())
    .filter(entry => isIP(entry) !== 0);
  const claimedHost = exchange.header("x-forwarded-host")?.split(",").slice(-trustedHops)[0]?.trim();
  return {
    for: [...kept, exchange.remoteAddress].join(", "),
    host: claimedHost !== undefined && hostPattern.test(claimedHost) ? claimedHost : host,
    proto: exchange.header("x-forwarded-proto") === "https" ? "https" : scheme,
  };
}

/** The last host that was one: most requests have the same. */
let lastHost = "";

function checkHost(host: string): void {
  if (!hostPattern.test(host)) throw new GatewayError(gatewayFailure("INVALID_HEADER", "Host is not a host"));
  lastHost = host;
}

/** Printable ASCII: what a host can be and what metadata can carry. */
const hostPattern = /^[\x21-\x7e]{0,255}$/;
