import type { Binding } from "../bindings/snapshot.js";
import { BodyTooLargeError } from "../server/exchange.js";
import { bodyFailure } from "../server/incoming-body.js";
import { GatewayError } from "../status/failure.js";
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
