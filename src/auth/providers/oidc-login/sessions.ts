import { errorMessage } from "../../../net/error-text.js";
import type { HeaderList } from "../../../net/headers.js";
import type { SessionRefreshCounters } from "../../auth-metrics.js";
import type { Caller } from "../../caller.js";
import {
  bareClaims,
  type Claims,
  claimAt,
  isRecord,
  metadataMapper,
  parseClaims,
  plainText,
  scopesOf,
  subjectOf,
} from "../../claims.js";
import type { Identity } from "../../identity.js";
import { type AuthEvent, CredentialRefusal, refuse, type SessionRefreshes } from "../../provider.js";
import { tokenHash } from "../token-provider.js";
import { type OidcLoginConfig, sessionCookie } from "./config.js";
import { type IssuerClient, IssuerFailure, type Tokens } from "./issuer-client.js";
import { SealedCookie } from "./sealed-cookie.js";

/** The content of the cookie of a session. Instants are milliseconds since 1970. */
interface Session {
  readonly claims: Claims;
  readonly refreshToken: string | undefined;
  /** By which the issuer knows whose session a logout ends; left out where the cookie has no room for it. */
  readonly idToken: string | undefined;
  /** The login. */
  readonly begun: number;
  /** A request that renewed the cookie. */
  readonly active: number;
  /** When the issuer gave the tokens, and when they expire. */
  readonly issued: number;
  readonly expires: number;
}

export interface SessionsContext {
  readonly name: string;
  readonly config: OidcLoginConfig;
  readonly client: IssuerClient;
  readonly refreshes: SessionRefreshes;
  readonly refreshed: SessionRefreshCounters;
  log(event: AuthEvent): void;
  now(): number;
}

/** Of `idle`: a cookie that is older is renewed, so that not every response has one. */
const renewal = 1 / 10;
/** Tokens are refreshed so long before they expire, milliseconds, but not before three quarters of their lifetime. */
const refreshMarginMs = 60_000;
/** Milliseconds for which requests with an older cookie get the result of a refresh. */
const refreshedMs = 60_000;
/** Milliseconds after a failed refresh until the next. */
const refreshPauseMs = 5000;
type Refresh = { readonly session: Session } | { readonly failure: IssuerFailure };

/** The sessions of one provider. They are in the cookies of their browsers alone. */
export class Sessions {
  readonly #context: SessionsContext;
  readonly #cookie: SealedCookie;
  readonly #metadataOf: (claims: Claims) => Identity["metadata"];

  constructor(context: SessionsContext) {
    const { config } = context;
    this.#context = context;
    this.#metadataOf = metadataMapper(config.claims_to_metadata);
    const purpose = `session ${config.issuer} ${config.client_id}`;
    this.#cookie = new SealedCookie(sessionCookie(config), config.secrets, purpose);
  }

  /**
   * Undefined where the request has no session.
   * @throws CredentialRefusal (or rejects with it)
   */
  identify(caller: Caller): Identity | undefined | Promise<Identity> {
    const session = this.read(caller.cookies());
    if (session === undefined) return undefined;
    const { config, now } = this.#context;
    const time = now();
    if (session.begun + config.cookie.ttl <= time) expired("the session has lasted for its whole ttl");
    if (session.active + config.cookie.idle <= time)
      expired("the session has had no request for its idle time");
    const { refreshToken } = session;
    if (refreshToken !== undefined && refreshAt(session) <= time)
      return this.#refresh(session, refreshToken, time);
    if (session.expires <= time) expired("the tokens of the session have expired");
    const renews = time - session.active >= config.cookie.idle * renewal;
    return this.#identity(session, renews ? this.write(session, time) : undefined);
  }

  /**
   * @param cookies a Cookie header
   * @throws CredentialRefusal where there is a session that is not one of this provider
   */
  read(cookies: string | undefined): Session | undefined {
    const content = this.#cookie.read(cookies);
    if (content === undefined) return undefined;
    const session = content === null ? undefined : readSession(content);
    return (
      session ??
      refuse("the session was encrypted with none of the secrets, or was changed, or was sent twice")
    );
  }

  /**
   * A session of a login.
   * @returns the value of `Set-Cookie`
   * @throws CredentialRefusal where there is no subject, Error where there would be more than a cookie can hold
   */
  begin({ claims = bareClaims({}), refreshToken, idToken, expires }: Tokens): string {
    const time = this.#context.now();
    const session: Session = {
      claims: this.#kept(claims),
      refreshToken,
      idToken,
      begun: time,
      active: time,
      issued: time,
      expires: expires ?? time + this.#context.config.cookie.ttl,
    };
    this.#identity(session, undefined);
    return this.#written(session, time);
  }

  /** The value of `Set-Cookie` that ends the session of a browser. */
  end(): string {
    return this.#cookie.clear();
  }

  /** Undefined where it would be larger than browsers keep, so that the browser keeps its cookie. */
  write(session: Session, time: number): string | undefined {
    try {
      return this.#written({ ...session, active: time }, time);
    } catch {
      return undefined;
    }
  }

  #written(session: Session, time: number): string {
    const { ttl, idle } = this.#context.config.cookie;
    const left = Math.min(session.begun + ttl - time, idle);
    const maxAge = Math.max(1, Math.ceil(left / 1000));
    const content = writeSession({ ...session, idToken: undefined });
    const cookie =
      (session.idToken && this.#cookie.set(writeSession(session), maxAge)) ||
      this.#cookie.set(content, maxAge);
    if (cookie !== undefined) return cookie;
    throw new Error(
      `the session needs ${Buffer.byteLength(content)} bytes, which is more than a cookie holds: name what it keeps by "claims"`,
    );
  }

  #identity(session: Session, cookie: string | undefined): Identity {
    const { name, config } = this.#context;
    const { claims } = session;
    return Object.freeze({
      provider: name,
      subject: subjectOf(claimAt(claims, config.subject), config.subject),
      scopes: scopesOf(claimAt(claims, config.scopes)),
      claims,
      metadata: this.#metadataOf(claims),
      expiresAt: Math.min(session.expires, session.begun + config.cookie.ttl),
      ...(cookie !== undefined && { responseHeaders: responseHeaders(cookie) }),
    });
  }

  async #refresh(session: Session, refreshToken: string, time: number): Promise<Identity> {
    const { name, config, refreshes, now } = this.#context;
    const key = tokenHash(`${name} ${config.issuer} ${config.client_id} ${refreshToken}`);
    const { content } = await refreshes.once(key, now, async () => {
      const refresh = await this.#refreshTokens(session, refreshToken);
      return { content: writeRefresh(refresh), keepMs: "session" in refresh ? refreshedMs : refreshPauseMs };
    });
    const refresh = readRefresh(content);
    if ("session" in refresh) return this.#identity(refresh.session, this.write(refresh.session, time));
    const { result, message } = refresh.failure;
    // The tokens of the issuer are good until they expire; another node may have refreshed with the same token.
    if (session.expires > time) return this.#identity(session, this.write(session, time));
    if (result !== "unavailable") expired(`the session was not refreshed: ${message}`);
    throw new CredentialRefusal("unavailable", `the session cannot be refreshed: ${message}`);
  }

  /** Never rejects. */
  async #refreshTokens(session: Session, refreshToken: string): Promise<Refresh> {
    const { name, client, refreshed: counters, log, now, config } = this.#context;
    try {
      const tokens = await client.refresh(refreshToken);
      const { claims } = tokens;
      if (claims !== undefined && claims.sub !== session.claims.sub)
        throw new IssuerFailure("invalid", '"sub" of the refreshed ID token is that of another');
      const time = now();
      const refreshed: Session = {
        claims: claims === undefined ? session.claims : this.#kept(claims),
        refreshToken: tokens.refreshToken ?? refreshToken,
        idToken: tokens.idToken ?? session.idToken,
        begun: session.begun,
        active: time,
        issued: time,
        expires: tokens.expires ?? session.begun + config.cookie.ttl,
      };
      this.#written(refreshed, time);
      counters.success.inc();
      return { session: refreshed };
    } catch (error) {
      const failure =
        error instanceof IssuerFailure ? error : new IssuerFailure("invalid", errorMessage(error));
      const later = failure.result === "unavailable";
      counters[later ? "unavailable" : "refused"].inc();
      log({
        level: later ? "warn" : "info",
        provider: name,
        message: `a session was not refreshed: ${failure.message}`,
      });
      return { failure };
    }
  }

  /** Without the claims that only the protocol needs, or those that `claims` lists. */
  #kept(claims: Claims): Claims {
    const { claims: named, subject, scopes, claims_to_metadata: metadata } = this.#context.config;
    const kept =
      named && new Set(["sub", subject, scopes, ...named, ...Object.keys(metadata)].flatMap(namesOf));
    return bareClaims(
      Object.fromEntries(
        Object.entries(claims).filter(([name]) => kept?.has(name) ?? !protocolClaims.has(name)),
      ),
    );
  }
}

/** The name of a claim, or a way of dots from one. */
function namesOf(path: string): readonly string[] {
  return [path, path.split(".")[0] ?? path];
}

const protocolClaims: ReadonlySet<string> = new Set([
  "iss",
  "aud",
  "exp",
  "iat",
  "nbf",
  "jti",
  "nonce",
  "at_hash",
  "c_hash",
  "s_hash",
  "azp",
  "sid",
]);

function refreshAt({ issued, expires }: Session): number {
  return expires - Math.min(refreshMarginMs, (expires - issued) / 4);
}

/** A cache must not keep the cookie for others. */
function responseHeaders(cookie: string): HeaderList {
  return [
    ["set-cookie", cookie],
    ["cache-control", "private"],
  ];
}

function expired(message: string): never {
  throw new CredentialRefusal("expired", message);
}

/** JSON, the numbers of claims with their digits. */
function writeSession({ claims, refreshToken, idToken, begun, active, issued, expires }: Session): string {
  const times = JSON.stringify([begun, active, issued, expires]);
  const tokens = JSON.stringify({ refresh: refreshToken, id: idToken }).slice(1, -1);
  return `{"times":${times},${tokens}${tokens === "" ? "" : ","}"claims":${plainText(claims)}}`;
}

/** @returns undefined for content of another form, as of another version of the gateway. */
function readSession(content: Uint8Array): Session | undefined {
  const { times, refresh, id, claims } = parseClaims(content);
  if (!Array.isArray(times) || !times.every(Number.isSafeInteger) || !isRecord(claims)) return undefined;
  const [begun, active, issued, expires] = times as number[];
  if (begun === undefined || active === undefined || issued === undefined || expires === undefined)
    return undefined;
  const refreshToken = typeof refresh === "string" ? refresh : undefined;
  const idToken = typeof id === "string" ? id : undefined;
  return { claims: bareClaims(claims), refreshToken, idToken, begun, active, issued, expires };
}

function writeRefresh(refresh: Refresh): string {
  if ("session" in refresh) return writeSession(refresh.session);
  const { result, message } = refresh.failure;
  return JSON.stringify({ failure: [result, message] });
}

/** What `writeRefresh` has written, in this worker or another. */
function readRefresh(content: string): Refresh {
  const session = readSession(Buffer.from(content));
  if (session !== undefined) return { session };
  const { failure } = JSON.parse(content) as {
    readonly failure: readonly [IssuerFailure["result"], string];
  };
  return { failure: new IssuerFailure(...failure) };
}
