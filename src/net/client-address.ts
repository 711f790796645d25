import { isIP } from "node:net";
import { plainAddress } from "./peer-address.js";

/**
 * The address of the client as far as the proxies in front may be believed. Each trusted proxy adds the address that
 * it was called from at the right end of `x-forwarded-for`, so that exactly as many entries as there are trusted
 * proxies are theirs; what stands further left is the client's own claim and is never looked at. Of theirs it is the
 * leftmost that is an address, else the peer.
 * @param peer address of the socket's other end
 * @param forwardedFor `x-forwarded-for` as it came, several lines joined by commas
 * @param trustedHops how many proxies in front are trusted, the peer included
 */
export function clientAddress(peer: string, forwardedFor: string | undefined, trustedHops: number): string {
  if (trustedHops === 0 || forwardedFor === undefined) return peer;
  let address = peer;
  let end = forwardedFor.length;
  for (let hop = 0; hop < trustedHops && end >= 0; hop++) {
    const comma = end === 0 ? -1 : forwardedFor.lastIndexOf(",", end - 1);
    address = addressIn(forwardedFor.slice(comma + 1, end).trim()) ?? address;
    end = comma;
  }
  return address;
}

/** The address of an entry, which some proxies write with a port or in brackets; undefined where it has none. */
function addressIn(entry: string): string | undefined {
  if (entry.length > 64) return undefined;
  const [, bracketed, v4] = /^(?:\[([^\]]*)\](?::\d{1,5})?|(\d+\.\d+\.\d+\.\d+):\d{1,5})$/.exec(entry) ?? [];
  const address = (bracketed ?? v4 ?? entry).replace(/%.*$/, "");
  return isIP(address) === 0 ? undefined : plainAddress(address.toLowerCase());
}
