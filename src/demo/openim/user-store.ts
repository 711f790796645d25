import { hashPassword, type PasswordHash } from "../password.js";
import type { UserType } from "./token.js";
import { businessError } from "./token.js";

/** The fields of a user that may be changed (`openim.chat.common.UserFullInfo`). */
export interface Changeable {
  readonly email: string;
  readonly nickname: string;
  readonly faceURL: string;
  readonly gender: number;
  /** Milliseconds since 1970, decimal. */
  readonly birth: string;
  readonly allowAddFriend: number;
}

export interface User extends Changeable {
  readonly userID: string;
  readonly account: string;
  readonly userType: UserType;
  readonly password: Promise<PasswordHash>;
}

/** The users of the demo. There is no registration, so that the store does not grow. */
export class UserStore {
  readonly #users = new Map<string, User>();

  /** John, Helen and an administrator, all with the password `xxx`. */
  constructor() {
    this.#add("1001", "jdoe", "John", 1);
    this.#add("1002", "hsue", "Helen", 1);
    this.#add("9001", "admin", "Admin", 2);
  }

  #add(userID: string, account: string, nickname: string, userType: UserType): void {
    this.#users.set(userID, {
      userID,
      account,
      userType,
      nickname,
      password: hashPassword("xxx"),
      email: `${account}@example.com`,
      faceURL: "",
      gender: 0,
      birth: "0",
      allowAddFriend: 1,
    });
  }

  byAccount(account: string): User | undefined {
    return [...this.#users.values()].find(user => user.account === account);
  }

  /** Those that there are, in the order of the IDs. */
  find(userIDs: readonly string[]): User[] {
    return userIDs.flatMap(userID => this.#users.get(userID) ?? []);
  }

  /** @throws RpcError 1004 where there is no such user */
  change(userID: string, changes: Partial<Changeable>): User {
    const user = this.#users.get(userID);
    if (user === undefined)
      throw businessError(1004, "RecordNotFoundError", `there is no user ${userID}`, ["change user: "]);
    const changed = { ...user, ...changes };
    this.#users.set(userID, changed);
    return changed;
  }
}
