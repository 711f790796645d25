import { hash } from "node:crypto";
import type { ProviderCounters } from "../auth-metrics.js";
import type { Caller } from "../caller.js";
import { AMBIGUOUS, type CredentialReader, isCredential, maxCredentialLength } from "../credential.js";
import type { Identity } from "../identity.js";
import { CredentialRefusal, type Provider, refuse } from "../provider.js";

/** The result of verifying a token. */
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
  /** Milliseconds for which a refused token is refused from the cache; 0: it is verified each time. */
  readonly refusedFor: number;
  now(): number;
  /** Grows when everything that is remembered has become worthless. */
  version(): number;
  /** Rejects with a CredentialRefusal. */
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
  readonly #refused: TokenCache<CredentialRefusal>;
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
    if (token.length > maxCredentialLength)
      refuse(`the token is longer than ${maxCredentialLength} characters`);
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
    if (!isCredential(token)) refuse("the token contains invalid characters");
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
      const final = error instanceof CredentialRefusal && error.result !== "unavailable";
      if (final && refusedFor > 0) this.#refused.set(key, error, now() + refusedFor);
      throw error;
    }
  }
}

interface Entry<T> {
  readonly value: T;
  /** Milliseconds since 1970. */
  readonly until: number;
}

/**
 * The results for tokens, by their hash: the tokens themselves are not kept. Bounded: the least recently used
 * entries go first, half of the cache at a time, so that a hit costs one look-up and moves nothing.
 */
export class TokenCache<T> {
  readonly #half: number;
  #recent = new Map<string, Entry<T>>();
  #earlier = new Map<string, Entry<T>>();

  /** @param size most entries, at least 2 */
  constructor(size: number) {
    this.#half = Math.ceil(size / 2);
  }

  get size(): number {
    return this.#recent.size + this.#earlier.size;
  }

  /** @param now milliseconds since 1970 */
  get(key: string, now: number): T | undefined {
    const recent = this.#recent.get(key);
    const entry = recent ?? this.#earlier.get(key);
    if (entry === undefined) return undefined;
    if (entry.until <= now) {
      this.#recent.delete(key);
      this.#earlier.delete(key);
      return undefined;
    }
    if (recent === undefined) {
      this.#earlier.delete(key);
      this.#keep(key, entry);
    }
    return entry.value;
  }

  set(key: string, value: T, until: number): void {
    this.#earlier.delete(key);
    this.#keep(key, { value, until });
  }

  clear(): void {
    this.#recent.clear();
    this.#earlier.clear();
  }

  #keep(key: string, entry: Entry<T>): void {
    this.#recent.set(key, entry);
    if (this.#recent.size < this.#half) return;
    this.#earlier = this.#recent;
    this.#recent = new Map();
  }
}

/** SHA-256, which costs less than the look-up of a long string in a map. */
export function tokenHash(token: string): string {
  return hash("sha256", token, "base64");
}
