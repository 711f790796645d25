import type { RequestOrigins } from "../auth/request-origins.js";
import type { RpcBinding } from "../bindings/binding.js";
import { isJsonType, requireJsonType, requireUncompressed } from "../bindings/json-body.js";
import { bodyFailure, type InboundRequest } from "../server/inbound-request.js";
import { GatewayError } from "../status/failure.js";
import { formKind } from "../uploads/forms.js";

/**
 * Waits for a body that is on its way.
 * @param limit bytes
 * @throws GatewayError BODY_TOO_LARGE, REQUEST_TIMEOUT, MALFORMED_REQUEST, CLIENT_CLOSED
 */
export async function awaitBody(body: Promise<Uint8Array>, limit: number): Promise<Uint8Array> {
  try {
    return await body;
  } catch (error) {
    throw new GatewayError(bodyFailure(error, limit, "the request ended before its body was complete"));
  }
}

/** Bytes that the whole body of a request may have. */
export function bodyLimitOf({ bodyLimit, forms }: RpcBinding, request: InboundRequest): number {
  if (forms === undefined || formKind(request.header("content-type")) !== "multipart") return bodyLimit;
  return Math.max(bodyLimit, forms.body);
}

/** @throws GatewayError UNSUPPORTED_MEDIA_TYPE, ORIGIN_NOT_ALLOWED */
export function requireReadable(
  request: InboundRequest,
  { route, forms }: RpcBinding,
  origins: RequestOrigins,
): void {
  requireUncompressed(request.header("content-encoding"));
  const contentType = request.header("content-type");
  if (forms !== undefined && formKind(contentType) !== undefined) {
    // Pages may send forms without a preflight.
    origins.requireForBody(request);
    return;
  }
  if (route.policy.anyContentType) {
    // Pages may send some types that are not JSON (text, forms) without a preflight.
    if (!isJsonType(contentType ?? "")) origins.requireForBody(request);
    return;
  }
  requireType(request, origins);
  if (contentType !== undefined && !route.request.takesRawBody) requireJsonType(contentType);
}

/** @throws GatewayError UNSUPPORTED_MEDIA_TYPE where the body is compressed */
export function requireUncompressedBody(request: InboundRequest): void {
  requireUncompressed(request.header("content-encoding"));
}

/**
 * Refuses a body without Content-Type from a page that may not act for its visitor.
 * @throws GatewayError ORIGIN_NOT_ALLOWED
 */
export function requireType(request: InboundRequest, origins: RequestOrigins): void {
  if (request.header("content-type") === undefined) origins.requireForBody(request);
}
