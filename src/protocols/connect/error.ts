import { Code, codeName, httpStatus } from "../../status/code.js";
import type { Failure } from "../../status/failure.js";
import { businessCode, failureDetails, rpcCode } from "../grpc-status.js";
import { base64 } from "../metadata.js";
import type { RenderDetail } from "../protocol.js";

/** Reasons that HTTP itself has a status for, which clients without Connect understand. */
const httpReasons: ReadonlySet<string> = new Set([
  "ROUTE_NOT_FOUND",
  "METHOD_NOT_ALLOWED",
  "UNSUPPORTED_MEDIA_TYPE",
  "MISDIRECTED_REQUEST",
  "URI_TOO_LONG",
]);

/** Whether a failure is one of HTTP, before there is a call. */
export function isHttpFailure({ reason }: Failure): boolean {
  return httpReasons.has(reason);
}

/** The HTTP status of a unary failure (https://connectrpc.com/docs/protocol#error-codes). */
export function connectStatus(failure: Failure): number {
  return isHttpFailure(failure) ? failure.httpStatus : httpStatus(rpcCode(failure));
}

/** The metadata that says which code above those of gRPC a backend has sent; Connect has no names for them. */
export function codeMetadata(failure: Failure): [name: string, value: string][] {
  const { code } = failure;
  return code > Code.UNAUTHENTICATED ? [["grpc-status", String(code)]] : businessCode(failure);
}

/** The JSON of a failure: code, message and details, readable ones where their types are known. */
export function errorJson(failure: Failure, render: RenderDetail): string {
  const code = rpcCode(failure);
  const name =
    code > Code.UNAUTHENTICATED
      ? "unknown"
      : code === Code.CANCELLED
        ? "canceled"
        : codeName(code).toLowerCase();
  let json = `{"code":"${name}"`;
  if (failure.message !== "") json += `,"message":${JSON.stringify(failure.message)}`;
  const details = failureDetails(failure);
  if (details.length > 0) {
    const entries = details.map(({ typeUrl, value }) => {
      const type = typeUrl.slice(typeUrl.lastIndexOf("/") + 1);
      const debug = debugOf(type, render(typeUrl, value), value);
      return `{"type":${JSON.stringify(type)},"value":"${base64(value)}"${debug === undefined ? "" : `,"debug":${debug}`}}`;
    });
    json += `,"details":[${entries.join(",")}]`;
  }
  return `${json}}`;
}

/** The JSON of a detail without the name of its type; undefined where it could not be decoded. */
function debugOf(type: string, any: string, value: Uint8Array): string | undefined {
  const { "@type": _, ...members } = JSON.parse(any) as Record<string, unknown>;
  const wrapped = Object.keys(members).join() === "value" ? members.value : undefined;
  if (wrapped === Buffer.from(value).toString("base64")) return undefined;
  return JSON.stringify(type.startsWith("google.protobuf.") && wrapped !== undefined ? wrapped : members);
}
