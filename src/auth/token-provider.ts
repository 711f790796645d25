import type { ProviderCounters } from "./auth-metrics.js";
import type { Caller } from "./caller.js";
import { AMBIGUOUS, type CredentialReader, isCredential, longestCredential } from "./credential.js";
import type { Identity } from "./identity.js";
import { type Provider, Refusal, refuse } from "./provider.js";
import { TokenCache, tokenHash } from "./token-cache.js";

/** What a token turned out to be. */
export interface Verified {
  readonly identity: Identity;
  /** Until when that may be remembered, milliseconds since 1970. */
  readonly until: number;
}

export interface TokenProviderOptions {
  readonly name: string;
  readonly scheme: string;
  readonly counters: ProviderCounters;
  readonly read: CredentialReader;
  /** Most tokens that are remembered. */
  readonly cacheSize: number;
  /** Milliseconds for which a refused token is refused without asking again; 0: asked again each time. */
  readonly refusedFor: number;
  now(): number;
  /** Grows when everything that is remembered has become worthless. */
  version(): number;
  /** Rejects with a Refusal. */
  verify(token: string, caller: Caller): Promise<Verified>;
  close(): void;
}

/** A provider that verifies a token once and remembers it by its hash; equal tokens at one time are verified together. */
export class TokenProvider implements Provider {
  readonly name: string;
  readonly scheme: string;
  readonly counters: ProviderCounters;
  readonly #options: TokenProviderOptions;
  readonly #accepted: TokenCache<Identity>;
  /** Apart from the others, which it could else drive out. */
  readonly #refused: TokenCache<Refusal>;
  readonly #pending = new Map<string, Promise<Identity>>();
  #version: number;

  constructor(options: TokenProviderOptions) {
    this.name = options.name;
    this.scheme = options.scheme;
    this.counters = options.counters;
    this.#options = options;
    this.#accepted = new TokenCache(options.cacheSize);
    this.#refused = new TokenCache(options.cacheSize);
    this.#version = options.version();
  }

  identify(caller: Caller): Identity | undefined | Promise<Identity> {
    const { read, now, version } = this.#options;
    const token = read(caller);
    if (token === undefined) return undefined;
    if (token === AMBIGUOUS) refuse("the request has more than one token");
    if (token.length > longestCredential) refuse(`the token is longer than ${longestCredential} characters`);
    if (version() !== this.#version) {
      this.#version = version();
      this.#accepted.clear();
      this.#refused.clear();
    }
    const key = tokenHash(token);
    const time = now();
    const known = this.#accepted.get(key, time);
    if (known !== undefined) return known;
    const refusal = this.#refused.get(key, time);
    if (refusal !== undefined) throw refusal;
    if (!isCredential(token)) refuse("the token has characters that no token has");
    return this.#pending.get(key) ?? this.#verify(key, token, caller);
  }

  close(): void {
    this.#options.close();
  }

  #verify(key: string, token: string, caller: Caller): Promise<Identity> {
    const verification = this.#verified(key, token, caller).finally(() => this.#pending.delete(key));
    this.#pending.set(key, verification);
    return verification;
  }

  async #verified(key: string, token: string, caller: Caller): Promise<Identity> {
    const { verify, version, now, refusedFor } = this.#options;
    const before = version();
    try {
      const { identity, until } = await verify(token, caller);
      if (version() === before && until > now()) this.#accepted.set(key, identity, until);
      return identity;
    } catch (error) {
      const final = error instanceof Refusal && error.result !== "unavailable";
      if (final && refusedFor > 0) this.#refused.set(key, error, now() + refusedFor);
      throw error;
    }
  }
}
