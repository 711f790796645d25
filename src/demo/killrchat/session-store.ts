import { randomBytes } from "node:crypto";

const CAPACITY = 10_000;

/** Open sessions: the login by the random token that the cookie carries. The oldest makes room for a new one. */
export class SessionStore {
  readonly #logins = new Map<string, string>();

  /** The token of a new session: 256 random bits in base64url. */
  open(login: string): string {
    const token = randomBytes(32).toString("base64url");
    this.#logins.set(token, login);
    const oldest = this.#logins.keys().next();
    if (this.#logins.size > CAPACITY && !oldest.done) this.#logins.delete(oldest.value);
    return token;
  }

  /** False where there was no such session. */
  end(token: string): boolean {
    return this.#logins.delete(token);
  }
}
