import type { Identity } from "../auth/identity.js";
import type { RequestOrigins } from "../auth/request-origins.js";
import type { PassThroughBinding } from "../bindings/snapshot.js";
import type { Exchange, HeaderList } from "../server/exchange.js";
import { GatewayError, gatewayFailure } from "../status/failure.js";
import type { Passed, PassedHeaders } from "../upstream/pass-through.js";
import { requestMetadata } from "./metadata.js";

/** Who is told what becomes of a request; the first of several failures alone. */
export type Told = Pick<Passed, "failed" | "received" | "sent">;

/** What a pass-through prefix takes; the rarer methods of other specifications too. */
const allow: readonly string[] = ["DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"];

/**
 * Hands a request to the HTTP backend of its prefix.
 * @returns the status that was sent
 * @throws GatewayError BODY_TOO_LARGE, MALFORMED_REQUEST, METHOD_NOT_ALLOWED, ROUTE_NOT_FOUND; rejects with
 *   CLIENT_CLOSED, REQUEST_TIMEOUT, MALFORMED_REQUEST where the request has ended before it is passed on
 */
export function passOn(
  exchange: Exchange,
  { bodyLimit, websocket, application, check, ownHeader }: PassThroughBinding,
  identity: Identity | undefined,
  requestId: string,
  origins: RequestOrigins,
  replyHeaders: HeaderList,
  told: Told,
): Promise<number> {
  const { method } = exchange;
  // A backend that is asked to say what it was asked would tell what only it is told (RFC 9110 §9.3.8).
  if (method === "TRACE" || method === "CONNECT") {
    const message = `${method} is not passed on`;
    throw new GatewayError(gatewayFailure("METHOD_NOT_ALLOWED", message, [], { allow }));
  }
  if ((method === "GET" || method === "HEAD") && announcesBody(exchange)) {
    throw new GatewayError(gatewayFailure("MALFORMED_REQUEST", `a ${method} request has no body`));
  }
  if (Number(exchange.header("content-length") ?? 0) > bodyLimit) {
    throw new GatewayError(gatewayFailure("BODY_TOO_LARGE", `the body is limited to ${bodyLimit} bytes`));
  }
  check?.(exchange);
  if (exchange.upgrade && !websocket) {
    throw new GatewayError(gatewayFailure("ROUTE_NOT_FOUND", "no WebSocket is served here"));
  }
  const headers = passedHeaders(exchange, identity, requestId, origins);
  let known = false;
  const passed: Passed = {
    ...told,
    headers,
    ownHeader,
    bodyLimit,
    failed: failure => {
      if (!known) told.failed(failure);
      known = true;
    },
  };
  return exchange.passOn(application, passed, replyHeaders);
}

/** RFC 9112 §6.3 */
function announcesBody(exchange: Exchange): boolean {
  const coding = exchange.header("transfer-encoding");
  return coding !== undefined || Number(exchange.header("content-length") ?? 0) > 0;
}

/** What the backend is told in place of what the client claims; the same as RPC backends are told in metadata. */
function passedHeaders(
  exchange: Exchange,
  identity: Identity | undefined,
  requestId: string,
  origins: RequestOrigins,
): PassedHeaders {
  const headers: Record<string, string | undefined> = { forwarded: undefined, "x-real-ip": undefined };
  for (const [name, value] of requestMetadata(exchange, [], identity?.metadata, requestId, origins)) {
    if (typeof value === "string") headers[name] = value;
  }
  return headers;
}
