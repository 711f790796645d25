import type { Metadata } from "@grpc/grpc-js";
import { AccessToken } from "livekit-server-sdk";
import { verifyPassword } from "../password.js";
import { type DemoService, unary } from "../service.js";
import { badArguments, businessError, issueToken, noPermission, readToken, type UserType } from "./token.js";
import type { Changeable, User, UserStore } from "./user-store.js";

/** A media server that does not exist, and its key: the tokens are real, the meeting is not. */
const livekit = {
  url: "ws://127.0.0.1:7880",
  key: "devkey",
  secret: "livekit-demo-secret-that-everybody-knows",
};

interface Login {
  readonly account: string;
  readonly password: string;
}

type Wrapped<Values> = { readonly [Name in keyof Values]: { readonly value: Values[Name] } | null };
type UpdateUserInfo = Wrapped<Changeable> & { readonly userID: string };

interface FindUsers {
  readonly userIDs: readonly string[];
}

interface Meeting {
  readonly room: string;
  readonly identity: string;
}

/** `openim.chat.chat`. */
export function chatService(users: UserStore): DemoService {
  return {
    name: "openim.chat.chat",
    handlers: {
      Login: unary(async ({ account, password }: Login, { metadata }) => {
        requireOperation(metadata);
        const warp = ["login", "check password: "];
        const user = users.byAccount(account);
        const matches = await verifyPassword(password, await user?.password);
        if (user === undefined)
          throw businessError(20002, "AccountNotFound", "there is no such account", warp);
        if (!matches) throw businessError(20001, "PasswordError", "the password is wrong", warp);
        return { chatToken: await issueToken(user.userID, user.userType), userID: user.userID };
      }),

      UpdateUserInfo: unary(({ userID, ...changes }: UpdateUserInfo, { metadata }) => {
        const caller = callerOf(metadata);
        const id = userID === "" ? caller.userID : userID;
        requireSelf(caller, id);
        const { faceURL, nickname } = users.change(id, unwrapped(changes));
        return { faceUrl: faceURL, nickName: nickname };
      }),

      FindUserPublicInfo: unary(({ userIDs }: FindUsers, { metadata }) => {
        callerOf(metadata);
        return { users: found(users, userIDs) };
      }),

      FindUserFullInfo: unary(({ userIDs }: FindUsers, { metadata }) => {
        const caller = callerOf(metadata);
        for (const userID of userIDs) requireSelf(caller, userID);
        return { users: found(users, userIDs) };
      }),

      GetTokenForVideoMeeting: unary(async ({ room, identity }: Meeting, { metadata }) => {
        const caller = callerOf(metadata);
        if (room === "" || identity === "") throw badArguments("room and identity must not be empty");
        if (identity !== caller.userID) throw noPermission("the identity must be the caller");
        const token = new AccessToken(livekit.key, livekit.secret, { identity, ttl: "10m" });
        token.addGrant({ roomJoin: true, room });
        return { serverUrl: livekit.url, token: await token.toJwt() };
      }),
    },
  };
}

/** The fields that a request sets. */
function unwrapped(fields: Wrapped<Changeable>): Partial<Changeable> {
  return Object.fromEntries(
    Object.entries(fields).flatMap(([name, field]) => (field === null ? [] : [[name, field.value]])),
  );
}

/** Without the internal fields of the store; encoding drops the fields that a message does not have. */
function found(users: UserStore, userIDs: readonly string[]): Omit<User, "password">[] {
  if (userIDs.length === 0) throw badArguments("userIDs must not be empty");
  return users.find(userIDs).map(({ password: _, ...user }) => user);
}

/** `openim.admin.admin`. */
export function adminService(): DemoService {
  return {
    name: "openim.admin.admin",
    handlers: {
      ParseToken: unary(async ({ token }: { readonly token: string }, { metadata }) => {
        requireOperation(metadata);
        const { userID, userType, expires } = await readToken(token);
        return { userID, userType, expireTimeSeconds: Math.max(0, expires - Math.floor(Date.now() / 1000)) };
      }),
    },
  };
}

/** The caller, by the gateway's metadata. */
interface OpCaller {
  readonly userID: string;
  readonly userType: UserType;
}

/** @throws RpcError 1001 without exactly one `operationid`, as OpenIM's servers demand of every call */
function requireOperation(metadata: Metadata): void {
  const [operation, ...more] = metadata.get("operationid");
  if (operation === undefined || operation === "" || more.length > 0)
    throw badArguments("metadata must have operationID once");
}

/**
 * The caller; its type is read only where `customheader` names it.
 *
 * @throws RpcError 1002 where the metadata is missing
 */
function callerOf(metadata: Metadata): OpCaller {
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
function requireSelf({ userID, userType }: OpCaller, user: string): void {
  if (userID !== user && userType !== 2) throw noPermission("only the user and administrators may do this");
}
