import { isHostHeader } from "../net/forwarded-list.js";
import { gatewayError } from "../status/failure.js";

/** The last header that was a host: most requests have the same. */
let lastHost: string | undefined;

/**
 * @param host the Host header; undefined where there is none, as HTTP/1.0 allows
 * @throws GatewayError INVALID_HEADER where it is no host (RFC 9110 §7.2)
 */
export function requireHost(host: string | undefined): void {
  if (host === undefined || host === lastHost) return;
  if (!isHostHeader(host))
    throw gatewayError("INVALID_HEADER", "the Host header is not a valid host; expected name or name:port");
  lastHost = host;
}
