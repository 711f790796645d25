import { GatewayError, gatewayFailure } from "../../status/failure.js";
import { invalid } from "./rooms-api.js";

/** The members of a JSON object, each read as what it must be. @throws GatewayError naming the member */
export interface JsonBody {
  text(name: string): string;
  optionalText(name: string): string | undefined;
  texts(name: string): readonly string[];
}

/** @throws GatewayError MALFORMED_JSON, INVALID_VALUE, and UNKNOWN_FIELD for members that are not `known` */
export function jsonBody(text: string, known: readonly string[]): JsonBody {
  const members = objectOf(text);
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
      if (Array.isArray(value) && value.every(each => typeof each === "string")) return value;
      throw invalid(name, value === undefined ? "not provided" : "expected a list of strings");
    },
  };
}

function objectOf(text: string): Readonly<Record<string, unknown>> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new GatewayError(gatewayFailure("MALFORMED_JSON", "the body is not valid JSON"));
  }
  if (typeof value === "object" && value !== null && !Array.isArray(value)) {
    return value as Readonly<Record<string, unknown>>;
  }
  throw invalid("", "the body must be a JSON object");
}
