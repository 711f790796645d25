import { STATUS_CODES } from "node:http";

/** gRPC status codes (https://grpc.github.io/grpc/core/md_doc_statuscodes.html). */
export const Code = {
  OK: 0,
  CANCELLED: 1,
  UNKNOWN: 2,
  INVALID_ARGUMENT: 3,
  DEADLINE_EXCEEDED: 4,
  NOT_FOUND: 5,
  ALREADY_EXISTS: 6,
  PERMISSION_DENIED: 7,
  RESOURCE_EXHAUSTED: 8,
  FAILED_PRECONDITION: 9,
  ABORTED: 10,
  OUT_OF_RANGE: 11,
  UNIMPLEMENTED: 12,
  INTERNAL: 13,
  UNAVAILABLE: 14,
  DATA_LOSS: 15,
  UNAUTHENTICATED: 16,
} as const;

const names: readonly string[] = Object.keys(Code);

/** HTTP status by gRPC code (docs/reference/errors.md). */
const statuses: readonly number[] = [
  200, 499, 500, 400, 504, 404, 409, 403, 429, 400, 409, 400, 501, 500, 503, 500, 401,
];

/** `NOT_FOUND`; for codes that gRPC does not define, `CODE_1501`. */
export function codeName(code: number): string {
  return names[code] ?? `CODE_${code}`;
}

/** The HTTP status for a gRPC code; 500 for codes that gRPC does not define. */
export function httpStatus(code: number): number {
  return statuses[code] ?? 500;
}

/** A gRPC code for an HTTP status; UNKNOWN where there is none. */
export function codeOfStatus(status: number): number {
  const code = statuses.indexOf(status);
  return code === -1 ? Code.UNKNOWN : code;
}

/** The reason phrase of an HTTP status. */
export function statusPhrase(status: number): string {
  return status === 499 ? "Client Closed Request" : (STATUS_CODES[status] ?? "Unknown Error");
}
