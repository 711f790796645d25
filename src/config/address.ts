import { isIPv6 } from "node:net";

/** A TCP address as written in the configuration. An IPv6 host has no brackets. */
export interface Address {
  readonly host: string;
  /** 0 to 65535. */
  readonly port: number;
}

/** Where an upstream's endpoint is. */
export type Target =
  | ({ readonly kind: "dns" } & Address)
  | ({ readonly kind: "host" } & Address)
  | { readonly kind: "unix"; readonly path: string };

const hostName = /^(?!-)[A-Za-z0-9_-]{1,63}(\.[A-Za-z0-9_-]{1,63})*\.?$/;

/** True for a DNS name, an IPv4 address or an IPv6 address without brackets. */
export function isHost(host: string): boolean {
  return host.length <= 253 && (hostName.test(host) || isIPv6(host));
}

/**
 * `host:port`, `[::1]:port`, or `:port`, which means every IPv4 interface (`0.0.0.0`).
 * Undefined where the text is none of them.
 */
export function parseAddress(text: string): Address | undefined {
  return text.startsWith(":") ? hostAndPort(`0.0.0.0${text}`) : hostAndPort(text);
}

/**
 * An endpoint in gRPC's naming (https://github.com/grpc/grpc/blob/master/doc/naming.md):
 * `dns:///host:port`, `host:port`, `[::1]:port`, `unix:/path` or `unix:///path`, paths absolute, ports from 1.
 * Undefined where the text is none of them.
 */
export function parseTarget(text: string): Target | undefined {
  if (text.startsWith("unix:")) {
    const path = text.slice(5).replace(/^\/\/(?=\/)/, "");
    return /^\/[^/]/.test(path) ? { kind: "unix", path } : undefined;
  }
  const dns = text.startsWith("dns:///");
  const address = hostAndPort(dns ? text.slice(7) : text);
  if (address === undefined || address.port === 0) return undefined;
  return { kind: dns ? "dns" : "host", ...address };
}

/** Whether requests to a URL cross a network in plain text. */
export function isPlainUrl(url: string): boolean {
  if (!URL.canParse(url)) return false;
  const { protocol, hostname } = new URL(url);
  return protocol === "http:" && !isLoopback(hostname.replace(/^\[|\]$/g, ""));
}

/** True for a host that only this machine reaches. */
export function isLoopback(host: string): boolean {
  return (
    host.toLowerCase() === "localhost" || host === "::1" || /^(?:::ffff:)?127(?:\.[0-9]{1,3}){3}$/i.test(host)
  );
}

function hostAndPort(text: string): Address | undefined {
  const [, bracketed, plain, digits] = /^(?:\[([^\]]*)\]|([^:]*)):(\d{1,5})$/.exec(text) ?? [];
  const port = Number(digits);
  const host = bracketed ?? plain ?? "";
  const known = bracketed === undefined ? hostName.test(host) && isHost(host) : isIPv6(bracketed);
  return known && port <= 65535 ? { host, port } : undefined;
}
