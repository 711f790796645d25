import type { RequestOrigins } from "../auth/request-origins.js";
import { GatewayError, gatewayFailure } from "../status/failure.js";
import type { Exchange } from "./exchange.js";

/**
 * Refuses bodies that are not JSON in UTF-8. A missing Content-Type counts as JSON; form and text types do not, so
 * that a page of another origin cannot post without a preflight.
 * @throws GatewayError UNSUPPORTED_MEDIA_TYPE
 */
export function requireJson(exchange: Exchange): void {
  const contentType = exchange.header("content-type");
  if (contentType === undefined) return;
  const [type = "", ...parameters] = contentType.toLowerCase().split(";");
  const mediaType = type.trim();
  if (mediaType !== "application/json" && !/^application\/[a-z0-9.!#$&^_-]+\+json$/.test(mediaType)) {
    throw unsupported(`expected content-type application/json, found "${contentType.slice(0, 64)}"`);
  }
  for (const parameter of parameters) {
    const [name, value = ""] = parameter.split("=");
    const charset = value.trim().replace(/^"(.*)"$/, "$1");
    if (name?.trim() === "charset" && charset !== "utf-8" && charset !== "utf8") {
      throw unsupported(`expected charset utf-8, found "${charset.slice(0, 64)}"`);
    }
  }
}

/**
 * Refuses a body without Content-Type of a page that may not act for whoever looks at it.
 * @throws GatewayError ORIGIN_NOT_ALLOWED
 */
export function acceptType(exchange: Exchange, origins: RequestOrigins): void {
  if (exchange.header("content-type") === undefined) origins.requireForBody(exchange);
}

/** @throws GatewayError UNSUPPORTED_MEDIA_TYPE where the body is compressed */
export function requireIdentity(exchange: Exchange): void {
  const encoding = exchange.header("content-encoding");
  if (encoding !== undefined && encoding.trim().toLowerCase() !== "identity") {
    throw unsupported(
      `request bodies must not be compressed, found content-encoding "${encoding.slice(0, 64)}"`,
    );
  }
}

function unsupported(message: string): GatewayError {
  return new GatewayError(gatewayFailure("UNSUPPORTED_MEDIA_TYPE", message));
}
