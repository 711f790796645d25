import { randomBytes } from "node:crypto";
import { verifyPassword } from "../password.js";
import { type DemoService, unary } from "../service.js";
import { Validation } from "../validation.js";
import type { AccountStore } from "./accounts.js";
import { badCredentials } from "./chat-error.js";

const COOKIE = "killrchat_session";
const ATTRIBUTES = "Path=/; HttpOnly; SameSite=Lax";

interface LogIn {
  readonly jUsername: string;
  readonly jPassword: string;
}

/** `killrchat.v1.SessionService`. */
export function sessionService(accounts: AccountStore, sessions: SessionStore): DemoService {
  return {
    name: "killrchat.v1.SessionService",
    handlers: {
      LogIn: unary(async (request: LogIn, { responseMetadata }) => {
        const { jUsername: login, jPassword: password } = request;
        new Validation().text("j_username", login, 64).text("j_password", password, 256).done();
        if (!(await verifyPassword(password, accounts.find(login)?.password))) throw badCredentials();
        responseMetadata.set("set-cookie", `${COOKIE}=${sessions.open(login)}; ${ATTRIBUTES}`);
        return {};
      }),

      LogOut: unary((_request, { metadata, responseMetadata }) => {
        for (const header of metadata.get("cookie")) {
          const token = sessionToken(String(header));
          if (token !== undefined) sessions.end(token);
        }
        responseMetadata.set("set-cookie", `${COOKIE}=; ${ATTRIBUTES}; Max-Age=0`);
        return {};
      }),
    },
  };
}

/** The session's token in a Cookie header (RFC 6265 §4.2.1). */
function sessionToken(header: string): string | undefined {
  for (const pair of header.split(";")) {
    const separator = pair.indexOf("=");
    if (separator !== -1 && pair.slice(0, separator).trim() === COOKIE)
      return pair.slice(separator + 1).trim();
  }
  return undefined;
}

const maxSessions = 10_000;

/** Open sessions: the login by the random token that the cookie carries. The oldest makes room for a new one. */
export class SessionStore {
  readonly #logins = new Map<string, string>();

  /** The token of a new session: 256 random bits in base64url. */
  open(login: string): string {
    const token = randomBytes(32).toString("base64url");
    this.#logins.set(token, login);
    const oldest = this.#logins.keys().next();
    if (this.#logins.size > maxSessions && !oldest.done) this.#logins.delete(oldest.value);
    return token;
  }

  /** False where there was no such session. */
  end(token: string): boolean {
    return this.#logins.delete(token);
  }
}
