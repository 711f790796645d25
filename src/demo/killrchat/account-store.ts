import { full, loginTaken, userNotFound } from "./chat-error.js";
import type { PasswordHash } from "./password.js";

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

const CAPACITY = 10_000;

/** Accounts by login. */
export class AccountStore {
  readonly #accounts = new Map<string, Account>();

  /** @throws RpcError ALREADY_EXISTS, `LOGIN_TAKEN`; RESOURCE_EXHAUSTED when there are too many */
  checkFree(login: string): void {
    if (this.#accounts.has(login)) throw loginTaken(login);
    if (this.#accounts.size >= CAPACITY) throw full("users", CAPACITY);
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

/** What others see of an account: its own names, whatever a request claims they are. */
export function personOf({ profile: { login, firstname, lastname } }: Account): Person {
  return { login, firstname, lastname };
}
