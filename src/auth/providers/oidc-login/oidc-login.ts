import { errorMessage } from "../../../net/error-text.js";
import { gatewayError } from "../../../status/failure.js";
import type { LoginCounters, LoginResult } from "../../auth-metrics.js";
import type { Caller } from "../../caller.js";
import { queryValue } from "../../credential.js";
import type {
  AuthDependencies,
  AuthEvent,
  Provider,
  ProviderRequest,
  ProviderResponse,
  ProviderRoute,
  ProviderType,
} from "../../provider.js";
import {
  checkOidcLogin,
  homePath,
  loginCookie,
  type OidcLoginConfig,
  OidcLoginSchema,
  publicOrigin,
  sessionCookie,
} from "./config.js";
import { IssuerClient, IssuerFailure } from "./issuer-client.js";
import { maxReturnChars, PendingLogins } from "./pending-logins.js";
import { SealedCookie } from "./sealed-cookie.js";
import { Sessions } from "./sessions.js";

export const oidcLogin = {
  name: "oidc_login",
  schema: OidcLoginSchema,
  check: (at, config, _context, findings) => checkOidcLogin(at, config, findings),
  describe: config => [
    {
      type: "apiKey",
      in: "cookie",
      name: sessionCookie(config).name,
      description: `The session of a browser, which a login at ${config.paths.login} begins.`,
    },
  ],
  routes: routesOf,
  create: (name, config, dependencies) => new OidcLogin(name, config, dependencies),
} as const satisfies ProviderType<OidcLoginConfig>;

function routesOf({ paths }: OidcLoginConfig): readonly ProviderRoute[] {
  const route = (name: "login" | "callback" | "logout", method: ProviderRoute["method"]): ProviderRoute => ({
    name,
    method,
    path: paths[name],
    at: ["paths", name],
  });
  return [route("login", "GET"), route("callback", "GET"), route("logout", "GET"), route("logout", "POST")];
}

type Headers = [name: string, value: string][];

/**
 * Browsers log in by the authorization code flow of OpenID Connect, with PKCE, state and nonce, and have a session in an
 * encrypted cookie. The provider keeps nothing of them, so that every worker and node knows every session.
 */
class OidcLogin implements Provider {
  readonly scheme = "Cookie";
  readonly challenge: string;
  readonly counters: Provider["counters"];
  readonly #config: OidcLoginConfig;
  readonly #origin: string;
  readonly #client: IssuerClient;
  readonly #sessions: Sessions;
  readonly #pending: PendingLogins;
  readonly #logins: LoginCounters;
  readonly #log: (event: AuthEvent) => void;
  readonly #now: () => number;

  constructor(
    readonly name: string,
    config: OidcLoginConfig,
    {
      metrics,
      refreshes,
      log,
      now = Date.now,
    }: Pick<AuthDependencies, "metrics" | "refreshes" | "log" | "now">,
  ) {
    this.#config = config;
    this.#origin = publicOrigin(config);
    this.challenge = `login="${config.paths.login}"`;
    this.counters = metrics.provider(name);
    this.#logins = metrics.logins(name);
    this.#log = log;
    this.#now = now;
    this.#client = new IssuerClient(config, now);
    const refreshed = metrics.sessionRefreshes(name);
    this.#sessions = new Sessions({ name, config, client: this.#client, refreshes, refreshed, log, now });
    const purpose = `login ${config.issuer} ${config.client_id}`;
    this.#pending = new PendingLogins(new SealedCookie(loginCookie(config), config.secrets, purpose));
  }

  identify(caller: Caller): ReturnType<Provider["identify"]> {
    return this.#sessions.identify(caller);
  }

  loginUrl(caller: Caller): string | undefined {
    if (!isNavigation(caller)) return undefined;
    const { path, query } = caller;
    const target = query === "" ? path : `${path}?${query}`;
    const returnTo = isOwnPath(target) ? `?return_to=${encodeURIComponent(target)}` : "";
    return `${this.#origin}${this.#config.paths.login}${returnTo}`;
  }

  serve(name: string, request: ProviderRequest): Promise<ProviderResponse> {
    switch (name) {
      case "login":
        return this.#login(request);
      case "callback":
        return this.#callback(request);
      default:
        return this.#logout(request);
    }
  }

  close(): void {}

  async #login(request: ProviderRequest): Promise<ProviderResponse> {
    const requested = queryValue(request.query, "return_to");
    const returnTo =
      typeof requested === "string" && isOwnPath(requested) ? requested : homePath(this.#config);
    const { url, ...checks } = await this.#client.begin().catch(error => {
      this.#logins.unavailable.inc();
      this.#note("warn", `a login cannot begin: ${errorMessage(error)}`);
      throw this.#failure(request, "AUTH_UNAVAILABLE", "the issuer of the login does not respond", returnTo);
    });
    const cookie = this.#pending.add(request.cookies(), { ...checks, returnTo }, this.#now());
    return redirect(302, url, [["set-cookie", cookie]]);
  }

  async #callback(request: ProviderRequest): Promise<ProviderResponse> {
    const { query } = request;
    const state = queryValue(query, "state");
    const known = typeof state === "string" ? state : undefined;
    const { login, cookie } = this.#pending.take(request.cookies(), known, this.#now());
    const headers: Headers = [["set-cookie", cookie]];
    const failed = (result: Exclude<LoginResult, "success">, message: string): Error => {
      this.#logins[result].inc();
      this.#note(result === "unavailable" ? "warn" : "info", `a login was not completed: ${message}`);
      return this.#failure(request, ...loginFailures[result], login?.returnTo, headers);
    };
    if (login === undefined) throw failed("invalid", "the browser has begun no login with this state");
    let session: string;
    try {
      session = this.#sessions.begin(await this.#client.exchange(query, login));
    } catch (error) {
      const result = error instanceof IssuerFailure ? error.result : "refused";
      throw failed(result, errorMessage(error));
    }
    this.#logins.success.inc();
    headers.push(["set-cookie", session]);
    const target = `${this.#origin}${login.returnTo}`;
    if (this.#config.cookie.same_site !== "strict") return redirect(302, target, headers);
    // A request after a redirect of the issuer is still caused by it, and carries no strict cookie.
    return page(target, headers);
  }

  async #logout(request: ProviderRequest): Promise<ProviderResponse> {
    this.#requireOwnPage(request);
    const cookies = request.cookies();
    const home = `${this.#origin}${homePath(this.#config)}`;
    const target = await this.#endAtIssuer(cookies, home);
    return redirect(303, target ?? home, [["set-cookie", this.#sessions.end()]]);
  }

  /** The session of the browser ends, even if the issuer fails. */
  async #endAtIssuer(cookies: string | undefined, home: string): Promise<string | undefined> {
    try {
      const session = this.#sessions.read(cookies);
      if (session?.refreshToken !== undefined) await this.#client.revoke(session.refreshToken);
      return await this.#client.endSessionUrl(home, session?.idToken);
    } catch (error) {
      this.#note("info", `a session was not ended at the issuer: ${errorMessage(error)}`);
      return undefined;
    }
  }

  /** @throws GatewayError ORIGIN_NOT_ALLOWED where a page of another site logs its visitors out */
  #requireOwnPage(request: ProviderRequest): void {
    const origin = request.header("origin") ?? this.#origin;
    const site = request.header("sec-fetch-site") ?? "none";
    if (origin === this.#origin && (site === "none" || site === "same-origin")) return;
    throw gatewayError("ORIGIN_NOT_ALLOWED", "only pages of the gateway's own origin may log a user out");
  }

  /** A person sees a page that leads back to the login. */
  #failure(
    request: ProviderRequest,
    reason: LoginReason,
    text: string,
    returnTo: string | undefined,
    headers: Headers = [],
  ): Error {
    const { login } = this.#config.paths;
    const target = returnTo === undefined ? login : `${login}?return_to=${encodeURIComponent(returnTo)}`;
    return gatewayError(reason, `${text}; begin again at ${login}`, [], {
      headers: [...uncached, ...headers],
      ...(reason === "AUTH_UNAVAILABLE" && { retryAfter: 1 }),
      ...(acceptsPage(request) && { page: failurePage(reason, text, target) }),
    });
  }

  #note(level: AuthEvent["level"], message: string): void {
    this.#log({ level, provider: this.name, message });
  }
}

type LoginReason = "LOGIN_INVALID" | "LOGIN_REFUSED" | "AUTH_UNAVAILABLE";

/** What the client sees of a login that was not completed. */
const loginFailures: Readonly<Record<Exclude<LoginResult, "success">, readonly [LoginReason, string]>> = {
  invalid: ["LOGIN_INVALID", "the login cannot be completed"],
  refused: ["LOGIN_REFUSED", "the login was refused"],
  unavailable: ["AUTH_UNAVAILABLE", "the issuer does not respond as it should"],
};

function isNavigation(caller: Caller): boolean {
  return caller.method === "GET" && caller.header("upgrade") === undefined && acceptsPage(caller);
}

/** For a page that a person opens in a tab; for no resource of a page, and by no program. */
function acceptsPage(request: Pick<Caller, "header">): boolean {
  const mode = request.header("sec-fetch-mode");
  if (mode === undefined) return /^\s*text\/html\b/i.test(request.header("accept") ?? "");
  return mode === "navigate" && request.header("sec-fetch-dest") === "document";
}

/** A path of the gateway itself, which no browser takes for another host; with its query. */
function isOwnPath(text: string): boolean {
  return text.length <= maxReturnChars && /^\/(?![/\\])[\x21-\x5b\x5d-\x7e]*$/.test(text);
}

const uncached: Headers = [
  ["cache-control", "no-store"],
  ["referrer-policy", "no-referrer"],
];

function redirect(status: 302 | 303, location: string, headers: Headers): ProviderResponse {
  return { status, headers: [["location", location], ...uncached, ...headers], body: "" };
}

function page(target: string, headers: Headers): ProviderResponse {
  const url = escaped(target);
  const type: Headers = [["content-type", "text/html; charset=utf-8"]];
  const body = `<!doctype html><meta http-equiv="refresh" content="0;url=${url}"><a href="${url}">Continue</a>\n`;
  return { status: 200, headers: [...type, ...uncached, ...headers], body };
}

/** @param text a part of a sentence */
function failurePage(reason: string, text: string, target: string): string {
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Login</title>
<style>body { font: 1rem/1.5 system-ui, sans-serif; max-width: 32rem; margin: 20vh auto 0; padding: 0 1rem }</style>
<h1>You are not logged in</h1>
<p>${escaped(text.charAt(0).toUpperCase() + text.slice(1))}.</p>
<p><a href="${escaped(target)}">Log in again</a></p>
<p><small>${reason}</small></p>
`;
}

function escaped(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll('"', "&quot;").replaceAll("<", "&lt;");
}
