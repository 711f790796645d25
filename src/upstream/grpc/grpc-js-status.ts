import type { StatusObject } from "@grpc/grpc-js";
import { Code } from "../../status/code.js";
import type { CallStatus, FailureOrigin } from "../channel.js";
import { fromGrpcMetadata, noMetadata } from "../metadata.js";
import type { AttemptProgress, StreamOutcome } from "../transport.js";

/** What was seen of an answer before its end. */
export interface ReceivedHead {
  /** Initial metadata of a gRPC answer came. */
  readonly headers: boolean;
  /** The content type of an answer that is not gRPC; undefined where it is, or where none came. */
  readonly foreignType: string | undefined;
}

/**
 * grpc-js tells its own failures from the backend's by nothing but these texts (subchannel-call.ts,
 * load-balancing-call.ts, load-balancer-pick-first.ts, stream-decoder.ts, compression-filter.ts of 1.14). A backend
 * that answers with one of them is taken at its word.
 */
const unseen: readonly (readonly [RegExp, AttemptProgress])[] = [
  [/^(No connection established|Channel closed before call started)/, "declined"],
  [/^Failed to start HTTP\/2 stream/, "unsent"],
  [/^Stream refused by server$/, "refused"],
];
const lost = /^(Connection dropped$|Write error: |Write failed with error |(read|write|connect) E[A-Z]+)/;
const tooLarge = /^Received message (larger than max|that decompresses to a size larger than)/;
const broken =
  /^(Received HTTP status code |Received RST_STREAM with code |No status information |Failed to decompress )/;
const http =
  /^(Received HTTP status code (401|403|404|429|502|503|504)$|Call cancelled$|Bandwidth exhausted |Protocol not secure )/;
const httpStatus = /^Received HTTP status code (?!200$)/;

/** Turns the end of a grpc-js call into ours: whose failure it is, and whether the call may have been seen. */
export function grpcJsOutcome(
  { code, details, metadata }: StatusObject,
  answer: ReceivedHead,
): StreamOutcome {
  const contentType = metadata.get("content-type")[0];
  const trailersOnly = !answer.headers && contentType !== undefined;
  const foreign =
    answer.foreignType ?? (trailersOnly && !isGrpcType(contentType) ? String(contentType) : undefined);
  if (foreign !== undefined && !httpStatus.test(details))
    return protocolFailure(unexpectedContentType(foreign));
  // A frame that cannot be decoded ends a call with an exception for a status.
  if (!Number.isInteger(code) || code < 0) return protocolFailure("the answer has no valid status");
  if (code === Code.OK) return ended(Code.OK, "", undefined, metadata);
  const progress = unseen.find(([text]) => text.test(details))?.[1];
  if (progress !== undefined) {
    const status: CallStatus = { code: Code.UNAVAILABLE, message: details, origin: "connect" };
    return { status, trailers: noMetadata, progress: answer.headers ? "sent" : progress };
  }
  return ended(code, details, originOf(code, details, answer.headers || trailersOnly), metadata);
}

function originOf(code: number, details: string, answered: boolean): FailureOrigin {
  if (tooLarge.test(details)) return "size";
  if (http.test(details)) return "http";
  if (broken.test(details)) return "protocol";
  if (lost.test(details)) return "connect";
  if (answered) return "backend";
  return code === Code.UNAVAILABLE ? "connect" : "protocol";
}

function ended(
  code: number,
  message: string,
  origin: FailureOrigin | undefined,
  metadata: StatusObject["metadata"],
): StreamOutcome {
  return { status: { code, message, origin }, trailers: fromGrpcMetadata(metadata), progress: "sent" };
}

/** The end of a call whose upstream does not keep to gRPC. */
export function protocolFailure(message: string): StreamOutcome {
  return {
    status: { code: Code.INTERNAL, message, origin: "protocol" },
    trailers: noMetadata,
    progress: "sent",
  };
}

export function unexpectedContentType(contentType: string): string {
  return `the answer has the content type "${contentType.slice(0, 64)}", expected application/grpc`;
}

/** `application/grpc`, also with a subtype such as `+proto` or with parameters. */
export function isGrpcType(contentType: unknown): boolean {
  return typeof contentType === "string" && /^application\/grpc($|[+;])/i.test(contentType);
}
