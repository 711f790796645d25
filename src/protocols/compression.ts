import { gunzip, gunzipSync, gzip, gzipSync } from "node:zlib";
import { type GatewayError, gatewayError } from "../status/failure.js";

/** The encodings of messages that the gateway reads and writes; `identity` is none. */
export type MessageEncoding = "identity" | "gzip";

/** As headers list them. */
export const acceptedEncodings = "gzip, identity";

/** Up to this many bytes the work is done at once: handing it to another thread would cost more. */
const atOnce = 4096;

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
 * @param accepts the header by which the client says so
 */
export function compresses(request: MessageEncoding, accepts: string | undefined): boolean {
  return request === "gzip" && accepts !== undefined && /(?:^|[,\s])gzip(?:[,;\s]|$)/.test(accepts);
}

/** Whether a message is worth compressing. */
export function worthCompressing(message: Uint8Array): boolean {
  return message.length >= smallest;
}

export function compress(message: Uint8Array): Buffer | Promise<Buffer> {
  if (message.length <= atOnce) return gzipSync(message);
  return new Promise((resolve, reject) => {
    gzip(message, (error, bytes) => (error === null ? resolve(bytes) : reject(error)));
  });
}

/**
 * Never gives more than `limit` bytes, nor makes them.
 * @throws (or rejects with) GatewayError BODY_TOO_LARGE, MALFORMED_ENVELOPE
 */
export function decompress(bytes: Uint8Array, limit: number): Buffer | Promise<Buffer> {
  // A limit of 0 would mean none.
  const maxOutputLength = limit + 1;
  if (bytes.length <= atOnce) {
    let message: Buffer;
    try {
      message = gunzipSync(bytes, { maxOutputLength });
    } catch (error) {
      throw decompressionError(error, limit);
    }
    if (message.length > limit) throw decompressionError(tooLarge, limit);
    return message;
  }
  return new Promise((resolve, reject) => {
    gunzip(bytes, { maxOutputLength }, (error, message) => {
      if (error === null && message.length <= limit) resolve(message);
      else reject(decompressionError(error ?? tooLarge, limit));
    });
  });
}

const tooLarge = { code: "ERR_BUFFER_TOO_LARGE" };

function decompressionError(error: unknown, limit: number): GatewayError {
  const code = typeof error === "object" && error !== null && "code" in error ? error.code : undefined;
  return code === tooLarge.code
    ? gatewayError("BODY_TOO_LARGE", `a compressed message expands to more than ${limit} bytes`)
    : gatewayError("MALFORMED_ENVELOPE", "a compressed message is not valid gzip");
}
