import { ErrorCode } from "../../h2/protocol.js";
import { Code } from "../../status/code.js";
import { type CallStatus, type Metadata, noMetadata } from "../channel.js";
import { type AttemptProgress, failure, protocolFailure, type StreamOutcome } from "../transport.js";
import type { ResponseHead } from "./response-head.js";

/**
 * The outcome of a stream whose last header block this is. `httpStatus` is that of the first block. A block that is both has
 * the content type.
 */
export function outcomeOf(head: ResponseHead, httpStatus: number): StreamOutcome {
  const { contentType, grpcStatus, metadata } = head;
  if (httpStatus === 200 && contentType !== undefined && !isGrpcType(contentType))
    return contentTypeFailure(contentType);
  if (grpcStatus === undefined) return httpFailure(httpStatus, metadata);
  if (!/^\d{1,9}$/.test(grpcStatus)) return protocolFailure("the response has no valid status");
  return { status: statusOf(Number(grpcStatus), head.grpcMessage), trailers: metadata, progress: "sent" };
}

const ok: CallStatus = { code: Code.OK, message: "", origin: undefined };

function statusOf(code: number, message: string | undefined): CallStatus {
  if (code === Code.OK) return ok;
  return { code, message: message === undefined ? "" : percentDecode(message), origin: "backend" };
}

/** `application/grpc`, also with a subtype such as `+proto` or with parameters. */
export function isGrpcType(contentType: unknown): boolean {
  return typeof contentType === "string" && /^application\/grpc($|[+;])/i.test(contentType);
}

/** The outcome of a response that is not gRPC. */
export function contentTypeFailure(contentType: string): StreamOutcome {
  return protocolFailure(
    `the response has the content type "${contentType.slice(0, 64)}", expected application/grpc`,
  );
}

/** https://github.com/grpc/grpc/blob/master/doc/http-grpc-status-mapping.md, without those that do not concern the call. */
const httpCodes: ReadonlyMap<number, number> = new Map([
  [401, Code.UNAUTHENTICATED],
  [403, Code.PERMISSION_DENIED],
  [404, Code.UNIMPLEMENTED],
  [429, Code.UNAVAILABLE],
  [502, Code.UNAVAILABLE],
  [503, Code.UNAVAILABLE],
  [504, Code.UNAVAILABLE],
]);

/** The outcome of a response that has an HTTP status only; where gRPC gives it no meaning, the upstream broke the protocol. */
export function httpFailure(status: number, trailers: Metadata = noMetadata): StreamOutcome {
  const code = httpCodes.get(status);
  const message = `Received HTTP status code ${status}`;
  const call: CallStatus =
    code === undefined
      ? { code: status === 400 ? Code.INTERNAL : Code.UNKNOWN, message, origin: "protocol" }
      : { code, message, origin: "http" };
  return { status: call, trailers, progress: "sent" };
}

/** The outcome of a stream that the peer resets (gRPC over HTTP/2, Errors). `refused`: how far one came that it refuses. */
export function resetFailure(code: number, refused: AttemptProgress): StreamOutcome {
  switch (code) {
    case ErrorCode.RefusedStream:
      return failure(Code.UNAVAILABLE, "connect", "Stream refused by server", refused);
    case ErrorCode.Cancel:
      return failure(Code.CANCELLED, "http", "Call cancelled");
    case ErrorCode.EnhanceYourCalm:
      return failure(Code.RESOURCE_EXHAUSTED, "http", "Bandwidth exhausted or memory limit exceeded");
    case ErrorCode.InadequateSecurity:
      return failure(Code.PERMISSION_DENIED, "http", "Protocol not secure enough");
    default:
      return failure(Code.INTERNAL, "protocol", `Received RST_STREAM with code ${code}`);
  }
}

/** `grpc-message` (gRPC over HTTP/2, Percent-Encoded): invalid escapes are left as they are. */
export function percentDecode(text: string): string {
  if (!text.includes("%")) return text;
  const bytes = Buffer.alloc(text.length);
  let size = 0;
  for (let at = 0; at < text.length; at++) {
    const hex = text.charCodeAt(at) === percent ? text.slice(at + 1, at + 3) : "";
    if (/^[\da-f]{2}$/i.test(hex)) {
      bytes[size++] = Number.parseInt(hex, 16);
      at += 2;
    } else {
      bytes[size++] = text.charCodeAt(at);
    }
  }
  return bytes.toString("utf8", 0, size);
}

const percent = "%".charCodeAt(0);
