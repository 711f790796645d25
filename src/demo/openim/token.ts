import { errors, jwtVerify, SignJWT } from "jose";
import { parse } from "protobufjs";
import { RpcError } from "../rpc-error.js";

/** 1 user, 2 administrator. */
export type UserType = 1 | 2;

/** Whose a token is. */
export interface TokenOwner {
  readonly userID: string;
  readonly userType: UserType;
  /** Seconds since 1970. */
  readonly expires: number;
}

/** The secret shared by the demo's gateway and backend unless `OPENIM_SECRET` is set; it is public. */
export const demoSecret = "openim-demo-secret-that-everybody-knows";

const lifetimeSeconds = 90 * 24 * 3600;

function key(): Uint8Array {
  return new TextEncoder().encode(process.env.OPENIM_SECRET ?? demoSecret);
}

/** A Chat token: HS256, 90 days. */
export function issueToken(userID: string, userType: UserType): Promise<string> {
  const now = Math.floor(Date.now() / 1000);
  return new SignJWT({ UserID: userID, UserType: userType, PlatformID: 0 })
    .setProtectedHeader({ alg: "HS256", typ: "JWT" })
    .setIssuedAt(now)
    .setNotBefore(now)
    .setExpirationTime(now + lifetimeSeconds)
    .sign(key());
}

/** @throws RpcError 1501 to 1505 */
export async function readToken(token: string): Promise<TokenOwner> {
  const { payload } = await jwtVerify(token, key(), { algorithms: ["HS256"], requiredClaims: ["exp"] }).catch(
    error => {
      throw refusal(error);
    },
  );
  const { UserID: userID, UserType: userType, exp = 0 } = payload;
  if (typeof userID !== "string" || (userType !== 1 && userType !== 2))
    throw businessError(1505, "TokenUnknownError", "the token has no user");
  return { userID, userType, expires: exp };
}

function refusal(error: unknown): RpcError {
  if (error instanceof errors.JWTExpired)
    return businessError(1501, "TokenExpiredError", "the token has expired");
  if (error instanceof errors.JWTClaimValidationFailed && error.claim === "nbf")
    return businessError(1504, "TokenNotValidYetError", "the token is not valid yet");
  if (error instanceof errors.JWSInvalid || error instanceof errors.JWTInvalid)
    return businessError(1503, "TokenMalformedError", "the token is no JWT");
  return businessError(1502, "TokenInvalidError", "the token is not ours");
}

const { root } = parse(`
  syntax = "proto3";
  package openim.protobuf;
  message ErrorInfo { string path = 1; uint32 line = 2; string name = 3; string cause = 4; repeated string warp = 5; }
`);
const errorInfo = root.lookupType("openim.protobuf.ErrorInfo");

/**
 * An error as OpenIM's backends send it: the business code is the gRPC status.
 *
 * @param name the client's `errMsg`, `PasswordError`
 * @param cause the error, for `errDlt`
 * @param warp the operations, outermost first; clients get them joined by `->` and followed by the cause
 */
export function businessError(
  code: number,
  name: string,
  cause: string,
  warp: readonly string[] = [],
): RpcError {
  const value = errorInfo.encode({ cause, warp }).finish();
  return new RpcError(code, name, [{ typeUrl: "type.googleapis.com/openim.protobuf.ErrorInfo", value }]);
}

export function badArguments(cause: string): RpcError {
  return businessError(1001, "ArgsError", cause);
}

export function noPermission(cause: string): RpcError {
  return businessError(1002, "NoPermissionError", cause);
}
