import { hash } from "node:crypto";

interface Entry<T> {
  readonly value: T;
  /** Milliseconds since 1970. */
  readonly until: number;
}

/**
 * What is known of tokens, by their hash: the tokens themselves are not kept. Bounded: what was asked for least
 * recently goes first, half of the cache at a time, so that a hit costs one look-up and moves nothing.
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

/** SHA-256, which costs less than what a map would need to look a long string up. */
export function tokenHash(token: string): string {
  return hash("sha256", token, "base64");
}
