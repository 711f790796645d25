import type { HeaderList } from "../net/headers.js";
import type { Caller } from "./caller.js";

/** The caller as authenticated by a provider. Immutable; may be cached and shared between requests. */
export interface Identity {
  /** Name of the provider in the configuration. */
  readonly provider: string;
  /** Not empty. */
  readonly subject: string;
  readonly scopes: ReadonlySet<string>;
  /** JSON values by claim; no prototype. */
  readonly claims: Readonly<Record<string, unknown>>;
  /** Metadata for the backend, by `claims_to_metadata`. */
  readonly metadata: HeaderList;
  /** Milliseconds since 1970; undefined: never. */
  readonly expiresAt: number | undefined;
  /** Of the response to this request, such as a renewed cookie; the identity is that of one request then. */
  readonly responseHeaders?: HeaderList;
}

/**
 * Authenticates the caller; synchronous where the result is cached.
 * @throws GatewayError (or rejects with it) where no provider accepts, with `WWW-Authenticate`
 */
export interface Authenticator {
  (caller: Caller): Identity | Promise<Identity>;
  /** Values of `WWW-Authenticate` for a 401 of the backend, one for each way to authenticate. */
  challenges?(): readonly string[];
}
