import { trustedAddresses, trustedHost, trustedScheme } from "../net/forwarded-list.js";
import type { Exchange } from "../server/exchange.js";

/** What the backend is told of the client. */
export interface Forwarded {
  readonly for: string;
  readonly host: string;
  readonly proto: string;
}

/**
 * `x-forwarded-*` as sent to the backend. With no trusted proxy in front, whatever a client claims is replaced by what
 * the socket says; with `trustedHops` of them, what they say of the client is kept and the peer is added.
 */
export function forwardedOf(exchange: Exchange, trustedHops: number): Forwarded {
  const proto = exchange.encrypted ? "https" : "http";
  const host = exchange.header("host") ?? "";
  if (trustedHops === 0) return { for: exchange.remoteAddress, host, proto };
  const addresses = trustedAddresses(exchange.header("x-forwarded-for"), trustedHops);
  return {
    for: [...addresses, exchange.remoteAddress].join(", "),
    host: trustedHost(exchange.header("x-forwarded-host"), trustedHops) ?? host,
    proto: trustedScheme(exchange.header("x-forwarded-proto"), trustedHops) ?? proto,
  };
}
