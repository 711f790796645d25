import type { RequestOrigins } from "../auth/request-origins.js";
import type { Exchange } from "./exchange.js";

/**
 * Refuses a body without Content-Type of a page that may not act for whoever looks at it.
 * @throws GatewayError ORIGIN_NOT_ALLOWED
 */
export function acceptType(exchange: Exchange, origins: RequestOrigins): void {
  if (exchange.header("content-type") === undefined) origins.requireForBody(exchange);
}
