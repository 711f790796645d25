import { createLocalJWKSet, errors, type JSONWebKeySet, type JWTVerifyGetKey } from "jose";
import { keyTexts } from "./jwk-set.js";
import { Refusal } from "./provider.js";

type Key = Awaited<ReturnType<JWTVerifyGetKey>>;

/** The keys of an issuer. */
export interface TokenKeys {
  /** Grows when a key is no longer trusted: what was verified before must be verified again. */
  readonly version: number;
  /** The keys that may have signed the token, the likeliest first. @throws Refusal, JOSEError */
  candidates(...token: Parameters<JWTVerifyGetKey>): Promise<readonly Key[]>;
  close(): void;
}

/** Signatures that are tried for a token that does not say which of several keys has signed it. */
const mostCandidates = 8;

/** One key that never changes. */
export function fixedKey(key: Key): TokenKeys {
  const candidates = Promise.resolve([key]);
  return { version: 0, candidates: () => candidates, close: () => undefined };
}

/**
 * What it means that no key fits a token while the newest set cannot be had: the issuer may have signed it with a new one.
 * @param problem why it cannot
 */
export function unknownKey(error: unknown, problem: string): unknown {
  return error instanceof errors.JWKSNoMatchingKey ? new Refusal("unavailable", problem) : error;
}

/** A set of keys that can be replaced. */
export class KeySet {
  version = 0;
  #find: ReturnType<typeof createLocalJWKSet> | undefined;
  #texts: ReadonlySet<string> = new Set();

  get known(): boolean {
    return this.#find !== undefined;
  }

  replace(set: JSONWebKeySet): void {
    const texts = keyTexts(set);
    const find = createLocalJWKSet(set);
    for (const text of this.#texts) {
      if (texts.has(text)) continue;
      this.version++;
      break;
    }
    this.#texts = texts;
    this.#find = find;
  }

  /** @throws JOSEError, JWKSNoMatchingKey where no key fits */
  async candidates(...token: Parameters<JWTVerifyGetKey>): Promise<readonly Key[]> {
    if (this.#find === undefined) throw new errors.JWKSNoMatchingKey();
    try {
      return [await this.#find(...token)];
    } catch (error) {
      if (!(error instanceof errors.JWKSMultipleMatchingKeys)) throw error;
      const keys: Key[] = [];
      for await (const key of error) if (keys.push(key) === mostCandidates) break;
      return keys;
    }
  }
}
