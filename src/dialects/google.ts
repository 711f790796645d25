import { Code, codeName, codeOfStatus } from "../status/code.js";
import { holds } from "../status/details.js";
import type { Failure } from "../status/failure.js";
import { type Dialect, detailsSchema } from "./dialect.js";

/** AIP-193, HTTP/1.1+JSON representation. */
export const googleDialect: Dialect = {
  name: "google",
  failureSchema: {
    type: "object",
    properties: {
      error: {
        type: "object",
        properties: {
          code: { type: "integer", description: "The HTTP status." },
          message: { type: "string", description: "For people." },
          status: { type: "string", description: "The name of the gRPC code." },
          details: detailsSchema,
        },
        required: ["code", "message", "status", "details"],
      },
    },
    required: ["error"],
  },
  renderFailure(failure, detailsJson) {
    const { httpStatus, code, backendCode, message } = failure;
    const own = code > Code.UNAUTHENTICATED || backendCode !== undefined;
    const status = codeName(own ? codeOfStatus(httpStatus) : code);
    const details = needsErrorInfo(failure) ? [errorInfo(failure), ...detailsJson] : detailsJson;
    const body =
      `{"error":{"code":${httpStatus},"message":${JSON.stringify(message)},"status":"${status}",` +
      `"details":[${details.join(",")}]}}`;
    return { status: httpStatus, contentType: "application/json", body };
  },
};

/** AIP-193 requires an ErrorInfo in every error; the gateway adds one to its own failures only, not to a backend's. */
function needsErrorInfo(failure: Failure): boolean {
  return (
    failure.origin === "gateway" && !failure.details.some(detail => holds(detail, "google.rpc.ErrorInfo"))
  );
}

function errorInfo({ reason }: Failure): string {
  return `{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":${JSON.stringify(reason)},"domain":"protogate"}`;
}
