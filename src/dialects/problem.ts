import { statusPhrase } from "../status/code.js";
import { shownCode } from "../status/failure.js";
import { codeSchema, type Dialect, detailsSchema, reasonSchema } from "./dialect.js";

/**
 * RFC 9457. The type is `about:blank`, so that the title is the phrase of the HTTP status (section 4.2.1); all other
 * data is in the extension members.
 */
export const problemDialect: Dialect = {
  name: "problem",
  failureSchema: {
    type: "object",
    properties: {
      type: { type: "string", format: "uri-reference" },
      title: { type: "string", description: "The phrase of the HTTP status." },
      status: { type: "integer", description: "The HTTP status." },
      detail: { type: "string", description: "For people." },
      instance: { type: "string", format: "uri-reference", description: "The path of the request." },
      code: codeSchema,
      reason: reasonSchema,
      details: detailsSchema,
      request_id: { type: "string" },
    },
    required: ["type", "title", "status", "instance", "code", "reason", "details", "request_id"],
  },
  renderFailure(failure, detailsJson, { path, requestId }) {
    const { httpStatus, reason, message } = failure;
    const detail = message === "" ? "" : `"detail":${JSON.stringify(message)},`;
    const body =
      `{"type":"about:blank","title":${JSON.stringify(statusPhrase(httpStatus))},"status":${httpStatus},${detail}` +
      `"instance":${JSON.stringify(uriReference(path))},"code":${shownCode(failure)},"reason":${JSON.stringify(reason)},` +
      `"details":[${detailsJson.join(",")}],"request_id":${JSON.stringify(requestId)}}`;
    return { status: httpStatus, contentType: "application/problem+json", body };
  },
};

/** The path as a URI reference (RFC 3986 section 4.2): nothing unescaped, and never read as `//host`. */
function uriReference(path: string): string {
  const escaped = path
    .replace(/[\ud800-\udfff]/gu, "\ufffd")
    .replace(/%(?![0-9A-Fa-f]{2})|[^A-Za-z0-9\-._~!$&'()*+,;=:@/%]/gu, encodeURIComponent);
  return escaped.startsWith("//") ? `/.${escaped}` : escaped;
}
