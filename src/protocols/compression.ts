import { ExpansionError, expand } from "../net/gzip.js";
import { type GatewayError, gatewayError } from "../status/failure.js";

/** The encodings of messages that the gateway reads and writes; `identity` is none. */
export type MessageEncoding = "identity" | "gzip";

/** As headers list them. */
const acceptedEncodings = "gzip, identity";

/** Smaller messages are not worth compressing. */
const smallest = 1024;

/**
 * The encoding that a header names.
 * @throws GatewayError UNSUPPORTED_ENCODING; `header` then lists what is accepted, as the response's `accepted`
 */
export function encodingOf(value: string | undefined, header: string, accepted: string): MessageEncoding {
  if (value === undefined || value === "" || value === "identity") return "identity";
  if (value === "gzip") return "gzip";
  const message = `${header} "${value.slice(0, 64)}" is not supported; expected gzip or identity`;
  throw gatewayError("UNSUPPORTED_ENCODING", message, [], { headers: [[accepted, acceptedEncodings]] });
}

/**
 * Whether responses are compressed: only for a client that compresses its requests and accepts gzip, since compressing
 * costs more than the call.
 * @param accepts the header by which the client accepts gzip
 */
export function compresses(request: MessageEncoding, accepts: string | undefined): boolean {
  return request === "gzip" && accepts !== undefined && /(?:^|[,\s])gzip(?:[,;\s]|$)/.test(accepts);
}

/** Whether a message is worth compressing. */
export function worthCompressing(message: Uint8Array): boolean {
  return message.length >= smallest;
}

/**
 * Never gives more than `limit` bytes, nor makes them.
 * @throws (or rejects with) GatewayError BODY_TOO_LARGE, MALFORMED_ENVELOPE
 */
export function decompress(bytes: Uint8Array, limit: number): Buffer | Promise<Buffer> {
  try {
    const message = expand(bytes, limit);
    return message instanceof Promise
      ? message.catch(error => {
          throw decompressionError(error, limit);
        })
      : message;
  } catch (error) {
    throw decompressionError(error, limit);
  }
}

function decompressionError(error: unknown, limit: number): GatewayError {
  return error instanceof ExpansionError && error.tooLarge
    ? gatewayError("BODY_TOO_LARGE", `a compressed message expands to more than ${limit} bytes`)
    : gatewayError("MALFORMED_ENVELOPE", "a compressed message is not valid gzip");
}
