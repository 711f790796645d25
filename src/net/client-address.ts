import { trustedAddresses } from "./forwarded-list.js";

/**
 * The address of the client as far as the proxies in front may be believed: of what they say the leftmost that is an
 * address, else the peer.
 * @param peer address of the socket's other end
 * @param forwardedFor `x-forwarded-for` as it came, several lines joined by commas
 * @param trustedHops how many proxies in front are trusted, the peer included
 */
export function clientAddress(peer: string, forwardedFor: string | undefined, trustedHops: number): string {
  return trustedAddresses(forwardedFor, trustedHops)[0] ?? peer;
}
