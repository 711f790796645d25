import { type Failure, gatewayFailure } from "../status/failure.js";
import type { Reason } from "../status/reasons.js";
import type { TranscodeError } from "./error.js";

/** A request that could not be turned into a message; names the field in the message and as a typed violation. */
export function requestFailure(error: TranscodeError): Failure {
  const hint = error.suggestion === undefined ? "" : `; did you mean "${error.suggestion}"?`;
  const text = `${error.message}${hint}`;
  const reason: Reason = error.reason === "MALFORMED_MESSAGE" ? "INVALID_VALUE" : error.reason;
  if (error.field === "") return gatewayFailure(reason, text);
  return gatewayFailure(reason, `${error.field}: ${text}`, [{ field: error.field, description: text }]);
}

/** A reply that is not the message its method declares. What is wrong with it is for the log, not for the client. */
export function responseFailure(): Failure {
  return gatewayFailure(
    "UPSTREAM_MALFORMED_MESSAGE",
    "the upstream's answer is not the message that its method declares",
  );
}
