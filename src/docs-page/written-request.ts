import type { LocalRequest } from "../bindings/built-in-route.js";
import { parseJsonObject, requireJsonBody } from "../bindings/json-body.js";
import { describeJson, type JsonValue } from "../codec/json.js";
import { nearest } from "../config/nearest.js";
import type { WrittenRequest } from "../explain/explanation.js";
import { gatewayError } from "../status/failure.js";

/** Bytes of a request for an explanation. */
export const maxExplainBytes = 512 * 1024;

const maxTargetChars = 16 * 1024;
const maxHeaders = 200;

const members = ["method", "target", "headers", "body"];

/**
 * The request that is to be explained: `{"method", "target", "headers": [[name, value]], "body"}`, the last two may be left out.
 * @throws GatewayError
 */
export function writtenRequest(request: LocalRequest): WrittenRequest {
  requireJsonBody(request);
  const json = parseJsonObject(request.body);
  for (const name of Object.keys(json)) {
    if (members.includes(name)) continue;
    const near = nearest(name, members);
    const hint = near === undefined ? "" : `; did you mean "${near}"?`;
    throw gatewayError(
      "UNKNOWN_FIELD",
      `${name.slice(0, 64)}: expected method, target, headers and body${hint}`,
    );
  }
  const method = text("method", json.method).toUpperCase();
  const target = text("target", json.target);
  if (!/^[!#$%&'*+.^_`|~0-9A-Z-]{1,32}$/.test(method))
    throw invalid("method", "an HTTP method such as GET", json.method);
  if (!target.startsWith("/") || target.length > maxTargetChars)
    throw invalid(
      "target",
      `a path of at most ${maxTargetChars} characters that begins with "/"`,
      json.target,
    );
  const headers = headersOf(json.headers);
  const body = json.body === undefined ? "" : text("body", json.body);
  return { method, target, header: name => headers.get(name), body: new TextEncoder().encode(body) };
}

/** By lower-case name; several values are joined. */
function headersOf(value: JsonValue | undefined): ReadonlyMap<string, string> {
  const headers = new Map<string, string>();
  if (value === undefined) return headers;
  if (!Array.isArray(value) || value.length > maxHeaders)
    throw invalid("headers", `at most ${maxHeaders} pairs [name, value]`, value);
  for (const pair of value) {
    if (!Array.isArray(pair) || pair.length !== 2) throw invalid("headers", "pairs [name, value]", pair);
    const name = text("headers", pair[0]).toLowerCase();
    const earlier = headers.get(name);
    const own = text("headers", pair[1]);
    headers.set(name, earlier === undefined ? own : `${earlier}${name === "cookie" ? "; " : ", "}${own}`);
  }
  return headers;
}

function text(name: string, value: JsonValue | undefined): string {
  if (typeof value === "string") return value;
  throw invalid(name, "a string", value);
}

function invalid(name: string, expected: string, found: JsonValue | undefined) {
  return gatewayError(
    "INVALID_VALUE",
    `${name}: expected ${expected}, found ${found === undefined ? "nothing" : describeJson(found)}`,
  );
}
