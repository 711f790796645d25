import { shownCode } from "../status/failure.js";
import { codeSchema, type Dialect, detailsSchema, reasonSchema } from "./dialect.js";

/** The default: code, reason, message and details, with the real HTTP status. */
export const statusDialect: Dialect = {
  name: "status",
  failureSchema: {
    type: "object",
    properties: {
      code: codeSchema,
      reason: reasonSchema,
      message: { type: "string", description: "For people." },
      details: detailsSchema,
    },
    required: ["code", "reason", "message", "details"],
  },
  renderFailure(failure, detailsJson) {
    const { httpStatus, reason, message } = failure;
    const body =
      `{"code":${shownCode(failure)},"reason":${JSON.stringify(reason)},"message":${JSON.stringify(message)},` +
      `"details":[${detailsJson.join(",")}]}`;
    return { status: httpStatus, contentType: "application/json", body };
  },
};
