import type { Metadata as GrpcMetadata, StatusObject } from "@grpc/grpc-js";
import { Code } from "../../status/code.js";
import { type CallStatus, type FailureOrigin, type Metadata, noMetadata } from "../channel.js";
import { type AttemptProgress, protocolFailure, type StreamOutcome } from "../transport.js";
import { ownNames } from "./metadata.js";
import { contentTypeFailure, isGrpcType } from "./stream-outcome.js";

/** The part of a response that was received before its end. */
interface ReceivedHead {
  /** Initial metadata of a gRPC response came. */
  readonly headers: boolean;
  /** The content type of a response that is not gRPC; undefined where it is, or where none came. */
  readonly foreignType: string | undefined;
}

/**
 * grpc-js distinguishes its own failures from the backend's by nothing but these texts (subchannel-call.ts,
 * load-balancing-call.ts, load-balancer-pick-first.ts, stream-decoder.ts, compression-filter.ts of 1.14). A backend
 * that responds with one of them is misread.
 */
const notProcessed: readonly (readonly [RegExp, AttemptProgress])[] = [
  [/^(No connection established|Channel closed before call started)/, "declined"],
  [/^Failed to start HTTP\/2 stream/, "unsent"],
  [/^Stream refused by server$/, "refused"],
];
const connectionLost =
  /^(Connection dropped$|Write error: |Write failed with error |(read|write|connect) E[A-Z]+)/;
const tooLarge = /^Received message (larger than max|that decompresses to a size larger than)/;
const protocolBroken =
  /^(Received HTTP status code |Received RST_STREAM with code |No status information |Failed to decompress )/;
const http =
  /^(Received HTTP status code (401|403|404|429|502|503|504)$|Call cancelled$|Bandwidth exhausted |Protocol not secure )/;
const httpStatus = /^Received HTTP status code (?!200$)/;

/** Turns the end of a grpc-js call into ours: whose failure it is, and whether the call may have been seen. */
export function grpcJsOutcome(
  { code, details, metadata }: StatusObject,
  received: ReceivedHead,
): StreamOutcome {
  const contentType = metadata.get("content-type")[0];
  const trailersOnly = !received.headers && contentType !== undefined;
  const foreign =
    received.foreignType ?? (trailersOnly && !isGrpcType(contentType) ? String(contentType) : undefined);
  if (foreign !== undefined && !httpStatus.test(details)) return contentTypeFailure(foreign);
  // A frame that cannot be decoded ends a call with an exception for a status.
  if (!Number.isInteger(code) || code < 0) return protocolFailure("the response has no valid status");
  if (code === Code.OK) return ended(Code.OK, "", undefined, metadata);
  const progress = notProcessed.find(([text]) => text.test(details))?.[1];
  if (progress !== undefined) {
    const status: CallStatus = { code: Code.UNAVAILABLE, message: details, origin: "connect" };
    return { status, trailers: noMetadata, progress: received.headers ? "sent" : progress };
  }
  return ended(code, details, originOf(code, details, received.headers || trailersOnly), metadata);
}

function originOf(code: number, details: string, responded: boolean): FailureOrigin {
  if (tooLarge.test(details)) return "size";
  if (http.test(details)) return "http";
  if (protocolBroken.test(details)) return "protocol";
  if (connectionLost.test(details)) return "connect";
  if (responded) return "backend";
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

/** The metadata of the upstream, without the entries that concern only the transport. */
export function fromGrpcMetadata(metadata: GrpcMetadata): Metadata {
  const result: [string, string | Uint8Array][] = [];
  for (const [name, values] of Object.entries(metadata.toJSON())) {
    if (ownNames.has(name)) continue;
    for (const value of values) result.push([name, value]);
  }
  return result;
}
