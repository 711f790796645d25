import type { RequestOrigins } from "../auth/request-origins.js";
import { isJsonType } from "../bindings/json-body.js";
import type { Exchange } from "../server/exchange.js";

/**
 * Refuses a body without Content-Type of a page that may not act for whoever looks at it.
 * @throws GatewayError ORIGIN_NOT_ALLOWED
 */
export function acceptType(exchange: Exchange, origins: RequestOrigins): void {
  if (exchange.header("content-type") === undefined) origins.requireForBody(exchange);
}

/**
 * Does the same for every type that is not JSON, since pages may send some of those (text, forms) without a preflight.
 * @throws GatewayError ORIGIN_NOT_ALLOWED
 */
export function acceptAnyType(exchange: Exchange, origins: RequestOrigins): void {
  if (!isJsonType(exchange.header("content-type") ?? "")) origins.requireForBody(exchange);
}
