import type { SealedCookie } from "./sealed-cookie.js";

/** A login that a browser has begun, and whose response from the issuer it may bring once. */
export interface PendingLogin {
  /** These three are random texts of 256 bits in base64url. */
  readonly state: string;
  readonly nonce: string;
  readonly codeVerifier: string;
  /** A path of the gateway with its query. */
  readonly returnTo: string;
  /** Milliseconds since 1970. */
  readonly until: number;
}

/** Milliseconds for a person to log in at the issuer. */
const loginTimeoutMs = 10 * 60_000;
/** Logins that one browser may have begun at once, as by several tabs; the oldest is given up first. */
const maxPending = 4;
/** Characters of a path to return to. */
export const maxReturnChars = 400;

/** The logins that a browser has begun, in a cookie that no other browser has. */
export class PendingLogins {
  readonly #cookie: SealedCookie;

  constructor(cookie: SealedCookie) {
    this.#cookie = cookie;
  }

  /** @returns the value of `Set-Cookie` */
  add(cookies: string | undefined, login: Omit<PendingLogin, "until">, now: number): string {
    const others = this.#read(cookies, now).slice(-(maxPending - 1));
    return this.#written([...others, { ...login, until: now + loginTimeoutMs }]);
  }

  /** The login with that state, if the browser has begun one, and the value of `Set-Cookie` that takes it away. */
  take(
    cookies: string | undefined,
    state: string | undefined,
    now: number,
  ): { readonly login: PendingLogin | undefined; readonly cookie: string } {
    const all = this.#read(cookies, now);
    const login = all.find(each => each.state === state);
    return { login, cookie: this.#written(all.filter(each => each !== login)) };
  }

  #read(cookies: string | undefined, now: number): readonly PendingLogin[] {
    const content = this.#cookie.read(cookies);
    if (content === undefined || content === null) return [];
    // Only the gateway has made it.
    return (JSON.parse(content.toString()) as PendingLogin[]).filter(({ until }) => until > now);
  }

  #written(logins: readonly PendingLogin[]): string {
    const set = logins.length > 0 && this.#cookie.set(JSON.stringify(logins), loginTimeoutMs / 1000);
    return set || this.#cookie.clear();
  }
}
