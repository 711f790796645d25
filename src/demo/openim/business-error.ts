import { parse } from "protobufjs";
import { RpcError } from "../rpc-error.js";

const { root } = parse(`
  syntax = "proto3";
  package openim.protobuf;
  message ErrorInfo { string path = 1; uint32 line = 2; string name = 3; string cause = 4; repeated string warp = 5; }
`);
const errorInfo = root.lookupType("openim.protobuf.ErrorInfo");

/**
 * An error as OpenIM's backends send it: the business code is the gRPC status.
 *
 * @param name what clients get as `errMsg`, `PasswordError`
 * @param cause what was wrong, for `errDlt`
 * @param warp what was being done, outermost first; clients get it joined by `->` and with the cause right behind
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
