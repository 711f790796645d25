import { isLoopback, isPlainUrl, parseAddress } from "../config/address.js";
import type { Path } from "../config/diagnostic.js";
import type { GatewayConfig } from "../gateway/config.js";
import { httpListenersOf, redirects } from "../server/config.js";
import { list, type Report } from "./rule.js";

export function plainListeners(config: GatewayConfig, report: Report): void {
  const { http, realtime, admin } = config.listeners;
  const plain: [Path, { readonly address: string; readonly tls?: unknown } | undefined][] = [
    ...httpListenersOf(http)
      .filter(({ listener }) => !redirects(listener))
      .map(({ at, listener }): (typeof plain)[number] => [at, listener]),
    [["listeners", "realtime"], realtime],
  ];
  const reachable = (address: string): boolean => !isLoopback(parseAddress(address)?.host ?? "");
  const proxied = config.http.forwarded.trusted_hops > 0;
  for (const [at, listener] of plain) {
    if (listener === undefined || listener.tls !== undefined || proxied || !reachable(listener.address))
      continue;
    report(
      "medium",
      "plain-listener",
      at,
      "credentials and data cross the network in plain text; expected tls, or http.forwarded.trusted_hops where a proxy in front ends TLS",
    );
  }
  if (admin.tls === undefined && reachable(admin.address))
    report(
      "high",
      "plain-admin-listener",
      ["listeners", "admin"],
      "the token of operators crosses the network in plain text; expected tls",
    );
}

export function upstreams(config: GatewayConfig, report: Report): void {
  for (const [name, { protocol, targets, tls, timeout }] of Object.entries(config.upstreams)) {
    const at = ["upstreams", name];
    const plain = targets.filter(target =>
      protocol === "http"
        ? isPlainUrl(target)
        : tls === undefined && !target.startsWith("unix:") && !isLoopback(hostOf(target)),
    );
    if (plain.length > 0)
      report(
        "low",
        "plain-upstream",
        at,
        `calls to ${list(plain)} cross the network in plain text; expected tls, or a network that nobody else is on`,
      );
    if (timeout === 0)
      report(
        "medium",
        "no-timeout",
        [...at, "timeout"],
        "a backend that hangs holds requests for ever; expected a duration such as 5s",
      );
  }
}

/** The host of a target of gRPC. */
function hostOf(target: string): string {
  const authority = target.slice(target.lastIndexOf("/") + 1);
  return parseAddress(authority)?.host ?? authority;
}
