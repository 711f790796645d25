import type { Identity } from "../auth/identity.js";
import type { PassThroughBinding } from "../bindings/snapshot.js";
import { GatewayError, gatewayFailure } from "../status/failure.js";
import type { Passed, PassedHeaders } from "../upstream/pass-through.js";
import type { Exchange, HeaderList } from "./exchange.js";
import { requestMetadata } from "./metadata.js";

/**
 * Hands a request to the HTTP backend of its prefix.
 * @param failed is told where no backend has answered
 * @returns the status that was sent
 * @throws GatewayError BODY_TOO_LARGE, INVALID_HEADER
 */
export function passOn(
  exchange: Exchange,
  { bodyLimit, websocket, application, check, ownHeader }: PassThroughBinding,
  identity: Identity | undefined,
  requestId: string,
  trustedHops: number,
  replyHeaders: HeaderList,
  failed: Passed["failed"],
): Promise<number> {
  if (Number(exchange.header("content-length") ?? 0) > bodyLimit) {
    throw new GatewayError(gatewayFailure("BODY_TOO_LARGE", `the body is limited to ${bodyLimit} bytes`));
  }
  check?.(name => exchange.header(name));
  if (exchange.upgrade && !websocket) {
    throw new GatewayError(gatewayFailure("ROUTE_NOT_FOUND", "no WebSocket is served here"));
  }
  const headers = passedHeaders(exchange, identity, requestId, trustedHops);
  return exchange.passOn(application, { headers, ownHeader, bodyLimit, failed }, replyHeaders);
}

/** What the backend is told in place of what the client claims; the same as RPC backends are told in metadata. */
function passedHeaders(
  exchange: Exchange,
  identity: Identity | undefined,
  requestId: string,
  trustedHops: number,
): PassedHeaders {
  const headers: Record<string, string | undefined> = { forwarded: undefined, "x-real-ip": undefined };
  for (const [name, value] of requestMetadata(exchange, [], identity, requestId, trustedHops)) {
    if (typeof value === "string") headers[name] = value;
  }
  return headers;
}
