import { isIP, SocketAddress } from "node:net";
import { plainAddress } from "./peer-address.js";

/**
 * The `x-forwarded-*` headers of proxies in front. Each trusted proxy adds an element at the right end of a list, so
 * that exactly as many elements as there are trusted proxies are theirs; elements further left are the client's own
 * claim and are never read.
 */

/**
 * The element of the trusted proxy that is farthest from here; of a shorter list its first. Undefined without a list, or
 * with no trusted proxy.
 */
export function trustedElement(list: string | undefined, trustedHops: number): string | undefined {
  if (list === undefined || trustedHops === 0) return undefined;
  let start = list.length;
  let end = start;
  for (let hop = 0; hop < trustedHops && start >= 0; hop++) {
    end = start;
    start = start === 0 ? -1 : list.lastIndexOf(",", start - 1);
  }
  return unquoted(list.slice(start + 1, end));
}

/** The addresses of the callers of trusted proxies, in the order of the list; other elements are left out. */
export function trustedAddresses(list: string | undefined, trustedHops: number): string[] {
  const addresses: string[] = [];
  if (list === undefined) return addresses;
  let end = list.length;
  for (let hop = 0; hop < trustedHops && end >= 0; hop++) {
    const comma = end === 0 ? -1 : list.lastIndexOf(",", end - 1);
    const address = addressIn(unquoted(list.slice(comma + 1, end)));
    if (address !== undefined) addresses.push(address);
    end = comma;
  }
  return addresses.reverse();
}

/** The scheme by which the client has called, according to trusted proxies. */
export function trustedScheme(list: string | undefined, trustedHops: number): "http" | "https" | undefined {
  switch (trustedElement(list, trustedHops)?.toLowerCase()) {
    case "https":
    case "wss":
      return "https";
    case "http":
    case "ws":
      return "http";
    default:
      return undefined;
  }
}

/** The host that the client has requested, according to trusted proxies. */
export function trustedHost(list: string | undefined, trustedHops: number): string | undefined {
  const host = trustedElement(list, trustedHops);
  return host !== undefined && host !== "" && isHostHeader(host) ? host : undefined;
}

/**
 * Whether a Host header is one (RFC 9110 §7.2): a name, an IPv4 address or an IPv6 address in brackets, and a port or
 * none; empty where the target has no authority. A comma, which RFC 3986 allows in names, comes only of joined lines.
 */
export function isHostHeader(text: string): boolean {
  return text.length <= maxHostLength && hostPattern.test(text);
}

const maxHostLength = 255;
const hostPattern = /^(?:\[[0-9a-f:.]+\]|(?:[\w.~!$&'()*+;=-]|%[0-9a-f]{2})*)(?::[0-9]{0,5})?$/i;

/** Longer elements are no address. */
const maxAddressLength = 64;

/** The address of an element, which some proxies write with a port or in brackets; undefined where it has none. */
function addressIn(element: string): string | undefined {
  if (element.length > maxAddressLength) return undefined;
  const [, bracketed, v4] =
    /^(?:\[([^\]]*)\](?::\d{1,5})?|(\d+\.\d+\.\d+\.\d+):\d{1,5})$/.exec(element) ?? [];
  const address = (bracketed ?? v4 ?? element).replace(/%.*$/, "");
  switch (isIP(address)) {
    case 4:
      return address;
    case 6:
      // One spelling for each address, since limits and logs compare it as text.
      return plainAddress(new SocketAddress({ address, family: "ipv6" }).address);
    default:
      return undefined;
  }
}

/** Elements with a colon are quoted by some proxies, as RFC 7239 §4 requires for `Forwarded`. */
function unquoted(element: string): string {
  const text = element.trim();
  return text.length > 1 && text.startsWith('"') && text.endsWith('"') ? text.slice(1, -1) : text;
}

/**
 * The address of the client as far as the proxies in front are trusted: the leftmost of their elements that is an
 * address, else the peer.
 * @param peer address of the socket's other end
 * @param forwardedFor `x-forwarded-for` as it came, several lines joined by commas
 * @param trustedHops how many proxies in front are trusted, the peer included
 */
export function clientAddress(peer: string, forwardedFor: string | undefined, trustedHops: number): string {
  return trustedAddresses(forwardedFor, trustedHops)[0] ?? peer;
}
