import type { Metadata } from "@grpc/grpc-js";
import type { UserType } from "./token.js";
import { badArguments, noPermission } from "./token.js";

/** Who calls, as the gateway says in metadata. */
export interface OpCaller {
  readonly userID: string;
  readonly userType: UserType;
}

/** @throws RpcError 1001 without exactly one `operationid`, as OpenIM's servers demand of every call */
export function requireOperation(metadata: Metadata): void {
  const [operation, ...more] = metadata.get("operationid");
  if (operation === undefined || operation === "" || more.length > 0)
    throw badArguments("metadata must have operationID once");
}

/**
 * The caller; its type is read only where `customheader` names it.
 *
 * @throws RpcError 1002 where the metadata does not say
 */
export function callerOf(metadata: Metadata): OpCaller {
  requireOperation(metadata);
  const [userID, ...more] = metadata.get("opuserid").map(String);
  if (userID === undefined || more.length > 0) throw noPermission("metadata must have opUserID once");
  // Node's HTTP/2 joins the values of one name.
  const custom = metadata.get("customheader").flatMap(value => String(value).split(", "));
  if (!custom.includes("opUserType")) throw noPermission("customHeader must name opUserType");
  const [type] = metadata.get("opusertype").map(Number);
  if (type !== 1 && type !== 2) throw noPermission("opUserType must be 1 or 2");
  return { userID, userType: type };
}

/** @throws RpcError 1002 unless the caller is that user or an administrator */
export function requireSelf({ userID, userType }: OpCaller, user: string): void {
  if (userID !== user && userType !== 2) throw noPermission("only the user and administrators may do this");
}
