import { requestFailure, TranscodeError } from "../codec/error.js";
import { describeJson, isJsonObject, type JsonObject } from "../codec/json.js";
import { parseJson } from "../codec/json-to-wire/parse-json.js";
import { GatewayError, gatewayError } from "../status/failure.js";

/** The gateway's own bodies are flat; this is for naming the member of one that is not. */
const depth = 32;

/** Whether a content type, with any parameters, is JSON. */
export function isJsonType(contentType: string): boolean {
  const [type = ""] = contentType.toLowerCase().split(";");
  return jsonTypes.test(type.trim());
}

const jsonTypes = /^application\/(json|[a-z0-9.!#$&^_-]+\+json)$/;

/**
 * Refuses content types other than JSON in UTF-8 (RFC 8259 §8.1). An empty `charset` counts as none.
 * @throws GatewayError UNSUPPORTED_MEDIA_TYPE
 */
export function requireJsonType(contentType: string): void {
  if (contentType === "application/json") return;
  const [, ...parameters] = contentType.toLowerCase().split(";");
  if (!isJsonType(contentType)) {
    throw unsupported(`expected content-type application/json, found "${contentType.slice(0, 64)}"`);
  }
  for (const parameter of parameters) {
    const [name, value = ""] = parameter.split("=");
    const charset = value.trim().replace(/^"(.*)"$/, "$1");
    if (name?.trim() === "charset" && charset !== "" && charset !== "utf-8" && charset !== "utf8") {
      throw unsupported(`expected charset utf-8, found "${charset.slice(0, 64)}"`);
    }
  }
}

/** @throws GatewayError UNSUPPORTED_MEDIA_TYPE where the body is compressed */
export function requireUncompressed(encoding: string | undefined): void {
  if (encoding === undefined || encoding.trim().toLowerCase() === "identity") return;
  const message = `request bodies must not be compressed, found content-encoding "${encoding.slice(0, 64)}"`;
  // RFC 9110 §15.5.16
  throw gatewayError("UNSUPPORTED_MEDIA_TYPE", message, [], { headers: [["accept-encoding", "identity"]] });
}

/** `requireJsonType` and `requireUncompressed` for a request that has a body; without a type it counts as JSON. */
export function requireJsonBody(request: {
  readonly body: Uint8Array;
  header(name: string): string | undefined;
}): void {
  if (request.body.length === 0) return;
  requireUncompressed(request.header("content-encoding"));
  const contentType = request.header("content-type");
  if (contentType !== undefined) requireJsonType(contentType);
}

/**
 * The one JSON object that a body must be, read as strictly as messages are: no repeated names, no bytes that are not
 * UTF-8, numbers with the digits that were sent.
 * @throws GatewayError MALFORMED_JSON, DUPLICATE_KEY, TOO_DEEP or INVALID_VALUE
 */
export function parseJsonObject(body: Uint8Array): JsonObject {
  try {
    const json = parseJson(body, { depth });
    if (isJsonObject(json)) return json;
    const message = `the body must be a JSON object, found ${describeJson(json)}`;
    throw new TranscodeError("INVALID_VALUE", "", message);
  } catch (error) {
    if (!(error instanceof TranscodeError)) throw error;
    const { reason, message } = error;
    if (reason !== "MALFORMED_JSON") throw new GatewayError(requestFailure(error));
    throw gatewayError(reason, `the body is not valid JSON: ${message}`);
  }
}

function unsupported(message: string): GatewayError {
  return gatewayError("UNSUPPORTED_MEDIA_TYPE", message);
}
