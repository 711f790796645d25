import type { Binding } from "../bindings/snapshot.js";
import { type Failure, GatewayError, gatewayFailure } from "../status/failure.js";
import { BodyTimeoutError, BodyTooLargeError, MalformedBodyError } from "./exchange.js";
import { refuse } from "./failure-answer.js";

/**
 * A body whose promise was waited for.
 * @throws GatewayError BODY_TOO_LARGE, REQUEST_TIMEOUT, MALFORMED_REQUEST, CLIENT_CLOSED
 */
export async function arrived({ bodyLimit }: Binding, body: Promise<Uint8Array>): Promise<Uint8Array> {
  try {
    return await body;
  } catch (error) {
    if (error instanceof BodyTooLargeError)
      throw refuse("BODY_TOO_LARGE", `the body is limited to ${bodyLimit} bytes`);
    throw new GatewayError(bodyFailure(error, "the request ended before its body was complete"));
  }
}

/** Why a body has not come to its end. @param left what is said where its client has left */
export function bodyFailure(error: unknown, left: string): Failure {
  if (error instanceof BodyTimeoutError)
    return gatewayFailure("REQUEST_TIMEOUT", "the body did not arrive within the time for a request");
  if (error instanceof MalformedBodyError)
    return gatewayFailure("MALFORMED_REQUEST", "the body is not valid HTTP/1.1");
  return gatewayFailure("CLIENT_CLOSED", left);
}
