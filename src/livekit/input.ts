import type { Identity } from "../auth/identity.js";
import type { LocalRequest } from "../bindings/built-in-route.js";
import { JsonFields } from "../bindings/json-fields.js";
import { requestFailure, TranscodeError } from "../codec/error.js";
import { eachParameter } from "../codec/json-to-wire/query.js";
import { nearest } from "../config/nearest.js";
import { GatewayError } from "../status/failure.js";

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

/** @throws GatewayError naming the field or parameter that is not text, unknown or repeated */
export function readInput(request: LocalRequest, names: InputNames): TokenInput {
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
  const fields = new JsonFields(bytes, [...names]);
  const texts = new Map<string, string>();
  for (const name of names) {
    const text = fields.optionalText(name);
    if (text !== undefined) texts.set(name, text);
  }
  return texts;
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
