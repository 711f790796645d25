import { isIP } from "node:net";
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
 */
export function forwardedOf(exchange: Exchange, trustedHops: number): Forwarded {
  const scheme = exchange.encrypted ? "https" : "http";
  const host = exchange.header("host") ?? "";
  if (trustedHops === 0) return { for: exchange.remoteAddress, host, proto: scheme };
  const claimed = exchange.header("x-forwarded-for")?.split(",") ?? [];
  const kept = claimed
    .slice(-trustedHops)
    .map(entry => entry.trim())
    .filter(entry => isIP(entry) !== 0);
  return {
    for: [...kept, exchange.remoteAddress].join(", "),
    host: exchange.header("x-forwarded-host") ?? host,
    proto: exchange.header("x-forwarded-proto") === "https" ? "https" : scheme,
  };
}
