import { Code } from "../status/code.js";
import { type AnyValue, encodeErrorInfo, encodeStatus } from "../status/details.js";
import type { Failure } from "../status/failure.js";
import type { Metadata } from "../upstream/channel.js";
import { base64 } from "./metadata.js";

type Fields = [name: string, value: string][];

/**
 * The failure of a call in trailers: `grpc-status` and the fields that belong to it.
 * @param trailers of the backend, whose `grpc-status-details-bin` is passed on as it is
 */
export function failureFields(failure: Failure, trailers: Metadata): Fields {
  const code = rpcCode(failure);
  const fields: Fields = [["grpc-status", String(code)]];
  if (failure.message !== "") fields.push(["grpc-message", percentEncoded(failure.message)]);
  const details = backendDetails(trailers) ?? ownDetails(failure, code);
  if (details !== undefined) fields.push(["grpc-status-details-bin", base64(details)]);
  fields.push(...businessCode(failure));
  return fields;
}

/** The metadata that has the code of a backend whose codes are not gRPC's; gRPC's own is `unknown`. */
export function businessCode({ backendCode }: Failure): Fields {
  return backendCode === undefined ? [] : [["trpc-func-ret", String(backendCode)]];
}

/** The code of a failure for callers of RPCs: a path without a route is a method that is not implemented. */
export function rpcCode({ reason, code }: Failure): number {
  return reason === "ROUTE_NOT_FOUND" ? Code.UNIMPLEMENTED : code;
}

/**
 * Failures that gRPC itself defines: its clients know the code and expect no details, since libraries that serve gRPC
 * send none (the conformance suite of Connect checks it).
 */
const definedByProtocol: ReadonlySet<string> = new Set([
  "BODY_TOO_LARGE",
  "CLIENT_CLOSED",
  "INVALID_TIMEOUT",
  "MALFORMED_ENVELOPE",
  "MALFORMED_JSON",
  "MESSAGE_COUNT",
  "REQUEST_TOO_LARGE",
  "RESPONSE_TOO_LARGE",
  "ROUTE_NOT_FOUND",
  "UNEXPECTED_COMPRESSION",
  "UNSUPPORTED_ENCODING",
  "UNSUPPORTED_VERSION",
  "UPSTREAM_PROTOCOL",
  "UPSTREAM_TIMEOUT",
]);

/** The details of a failure, with the gateway's reason where the gateway is the origin. */
export function failureDetails({ origin, reason, details }: Failure): readonly AnyValue[] {
  return origin === "gateway" && !definedByProtocol.has(reason)
    ? [encodeErrorInfo(reason), ...details]
    : details;
}

/** Headers for the client beside the code: `retry-after`, `www-authenticate`, `ratelimit`. */
export function failureHeaders({ retryAfter, allow, headers }: Failure): Fields {
  const fields: Fields = headers.map(([name, value]) => [name, value]);
  if (retryAfter !== undefined) fields.push(["retry-after", String(retryAfter)]);
  if (allow !== undefined) fields.push(["allow", allow.join(", ")]);
  return fields;
}

function backendDetails(trailers: Metadata): Uint8Array | undefined {
  for (const [name, value] of trailers)
    if (name === "grpc-status-details-bin" && typeof value !== "string") return value;
  return undefined;
}

function ownDetails(failure: Failure, code: number): Uint8Array | undefined {
  const details = failureDetails(failure);
  return details.length === 0 ? undefined : encodeStatus({ code, message: failure.message, details });
}

/** 200, except where the request is no call of gRPC at all. */
export function grpcStatusOf({ reason, httpStatus }: Failure): number {
  return reason === "UNSUPPORTED_MEDIA_TYPE" || reason === "UNSUPPORTED_VERSION" ? httpStatus : 200;
}

/** As gRPC over HTTP/2 demands of `grpc-message`: printable ASCII without `%` stays, other bytes of UTF-8 are escaped. */
export function percentEncoded(text: string): string {
  if (/^[ -$&-~]*$/.test(text)) return text;
  let encoded = "";
  for (const byte of Buffer.from(text, "utf8")) {
    encoded +=
      byte >= 0x20 && byte <= 0x7e && byte !== 0x25
        ? String.fromCharCode(byte)
        : `%${byte.toString(16).toUpperCase().padStart(2, "0")}`;
  }
  return encoded;
}
