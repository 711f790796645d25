import type { Identity } from "../auth/identity.js";
import type { EndpointRequest } from "../bindings/endpoint.js";
import { nearest } from "../config/nearest.js";
import { GatewayError, gatewayFailure } from "../status/failure.js";
import { TranscodeError } from "../transcode/error.js";
import { requestFailure } from "../transcode/failure.js";
import { describeJson, isJsonObject } from "../transcode/json.js";
import { parseJson } from "../transcode/parse-json.js";
import { eachParameter } from "../transcode/query.js";

/** Everything that a token may be made of. */
export interface TokenInput {
  /** Text fields of the JSON body. */
  readonly body: ReadonlyMap<string, string>;
  readonly query: ReadonlyMap<string, string>;
  /** In the order of the template. */
  readonly variables: readonly string[];
  readonly identity: Identity | undefined;
}

/** The names that a route reads; any other is refused. */
export interface InputNames {
  readonly body: ReadonlySet<string>;
  readonly query: ReadonlySet<string>;
}

/** A token request is flat; this is for naming the field of one that is not. */
const depth = 32;

/** @throws GatewayError naming the field or parameter that is not text, unknown or repeated */
export function readInput(request: EndpointRequest, names: InputNames): TokenInput {
  try {
    return {
      body: readBody(request.body, names.body),
      query: readQuery(request.query, names.query),
      variables: request.variables,
      identity: request.identity,
    };
  } catch (error) {
    if (error instanceof TranscodeError) throw new GatewayError(requestFailure(error));
    throw error;
  }
}

function readBody(bytes: Uint8Array, names: ReadonlySet<string>): ReadonlyMap<string, string> {
  const fields = new Map<string, string>();
  if (bytes.length === 0) return fields;
  const json = parseJson(bytes, { depth });
  if (!isJsonObject(json)) {
    throw new TranscodeError(
      "INVALID_VALUE",
      "",
      `the body must be a JSON object, found ${describeJson(json)}`,
    );
  }
  for (const [name, value] of Object.entries(json)) {
    if (!names.has(name)) {
      const message = "this route reads no such field; what a token allows is not for the client to say";
      throw new TranscodeError("UNKNOWN_FIELD", name, message, nearest(name, names));
    }
    if (value === null) continue;
    if (typeof value !== "string") {
      throw new TranscodeError("INVALID_VALUE", name, `expected a string, found ${describeJson(value)}`);
    }
    fields.set(name, value);
  }
  return fields;
}

function readQuery(raw: string, names: ReadonlySet<string>): ReadonlyMap<string, string> {
  const parameters = new Map<string, string>();
  if (raw === "") return parameters;
  eachParameter(raw, (name, value) => {
    if (!names.has(name)) {
      throw new TranscodeError(
        "UNKNOWN_PARAMETER",
        name,
        "this route has no such parameter",
        nearest(name, names),
      );
    }
    if (parameters.has(name)) throw new TranscodeError("REPEATED_PARAMETER", name, "send it once");
    parameters.set(name, value);
  });
  return parameters;
}

const jsonTypes = /^application\/(json|[a-z0-9.!#$&^_-]+\+json)$/;

/**
 * Refuses bodies that are not JSON in UTF-8, or are compressed. A missing Content-Type counts as JSON.
 * @throws GatewayError UNSUPPORTED_MEDIA_TYPE
 */
export function requireJsonBody(request: Pick<EndpointRequest, "header" | "body">): void {
  if (request.body.length === 0) return;
  const encoding = request.header("content-encoding")?.trim().toLowerCase() ?? "identity";
  if (encoding !== "identity") throw unsupported("request bodies must not be compressed");
  const contentType = request.header("content-type");
  if (contentType === undefined) return;
  const [type = "", ...parameters] = contentType.toLowerCase().split(";");
  if (!jsonTypes.test(type.trim())) throw unsupported("expected content-type application/json");
  const foreign = parameters.some(each => /^\s*charset\s*=/.test(each) && !/=\s*"?utf-?8"?\s*$/.test(each));
  if (foreign) throw unsupported("expected charset utf-8");
}

function unsupported(message: string): GatewayError {
  return new GatewayError(gatewayFailure("UNSUPPORTED_MEDIA_TYPE", message));
}
