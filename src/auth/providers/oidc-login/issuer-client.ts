import type * as OpenidClient from "openid-client";
import { errorMessage } from "../../../net/error-text.js";
import { type Claims, parseClaims } from "../../claims.js";
import { bodyOf, tracedFetch } from "../issuer.js";
import type { OidcLoginConfig } from "./config.js";
import { publicOrigin } from "./config.js";

/** Bytes of a response of the issuer. */
const responseLimit = 256 * 1024;
/** Milliseconds after which the metadata of the issuer are fetched again; the last good ones stay. */
const metadataLifetimeMs = 60 * 60_000;

/** The tokens of an issuer. Instants are milliseconds since 1970. */
export interface Tokens {
  /** Of the ID token, with its digits of numbers; undefined where a refresh brought none. */
  readonly claims: Claims | undefined;
  readonly refreshToken: string | undefined;
  /** Verified. */
  readonly idToken: string | undefined;
  /** That of the access token, else that of the ID token; undefined where neither has one. */
  readonly expires: number | undefined;
}

/** Why there are no tokens. `message` is for the log. */
export class IssuerFailure extends Error {
  override readonly name = "IssuerFailure";
  constructor(
    /** `refused` by the issuer; `invalid`: the response does not fit the request; `unavailable`: no decision. */
    readonly result: "refused" | "invalid" | "unavailable",
    message: string,
  ) {
    super(message);
  }
}

interface Ready {
  readonly oidc: typeof OpenidClient;
  readonly configuration: OpenidClient.Configuration;
}

/** The gateway as a client of an OpenID Connect issuer. Its package and the issuer's metadata are loaded at the first use. */
export class IssuerClient {
  readonly #config: OidcLoginConfig;
  readonly #now: () => number;
  readonly #redirectUri: string;
  #ready: Ready | undefined;
  #fetchedAt = 0;
  #pending: Promise<Ready> | undefined;

  constructor(config: OidcLoginConfig, now: () => number) {
    this.#config = config;
    this.#now = now;
    this.#redirectUri = `${publicOrigin(config)}${config.paths.callback}`;
  }

  /**
   * Begins a login with PKCE (RFC 7636).
   * @returns the URL for the browser, and the values by which its response is checked
   */
  async begin(): Promise<{
    readonly url: string;
    readonly state: string;
    readonly nonce: string;
    readonly codeVerifier: string;
  }> {
    const { oidc, configuration } = await this.#use();
    const codeVerifier = oidc.randomPKCECodeVerifier();
    const [state, nonce] = [oidc.randomState(), oidc.randomNonce()];
    const url = oidc.buildAuthorizationUrl(configuration, {
      ...this.#config.authorization_parameters,
      redirect_uri: this.#redirectUri,
      scope: this.#config.requested_scopes.join(" "),
      state,
      nonce,
      code_challenge: await oidc.calculatePKCECodeChallenge(codeVerifier),
      code_challenge_method: "S256",
    });
    return { url: url.href, state, nonce, codeVerifier };
  }

  /**
   * Exchanges the code of a response. State, `iss` (RFC 9207), nonce and the signature of the ID token are checked.
   * @param query as the browser brought it
   * @throws IssuerFailure
   */
  exchange(
    query: string,
    login: { readonly state: string; readonly nonce: string; readonly codeVerifier: string },
  ): Promise<Tokens> {
    return this.#call("invalid", async ({ oidc, configuration }) => {
      const response = await oidc.authorizationCodeGrant(
        configuration,
        new URL(`${this.#redirectUri}?${query}`),
        { expectedState: login.state, expectedNonce: login.nonce, pkceCodeVerifier: login.codeVerifier },
      );
      return this.#tokens(oidc, configuration, response);
    });
  }

  /** @throws IssuerFailure */
  refresh(refreshToken: string): Promise<Tokens> {
    return this.#call("refused", async ({ oidc, configuration }) => {
      const response = await oidc.refreshTokenGrant(configuration, refreshToken);
      return this.#tokens(oidc, configuration, response);
    });
  }

  /** Revokes a refresh token (RFC 7009), where the issuer can. @throws IssuerFailure */
  revoke(refreshToken: string): Promise<void> {
    return this.#call("refused", async ({ oidc, configuration }) => {
      if (configuration.serverMetadata().revocation_endpoint === undefined) return;
      await oidc.tokenRevocation(configuration, refreshToken, { token_type_hint: "refresh_token" });
    });
  }

  /**
   * Where the browser ends its session at the issuer (OpenID Connect RP-Initiated Logout 1.0); undefined where it cannot.
   * @param idToken of the session, where it is there
   * @throws IssuerFailure
   */
  endSessionUrl(returnTo: string, idToken: string | undefined): Promise<string | undefined> {
    return this.#call("refused", async ({ oidc, configuration }) => {
      if (configuration.serverMetadata().end_session_endpoint === undefined) return undefined;
      const hint = idToken === undefined ? {} : { id_token_hint: idToken };
      return oidc.buildEndSessionUrl(configuration, { post_logout_redirect_uri: returnTo, ...hint }).href;
    });
  }

  /** @param grant the result where the issuer does not accept the code or the refresh token */
  async #call<T>(grant: IssuerFailure["result"], send: (ready: Ready) => Promise<T>): Promise<T> {
    const ready = await this.#use();
    try {
      return await send(ready);
    } catch (error) {
      throw failureOf(ready.oidc, error, grant);
    }
  }

  /** Requests at one time wait for one fetch. @throws IssuerFailure */
  #use(): Promise<Ready> {
    const known = this.#ready;
    if (known !== undefined && this.#now() - this.#fetchedAt < metadataLifetimeMs)
      return Promise.resolve(known);
    this.#pending ??= this.#discover()
      .then(
        ready => {
          this.#ready = ready;
          return ready;
        },
        error => {
          if (known !== undefined) return known;
          throw new IssuerFailure("unavailable", `the metadata of the issuer: ${causeOf(error)}`);
        },
      )
      .finally(() => {
        if (this.#ready !== undefined) this.#fetchedAt = this.#now();
        this.#pending = undefined;
      });
    return this.#pending;
  }

  async #discover(): Promise<Ready> {
    const oidc = await import("openid-client");
    const { issuer, client_id: id, client_secret: secret, client_auth: auth, timeout } = this.#config;
    const authentication =
      secret === undefined
        ? oidc.None()
        : auth === "client_secret_basic"
          ? oidc.ClientSecretBasic(secret)
          : oidc.ClientSecretPost(secret);
    const plain = new URL(issuer).protocol === "http:";
    const configuration = await oidc.discovery(
      new URL(issuer),
      id,
      { [oidc.clockTolerance]: Math.ceil(this.#config.clock_tolerance / 1000) },
      authentication,
      {
        timeout: timeout / 1000,
        [oidc.customFetch]: boundedFetch,
        execute: plain
          ? [oidc.allowInsecureRequests, oidc.enableNonRepudiationChecks]
          : [oidc.enableNonRepudiationChecks],
      },
    );
    return { oidc, configuration };
  }

  async #tokens(
    oidc: typeof OpenidClient,
    configuration: OpenidClient.Configuration,
    response: OpenidClient.TokenEndpointResponse & OpenidClient.TokenEndpointResponseHelpers,
  ): Promise<Tokens> {
    const { id_token: idToken, access_token: accessToken, refresh_token: refreshToken, scope } = response;
    const validated = response.claims();
    let claims = idToken === undefined ? undefined : payloadOf(idToken);
    if (claims !== undefined) {
      const granted = scope ?? this.#config.requested_scopes.join(" ");
      claims = { scope: granted, ...claims };
      if (this.#config.userinfo) {
        const { userinfo_endpoint: endpoint } = configuration.serverMetadata();
        if (endpoint === undefined)
          throw new IssuerFailure("unavailable", "the issuer has no userinfo_endpoint");
        const found = await oidc.fetchProtectedResource(configuration, accessToken, new URL(endpoint), "GET");
        if (found.status !== 200)
          throw new IssuerFailure("unavailable", `the userinfo endpoint responds with ${found.status}`);
        const more = parseClaims(new Uint8Array(await found.arrayBuffer()));
        // OpenID Connect Core 1.0 §5.3.2.
        if (more.sub !== claims.sub)
          throw new IssuerFailure("invalid", '"sub" of userinfo is that of another');
        claims = { ...more, ...claims };
      }
    }
    const seconds = response.expiresIn();
    const expires =
      seconds !== undefined
        ? this.#now() + seconds * 1000
        : validated === undefined
          ? undefined
          : validated.exp * 1000;
    return { claims, refreshToken, idToken, expires };
  }
}

/** The claims of a token that was verified, by the strict reader. */
function payloadOf(token: string): Claims {
  return parseClaims(Buffer.from(token.split(".")[1] ?? "", "base64url"));
}

/** Responses with their whole body, and no larger than an issuer's are. */
const boundedFetch: OpenidClient.CustomFetch = async (url, options) => {
  const { body, ...rest } = options;
  const init: RequestInit = {
    ...rest,
    ...(body !== undefined && body !== null && { body: body as NonNullable<RequestInit["body"]> }),
  };
  const response = await tracedFetch(url, init, undefined);
  const content = await bodyOf(response, responseLimit);
  if (content === undefined) throw new Error(`the response of ${url} is larger than ${responseLimit} bytes`);
  const { status, headers } = response;
  return new Response(content.length === 0 ? null : content, { status, headers });
};

function failureOf(oidc: typeof OpenidClient, error: unknown, grant: IssuerFailure["result"]): IssuerFailure {
  if (error instanceof IssuerFailure) return error;
  if (error instanceof oidc.AuthorizationResponseError) {
    const later = error.error === "server_error" || error.error === "temporarily_unavailable";
    return new IssuerFailure(later ? "unavailable" : "refused", describe(error));
  }
  if (error instanceof oidc.ResponseBodyError) {
    return new IssuerFailure(error.error === "invalid_grant" ? grant : "unavailable", describe(error));
  }
  const invalid = error instanceof oidc.ClientError && invalidCodes.has(error.code ?? "");
  return new IssuerFailure(invalid ? "invalid" : "unavailable", causeOf(error));
}

/** Responses that are readable and wrong. */
const invalidCodes: ReadonlySet<string> = new Set([
  "OAUTH_INVALID_RESPONSE",
  "OAUTH_JWT_CLAIM_COMPARISON_FAILED",
  "OAUTH_JWT_TIMESTAMP_CHECK_FAILED",
  "OAUTH_JSON_ATTRIBUTE_COMPARISON_FAILED",
  "OAUTH_KEY_SELECTION_FAILED",
]);

/** Most characters of an issuer's description, in the log. */
const maxDescription = 200;

function describe({
  error,
  error_description: more,
}: OpenidClient.AuthorizationResponseError | OpenidClient.ResponseBodyError): string {
  return `the issuer responds with ${JSON.stringify(error.slice(0, maxDescription))}${more === undefined ? "" : `: ${JSON.stringify(more.slice(0, maxDescription))}`}`;
}

function causeOf(error: unknown): string {
  const { cause } = error instanceof Error ? error : {};
  return cause instanceof Error ? `${errorMessage(error)}: ${cause.message}` : errorMessage(error);
}
