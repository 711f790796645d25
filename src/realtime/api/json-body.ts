import { parseJsonObject } from "../../bindings/json-body.js";
import { GatewayError, gatewayFailure } from "../../status/failure.js";
import { invalid } from "./rooms-api.js";

/** The members of a JSON object, each read as what it must be. @throws GatewayError naming the member */
export interface JsonBody {
  text(name: string): string;
  optionalText(name: string): string | undefined;
  texts(name: string): readonly string[];
}

/** @throws GatewayError as `parseJsonObject` does, and UNKNOWN_FIELD for members that are not `known` */
export function jsonBody(body: Uint8Array, known: readonly string[]): JsonBody {
  const members = parseJsonObject(body);
  for (const name of Object.keys(members)) {
    if (known.includes(name)) continue;
    const message = `unknown field ${JSON.stringify(name.slice(0, 64))}; expected ${known.join(", ")}`;
    throw new GatewayError(gatewayFailure("UNKNOWN_FIELD", message));
  }
  const optionalText = (name: string): string | undefined => {
    const value = members[name];
    if (value === undefined || value === null || typeof value === "string") return value ?? undefined;
    throw invalid(name, "expected a string");
  };
  return {
    optionalText,
    text: name => {
      const value = optionalText(name);
      if (value === undefined) throw invalid(name, "not provided");
      return value;
    },
    texts: name => {
      const value = members[name];
      if (Array.isArray(value) && value.every((each): each is string => typeof each === "string"))
        return value;
      throw invalid(name, value === undefined ? "not provided" : "expected a list of strings");
    },
  };
}
