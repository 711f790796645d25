import { GatewayError, gatewayFailure } from "../status/failure.js";

/**
 * Whether a page may open a socket. Browsers send `Origin` with every upgrade and let any page try; other clients send
 * none, and need no permission.
 * @param allowed origins such as `https://app.example.com`, or `*` for all; an empty list allows the host that is asked
 * @param host of the request
 */
export function isAllowedOrigin(
  origin: string | undefined,
  allowed: readonly string[],
  host: string | undefined,
): boolean {
  if (origin === undefined) return true;
  if (allowed.length > 0) return allowed.includes(origin) || allowed.includes("*");
  return URL.canParse(origin) && host !== undefined && new URL(origin).host === host.toLowerCase();
}

/** @throws GatewayError ORIGIN_NOT_ALLOWED, by the rules of `isAllowedOrigin` */
export function requireOrigin(
  origin: string | undefined,
  allowed: readonly string[],
  host: string | undefined,
): void {
  if (isAllowedOrigin(origin, allowed, host)) return;
  const message = "pages of this origin may not open a WebSocket here";
  throw new GatewayError(gatewayFailure("ORIGIN_NOT_ALLOWED", message));
}

/**
 * Whether cookies count as credentials: only where a page sent them whose origin is known to be meant. Else any page
 * could act for whoever looks at it.
 */
export function cookiesCount(origin: string | undefined, allowed: readonly string[]): boolean {
  return origin !== undefined && (allowed.length === 0 || allowed.includes(origin));
}
