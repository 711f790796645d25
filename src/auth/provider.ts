import type { TSchema } from "typebox";
import type { Diagnostic, Path } from "../config/diagnostic.js";
import type { Findings } from "../config/findings.js";
import type { DraftOf } from "../config/schema.js";
import type { Model } from "../descriptors/model.js";
import type { HeaderList } from "../net/headers.js";
import type { GatewayError } from "../status/failure.js";
import type { Reason } from "../status/reasons.js";
import type { Channel } from "../upstream/channel.js";
import type { UpstreamsConfig } from "../upstream/config.js";
import type { AuthMetrics, AuthResult, ProviderCounters } from "./auth-metrics.js";
import type { Caller } from "./caller.js";
import type { Identity } from "./identity.js";

/** One way to authenticate a caller. */
export interface Provider {
  readonly name: string;
  /** Authentication scheme of the challenge that a 401 carries, such as `Bearer` (RFC 9110 §11.6.1). */
  readonly scheme: string;
  readonly counters: ProviderCounters;
  /** Names of the metadata that carry identities to backends, beside `claims_to_metadata`; can change. */
  readonly metadataNames?: ReadonlySet<string>;
  /**
   * Undefined where the request has no credentials for this provider; synchronous where the result is cached.
   * @throws CredentialRefusal (or rejects with it)
   */
  identify(caller: Caller): Identity | undefined | Promise<Identity>;
  /** Parameters of the challenge beside the scheme, such as `login="/auth/login"`. */
  readonly challenge?: string;
  /** The URL of the login for a browser that navigates to a page; undefined for any other request. */
  loginUrl?(caller: Caller): string | undefined;
  /**
   * Serves a request of a route that `ProviderType.routes` declares.
   * @param name of the route
   * @throws GatewayError (or rejects with it)
   */
  serve?(name: string, request: ProviderRequest): ProviderResponse | Promise<ProviderResponse>;
  /** Stops all background work. */
  close(): void;
}

/** A route that a provider serves itself, without authentication. */
export interface ProviderRoute {
  readonly name: string;
  readonly method: "GET" | "POST";
  /** Without variables. */
  readonly path: string;
  /** The keys that configure it, from the provider on. */
  readonly at: Path;
}

/** A request of such a route. */
export interface ProviderRequest {
  /** Raw, without `?`. */
  readonly query: string;
  header(name: string): string | undefined;
  /** As of `Caller`. */
  cookies(): string | undefined;
}

export interface ProviderResponse {
  readonly status: number;
  readonly headers: HeaderList;
  readonly body: string;
}

/** Why credentials are not accepted, as far as the client may know. */
export type RefusalReason = Extract<
  Reason,
  "CREDENTIALS_INVALID" | "TOKEN_EXPIRED" | "TOKEN_MALFORMED" | "TOKEN_NOT_YET_VALID" | "TOKEN_REVOKED"
>;

/** Credentials that a provider does not accept, or cannot verify. `message` is for the log, never for the client. */
export class CredentialRefusal extends Error {
  override readonly name = "Refusal";
  constructor(
    readonly result: Extract<AuthResult, "invalid" | "expired" | "unavailable">,
    message: string,
    readonly reason: RefusalReason = result === "expired" ? "TOKEN_EXPIRED" : "CREDENTIALS_INVALID",
  ) {
    super(message);
  }
}

/** A refusal by a service. `failure` is the client's response where no other provider accepts the request. */
export class AccessDenial extends CredentialRefusal {
  constructor(
    message: string,
    readonly failure: GatewayError,
  ) {
    super("invalid", message);
  }
}

/** @throws CredentialRefusal */
export function refuse(message: string): never {
  throw new CredentialRefusal("invalid", message);
}

/** A log event of a provider. Never contains a credential, and is never sent to the client. */
export interface AuthEvent {
  /** `debug`: a credential was refused, and why; `warn`: something that an operator should see. */
  readonly level: "debug" | "info" | "warn";
  readonly provider: string;
  readonly message: string;
  /** Of the request that it is about. */
  readonly traceId?: string | undefined;
}

/** The outcome of refreshing the tokens of a session, as its provider writes it. */
export interface RefreshOutcome {
  readonly content: string;
  /** Milliseconds for which it is the outcome for everybody who has the same refresh token. */
  readonly keepMs: number;
}

/**
 * Refreshes of the tokens of sessions. An issuer may end a grant whose refresh token comes twice: each is used once, for
 * all requests, workers and generations.
 */
export interface SessionRefreshes {
  /**
   * The outcome of a recent refresh, of one under way, or of a new one.
   * @param key of the refresh token; not the token itself
   * @param now milliseconds since 1970
   * @param refresh never rejects
   */
  once(key: string, now: () => number, refresh: () => Promise<RefreshOutcome>): Promise<RefreshOutcome>;
}

/** The parts of the gateway that providers need. */
export interface AuthDependencies {
  /** Of the snapshot that the providers are for. */
  readonly model: Model;
  /** Names of request headers that some service passes to its backend, with the paths that configure it. */
  readonly passedHeaders: ReadonlyMap<string, string>;
  /** The channel of a configured upstream. */
  channel(upstream: string): Channel;
  /** One for the process; outlives reloads. */
  readonly metrics: AuthMetrics;
  /** One for the process; outlives reloads. */
  readonly refreshes: SessionRefreshes;
  log(event: AuthEvent): void;
  /** Milliseconds since 1970; default `Date.now`. */
  now?(): number;
}

/** The context that checks of providers read beside the provider itself. */
export interface ProviderCheckContext {
  readonly upstreams: DraftOf<UpstreamsConfig> | undefined;
  /** Names of request headers that some service passes to its backend, with the paths that configure it. */
  readonly passedHeaders: ReadonlyMap<string, string>;
  /** False where no listener requests certificates of clients; undefined where that is not known. */
  readonly clientCertificates: boolean | undefined;
}

/** The input of a provider's inspection, and where it reports. */
export interface ProviderInspection {
  readonly name: string;
  readonly model: Model;
  readonly passedHeaders: ReadonlyMap<string, string>;
  /** Adds a problem at a key of the provider. */
  report(severity: Diagnostic["severity"], key: string, message: string, suggestion?: string): void;
  /** Adds problems of another file. */
  add(diagnostics: readonly Diagnostic[]): void;
}

/** A Security Scheme Object of OpenAPI 3.1. */
export type SecurityScheme =
  | {
      readonly type: "http";
      readonly scheme: string;
      readonly bearerFormat?: string;
      readonly description?: string;
    }
  | {
      readonly type: "apiKey";
      readonly in: "header" | "query" | "cookie";
      readonly name: string;
      readonly description?: string;
    }
  | { readonly type: "mutualTLS"; readonly description?: string };

/** The context of making providers: the gateway's parts, and the upstreams of the configuration. */
export interface ProviderContext extends AuthDependencies {
  readonly upstreams: UpstreamsConfig;
}

/** A kind of provider, as `auth.providers.*.type` names it. */
export interface ProviderType<C extends { readonly type: string }> {
  readonly name: C["type"];
  /** Of the mapping under the provider's name; `type` among its keys. */
  readonly schema: TSchema;
  /** How callers send their credentials; the items are alternatives. */
  describe(config: C): readonly SecurityScheme[];
  /** The routes that it serves beside those that it guards. */
  routes?(config: C): readonly ProviderRoute[];
  /** Finds errors in the configuration alone; `at` is the path of the provider. */
  check?(at: Path, config: DraftOf<C>, context: ProviderCheckContext, findings: Findings): void;
  /** Finds errors in the files that it reads and the methods that it calls. Does not use the network. */
  inspect?(config: C, inspection: ProviderInspection): void;
  /** @throws Error where a file or a method cannot be used; `inspect` reports the position */
  create(name: string, config: C, context: ProviderContext): Provider;
}
