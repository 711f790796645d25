import type { Failure } from "../../status/failure.js";
import type { CredentialReason } from "../dialect.js";

/**
 * The HTTP status of single business codes of OpenIM. Its backends put them straight into `grpc-status`, far above the
 * codes that gRPC defines.
 */
const statuses: ReadonlyMap<number, number> = new Map(
  Object.entries({
    400: [1001, 1602, 1701],
    401: [20001, 20101],
    403: [1002, 1302, 1402, 1403, 1520, 20012, 20013],
    404: [1004, 1101, 1201, 20002, 20011],
    409: [1003, 1102, 1202, 1304, 20003, 20004, 20014],
    429: [1601, 20005, 20008],
  }).flatMap(([status, codes]) => codes.map(code => [code, Number(status)] as const)),
);

/** The HTTP status of the other codes of a group: group, relation, message, token, account and chat errors. */
const groupStatuses: ReadonlyMap<number, number> = new Map([
  [12, 400],
  [13, 400],
  [14, 400],
  [15, 401],
  [100, 400],
  [200, 400],
]);

/**
 * The HTTP status of a code of OpenIM, by its groups; 500 for 500, for infrastructure (8xxxx, 9xxxx)
 * and for every code that is not known.
 */
export function openimStatus(code: number): number {
  return statuses.get(code) ?? groupStatuses.get(Math.trunc(code / 100)) ?? 500;
}

/** Codes of OpenIM's backends for a refused token. */
export const openimCredentialReasons: ReadonlyMap<number, CredentialReason> = new Map([
  [1501, "TOKEN_EXPIRED"],
  [1503, "TOKEN_MALFORMED"],
  [1504, "TOKEN_NOT_YET_VALID"],
  [1506, "TOKEN_REVOKED"],
]);

/** A business code with the name that OpenIM sends as `errMsg`. */
export interface BusinessError {
  readonly code: number;
  readonly name: string;
}

const internal: BusinessError = { code: 500, name: "ServerInternalError" };
const badArguments: BusinessError = { code: 1001, name: "ArgsError" };

/** The business errors of failures without a business code of their own, by reason. */
const byReason: ReadonlyMap<string, BusinessError> = new Map([
  ["TOKEN_EXPIRED", { code: 1501, name: "TokenExpiredError" }],
  ["CREDENTIALS_INVALID", { code: 1502, name: "TokenInvalidError" }],
  ["TOKEN_MALFORMED", { code: 1503, name: "TokenMalformedError" }],
  ["TOKEN_NOT_YET_VALID", { code: 1504, name: "TokenNotValidYetError" }],
  ["TOKEN_REVOKED", { code: 1506, name: "TokenKickedError" }],
  ["CREDENTIALS_MISSING", { code: 1507, name: "TokenNotExistError" }],
]);

/** The same by the real HTTP status, for reasons that are not listed. */
const byStatus: ReadonlyMap<number, BusinessError> = new Map([
  [401, { code: 1505, name: "TokenUnknownError" }],
  [403, { code: 1002, name: "NoPermissionError" }],
  [404, { code: 1004, name: "RecordNotFoundError" }],
  [409, { code: 1003, name: "DuplicateKeyError" }],
  [429, { code: 429, name: "TooManyRequests" }],
]);

/** The business code of a failure that has none: the gateway's own, and codes that gRPC defines. */
export function businessError({ reason, httpStatus }: Failure): BusinessError {
  const known = byReason.get(reason) ?? byStatus.get(httpStatus);
  return known ?? (httpStatus < 499 ? badArguments : internal);
}
