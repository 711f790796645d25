import {
  businessFailure,
  type Failure,
  gatewayFailure,
  type StatusOfCode,
  upstreamFailure,
} from "../../status/failure.js";
import type { Metadata, UnaryResult } from "../channel.js";

/** A call that did not end with OK. Addresses and other internals of the transport stay out of the message. */
export function callFailure(
  result: Pick<UnaryResult, "status" | "trailers">,
  statusOf?: StatusOfCode,
): Failure {
  const { code, message, origin, limit, backendCode } = result.status;
  switch (origin) {
    case "connect":
      return gatewayFailure("UPSTREAM_UNAVAILABLE", "no endpoint of the upstream could be reached");
    case "refused":
      return gatewayFailure("UPSTREAM_UNAVAILABLE", refusal(limit));
    case "lost":
      return gatewayFailure(
        "UPSTREAM_UNAVAILABLE",
        "the connection to the upstream was lost before the response was complete: the call may have been processed",
      );
    case "protocol":
      return gatewayFailure("UPSTREAM_PROTOCOL", "the upstream broke its protocol");
    case "deadline":
      return gatewayFailure("UPSTREAM_TIMEOUT", "the upstream did not respond in time");
    case "cancelled":
      return gatewayFailure("CLIENT_CLOSED", "the client disconnected");
    case "request":
      return gatewayFailure("INTERNAL", "the call could not be written; the request id leads to the log");
    case "size":
      return gatewayFailure("RESPONSE_TOO_LARGE", `the response message is larger than ${most(limit)}`);
    case "request size":
      return gatewayFailure("REQUEST_TOO_LARGE", `the request message is larger than ${most(limit)}`);
    case "request encoding":
      return gatewayFailure(
        "UPSTREAM_ENCODING",
        "the upstream does not accept messages compressed with gzip, which its compression configures",
      );
    case "streams":
      return gatewayFailure(
        "STREAMING_NOT_SUPPORTED",
        "the method streams, which its upstream does not carry",
      );
    case "business":
      return businessFailure(backendCode ?? 0, message, statusOf);
    default:
      return upstreamFailure(code, message, detailsOf(result.trailers), statusOf);
  }
}

function refusal(limit: number | undefined): string {
  const unprocessed = "the upstream refused the call and processed none of it";
  if (limit === undefined) return unprocessed;
  return `${unprocessed}; more than ${limit} bytes had been sent, too many to be kept and sent again`;
}

function most(limit: number | undefined): string {
  return `${limit} bytes, the max_message_size of its upstream`;
}

function detailsOf(trailers: Metadata): Uint8Array | undefined {
  for (const [name, value] of trailers) {
    if (name === "grpc-status-details-bin" && typeof value !== "string") return value;
  }
  return undefined;
}
