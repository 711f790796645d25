import type { LocalRequest } from "../bindings/built-in-route.js";
import { requireJsonBody } from "../bindings/json-body.js";
import { JsonFields, unexpectedField } from "../bindings/json-fields.js";
import type { JsonValue } from "../codec/json.js";
import type { WrittenRequest } from "../explain/explanation.js";

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
  const fields = new JsonFields(request.body, members);
  const method = fields.text("method").toUpperCase();
  const target = fields.text("target");
  if (!/^[!#$%&'*+.^_`|~0-9A-Z-]{1,32}$/.test(method))
    throw unexpectedField("method", "an HTTP method such as GET", method);
  if (!target.startsWith("/") || target.length > maxTargetChars)
    throw unexpectedField(
      "target",
      `a path of at most ${maxTargetChars} characters that begins with "/"`,
      target,
    );
  const headers = headersOf(fields.value("headers"));
  const body = fields.optionalText("body") ?? "";
  return { method, target, header: name => headers.get(name), body: new TextEncoder().encode(body) };
}

/** By lower-case name; several values are joined. */
function headersOf(value: JsonValue | undefined): ReadonlyMap<string, string> {
  const headers = new Map<string, string>();
  if (value === undefined) return headers;
  if (!Array.isArray(value) || value.length > maxHeaders)
    throw unexpectedField("headers", `at most ${maxHeaders} pairs [name, value]`, value);
  for (const pair of value) {
    if (!Array.isArray(pair) || pair.length !== 2)
      throw unexpectedField("headers", "pairs [name, value]", pair);
    const name = headerText(pair[0]).toLowerCase();
    const earlier = headers.get(name);
    const own = headerText(pair[1]);
    headers.set(name, earlier === undefined ? own : `${earlier}${name === "cookie" ? "; " : ", "}${own}`);
  }
  return headers;
}

function headerText(value: JsonValue = null): string {
  if (typeof value === "string") return value;
  throw unexpectedField("headers", "strings", value);
}
