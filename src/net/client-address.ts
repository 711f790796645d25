import { isIP } from "node:net";

/**
 * The address of the client as far as the proxies in front may be believed.
 * @param peer address of the socket's other end
 * @param forwardedFor `x-forwarded-for` as it came
 * @param trustedHops how many proxies in front are trusted; what stands further left is the client's own claim
 */
export function clientAddress(peer: string, forwardedFor: string | undefined, trustedHops: number): string {
  if (trustedHops === 0 || forwardedFor === undefined) return peer;
  const entries = forwardedFor.split(",");
  const entry = entries[Math.max(0, entries.length - trustedHops)]?.trim() ?? "";
  return isIP(entry) === 0 ? peer : entry;
}
