import { hashPassword, type PasswordHash } from "../password.js";
import { type DemoService, unary } from "../service.js";
import { Validation } from "../validation.js";
import { full, loginTaken, userNotFound } from "./chat-error.js";

/** As much of a user as other users see (`killrchat.v1.Person`). */
export interface Person {
  readonly login: string;
  readonly firstname: string;
  readonly lastname: string;
}

export interface Profile extends Person {
  readonly email: string;
  readonly bio: string;
}

export interface Account {
  readonly profile: Profile;
  readonly password: PasswordHash;
  /** Names of the rooms that the user is in, in the order of joining. */
  readonly rooms: Set<string>;
}

const maxAccounts = 10_000;

/** Accounts by login. */
export class AccountStore {
  readonly #accounts = new Map<string, Account>();

  /** @throws RpcError ALREADY_EXISTS, `LOGIN_TAKEN`; RESOURCE_EXHAUSTED when there are too many */
  checkFree(login: string): void {
    if (this.#accounts.has(login)) throw loginTaken(login);
    if (this.#accounts.size >= maxAccounts) throw full("users", maxAccounts);
  }

  /** @throws as checkFree */
  add(profile: Profile, password: PasswordHash): void {
    this.checkFree(profile.login);
    this.#accounts.set(profile.login, { profile, password, rooms: new Set() });
  }

  find(login: string): Account | undefined {
    return this.#accounts.get(login);
  }

  /** @throws RpcError NOT_FOUND, `USER_NOT_FOUND` */
  get(login: string): Account {
    const account = this.#accounts.get(login);
    if (account === undefined) throw userNotFound(login);
    return account;
  }
}

/** The public part of an account: its own names, whatever a request claims. */
export function personOf({ profile: { login, firstname, lastname } }: Account): Person {
  return { login, firstname, lastname };
}

interface CreateUser extends Profile {
  readonly password: string;
}

/** `killrchat.v1.UserService`. */
export function userService(accounts: AccountStore): DemoService {
  return {
    name: "killrchat.v1.UserService",
    handlers: {
      CreateUser: unary(async ({ password, ...profile }: CreateUser) => {
        const validation = new Validation()
          .text("login", profile.login, 64)
          .optionalText("firstname", profile.firstname, 100)
          .optionalText("lastname", profile.lastname, 100)
          .optionalText("email", profile.email, 254)
          .optionalText("bio", profile.bio, 1000);
        if (profile.login !== "" && !/^[\p{L}\p{N}._-]+$/u.test(profile.login))
          validation.fail("login", "must consist of letters, digits, ., _ and -");
        if (password === "") validation.fail("password", "must not be empty");
        validation.optionalText("password", password, 256).done();
        // Hashing is dear: a login that is taken fails before it, and once more where it was taken meanwhile.
        accounts.checkFree(profile.login);
        accounts.add(profile, await hashPassword(password));
        return {};
      }),

      GetUser: unary(({ login }: { readonly login: string }) => {
        const { profile, rooms } = accounts.get(login);
        return { ...profile, chatRooms: [...rooms] };
      }),
    },
  };
}
