import type { HeaderList } from "../net/headers.js";
import { Code, codeName, httpStatus } from "./code.js";
import {
  type AnyValue,
  decodeErrorReason,
  decodeRetryDelay,
  decodeStatus,
  encodeBadRequest,
  type FieldViolation,
  holds,
} from "./details.js";
import { type Reason, reasons } from "./reasons.js";

export type { AnyValue, FieldViolation } from "./details.js";

/** Why a request failed: the source of the error response, the log line and the metrics. */
export interface Failure {
  /** Where it comes from: the gateway itself or the backend. */
  readonly origin: "gateway" | "upstream";
  /** The real HTTP status, 400..599, independent of the status that the dialect sends. */
  readonly httpStatus: number;
  /** gRPC status code, not 0; codes above 16 are kept as the backend sent them. */
  readonly code: number;
  /** The backend's own code, of a protocol whose codes are not gRPC's; any number but 0. `code` is UNKNOWN then. */
  readonly backendCode?: number;
  /** A `Reason`, the backend's `ErrorInfo.reason`, or the name of the code. */
  readonly reason: string;
  /** For people; may be empty where the backend sent none. */
  readonly message: string;
  readonly details: readonly AnyValue[];
  /** `Retry-After`, whole seconds from 0. */
  readonly retryAfter: number | undefined;
  /** `Allow`, the methods that the path does have. */
  readonly allow: readonly string[] | undefined;
  /** Further response headers: `WWW-Authenticate`, `RateLimit`. */
  readonly headers: HeaderList;
  /** Where a browser is redirected, by 302, instead of the error response. */
  readonly location?: string;
  /** The HTML page that a person sees with the status, instead of the body of the error response. */
  readonly page?: string;
}

/** The HTTP status, 400 to 599, of a code above those that gRPC defines, or of a backend's own. */
export type StatusOfCode = (code: number) => number;

/** The HTTP status of codes that have no meaning in gRPC. */
export const serverError: StatusOfCode = () => 500;

/** Optional parts of a failure of the gateway beside its reason. */
export interface FailureExtra {
  /** Whole seconds from 0. */
  readonly retryAfter?: number;
  readonly allow?: readonly string[];
  readonly headers?: HeaderList;
  readonly location?: string;
  readonly page?: string;
}

/** Thrown to end a request with a failure. */
export class GatewayError extends Error {
  override readonly name = "GatewayError";
  constructor(readonly failure: Failure) {
    super(failure.message);
  }
}

/**
 * A failure that the gateway found itself.
 * `fields`, where there are any, become one typed `google.rpc.BadRequest` detail.
 */
export function gatewayFailure(
  reason: Reason,
  message: string,
  fields: readonly FieldViolation[] = [],
  extra: FailureExtra = {},
): Failure {
  const entry = reasons[reason];
  return {
    origin: "gateway",
    httpStatus: entry.httpStatus,
    code: entry.code,
    reason,
    message,
    details: fields.length === 0 ? [] : [encodeBadRequest(fields)],
    retryAfter: extra.retryAfter,
    allow: extra.allow,
    headers: extra.headers ?? [],
    ...(extra.location !== undefined && { location: extra.location }),
    ...(extra.page !== undefined && { page: extra.page }),
  };
}

/** The error that `gatewayFailure` describes, to be thrown. */
export function gatewayError(
  reason: Reason,
  message: string,
  fields: readonly FieldViolation[] = [],
  extra: FailureExtra = {},
): GatewayError {
  return new GatewayError(gatewayFailure(reason, message, fields, extra));
}

/**
 * A failure that the backend responded with.
 *
 * `code` and `message` are `grpc-status` (not 0) and `grpc-message`; `detailsBin` is `grpc-status-details-bin`, a
 * serialized `google.rpc.Status`. Where both are present, the headers win; an invalid `detailsBin` is ignored. A code that
 * gRPC does not define is kept, and gets the HTTP status that `statusOf` gives it. Never throws.
 */
export function upstreamFailure(
  code: number,
  message: string,
  detailsBin: Uint8Array | undefined,
  statusOf: StatusOfCode = serverError,
): Failure {
  const status = detailsBin === undefined ? undefined : decodeStatus(detailsBin);
  const details = status?.details ?? [];
  return {
    origin: "upstream",
    httpStatus: code > Code.UNAUTHENTICATED ? statusOf(code) : httpStatus(code),
    code,
    reason: firstOf(details, "google.rpc.ErrorInfo", decodeErrorReason) ?? codeName(code),
    message: message === "" ? (status?.message ?? "") : message,
    details,
    retryAfter: firstOf(details, "google.rpc.RetryInfo", decodeRetryDelay),
    allow: undefined,
    headers: [],
  };
}

/** A failure that a backend responded with by a business code, which has no meaning in gRPC. Never throws. */
export function businessFailure(
  backendCode: number,
  message: string,
  statusOf: StatusOfCode = serverError,
): Failure {
  return {
    ...upstreamFailure(Code.UNKNOWN, message, undefined),
    httpStatus: statusOf(backendCode),
    backendCode,
    reason: `CODE_${backendCode}`,
  };
}

/** The code that callers see: the backend's own, where it has one. */
export function shownCode({ code, backendCode }: Failure): number {
  return backendCode ?? code;
}

function firstOf<T>(
  details: readonly AnyValue[],
  fullName: string,
  decode: (bytes: Uint8Array) => T | undefined,
): T | undefined {
  for (const detail of details) {
    const found = holds(detail, fullName) ? decode(detail.value) : undefined;
    if (found !== undefined) return found;
  }
  return undefined;
}
