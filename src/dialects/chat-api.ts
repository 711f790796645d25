import { statusPhrase } from "../status/code.js";
import type { Dialect } from "./dialect.js";

/** Only a text, as in responses of simple chat APIs. */
export const chatApiDialect: Dialect = {
  name: "chat-api",
  failureSchema: { type: "object", properties: { error: { type: "string" } }, required: ["error"] },
  renderFailure({ httpStatus, message }) {
    const text = message === "" ? statusPhrase(httpStatus) : message;
    return {
      status: httpStatus,
      contentType: "application/json",
      body: `{"error":${JSON.stringify(text)}}`,
    };
  },
};
