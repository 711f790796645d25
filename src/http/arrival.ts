import type { Binding } from "../bindings/snapshot.js";
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
    if (error instanceof BodyTimeoutError)
      throw refuse("REQUEST_TIMEOUT", "the body did not arrive within the time for a request");
    if (error instanceof MalformedBodyError)
      throw refuse("MALFORMED_REQUEST", "the body is not valid HTTP/1.1");
    throw refuse("CLIENT_CLOSED", "the request ended before its body was complete");
  }
}
