import { AccessToken } from "livekit-server-sdk";
import { verifyPassword } from "../password.js";
import { type DemoService, unary } from "../service.js";
import { callerOf, requireOperation, requireSelf } from "./caller.js";
import { badArguments, businessError, issueToken, noPermission, readToken } from "./token.js";
import type { Changeable, User, UserStore } from "./user-store.js";

/** A media server that nobody runs, and its key: the tokens are real, the meeting is not. */
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

/** What a request changes: its fields that are set. */
function unwrapped(fields: Wrapped<Changeable>): Partial<Changeable> {
  return Object.fromEntries(
    Object.entries(fields).flatMap(([name, field]) => (field === null ? [] : [[name, field.value]])),
  );
}

/** Without what is the store's own; encoding drops the fields that a message does not have. */
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
