import { isIPv4, isIPv6 } from "node:net";
import { parseTarget as parseConfigured } from "../../config/address.js";

/** One address that can be connected to, in gRPC's naming and in words. */
export interface EndpointAddress {
  /** `ipv4:10.0.0.7:50051`, `ipv6:[::1]:50051` or `unix:/run/x.sock`. */
  readonly uri: string;
  /** `10.0.0.7:50051`, `[::1]:50051` or `unix:/run/x.sock`. */
  readonly text: string;
}

/** A configured target: a name to be resolved, or the one address that it already is. */
export type UpstreamTarget = {
  /** What calls name as their authority: the target as configured, whatever it resolves to. */
  readonly authority: string;
} & (
  | { readonly kind: "name"; readonly host: string; readonly port: number }
  | { readonly kind: "address"; readonly address: EndpointAddress }
);

/**
 * Parses `dns:///host:port`, `host:port`, `[v6]:port`, `ipv4:a.b.c.d:port`, `ipv6:[v6]:port`, `unix:/path`
 * and `unix:///path` (https://github.com/grpc/grpc/blob/master/doc/naming.md).
 * @throws Error naming the target where it is none of them
 */
export function parseTarget(text: string): UpstreamTarget {
  const [, family, rest] = /^(ipv[46]):(.*)$/.exec(text) ?? [];
  const parsed = parseConfigured(rest ?? text);
  if (parsed === undefined) throw unknownForm(text);
  if (parsed.kind === "unix") {
    const uri = `unix:${parsed.path}`;
    return { kind: "address", address: { uri, text: uri }, authority: "localhost" };
  }
  const { host, port } = parsed;
  const literal = isIPv4(host) ? "ipv4" : isIPv6(host) ? "ipv6" : undefined;
  if (family !== undefined && (family !== literal || parsed.kind === "dns")) throw unknownForm(text);
  if (literal === undefined) return { kind: "name", host, port, authority: `${host}:${port}` };
  const address = addressOf(host, port);
  return { kind: "address", address, authority: address.text };
}

/** `host` is an IPv4 or IPv6 address without brackets. */
export function addressOf(host: string, port: number): EndpointAddress {
  if (isIPv6(host)) return { uri: `ipv6:[${host}]:${port}`, text: `[${host}]:${port}` };
  return { uri: `ipv4:${host}:${port}`, text: `${host}:${port}` };
}

function unknownForm(text: string): Error {
  return new Error(
    `expected a target such as dns:///host:50051, host:50051, [::1]:50051, ipv4:10.0.0.7:50051 or unix:/path, found "${text}"`,
  );
}
