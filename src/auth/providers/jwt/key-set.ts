import { createLocalJWKSet, errors, type JSONWebKeySet, type JWK, type JWTVerifyGetKey } from "jose";
import { TimedRequests } from "../../../net/timed-requests.js";
import { isRecord } from "../../claims.js";
import { CredentialRefusal } from "../../provider.js";
import { fetchText, issuerTimeoutMs, parsedJson } from "../issuer.js";

export interface RemoteKeySetOptions {
  /** The URL of the set; called before each fetch. If it fails, the last one counts. */
  locate(signal: AbortSignal): string | Promise<string>;
  /** Milliseconds between two periodic fetches. */
  readonly refresh: number;
  /** Least milliseconds between two fetches because of a key that is not known. */
  readonly cooldown: number;
  /** Milliseconds for one fetch as a whole; default 5 s. */
  readonly timeout?: number;
  /** Milliseconds on a clock that never goes back. */
  clock(): number;
  /** A fetch is over; `error` is undefined where it brought a set. */
  fetched(error: unknown): void;
}

/** Milliseconds before the first repetition of a fetch that failed; they double up to the most. */
const minPauseMs = 1000;
const maxPauseMs = 30_000;
const setHeaders = { accept: "application/jwk-set+json, application/json" };

/**
 * The keys behind a URL. They are fetched at once, then every `refresh`, and when a token names a key that is not
 * among them, but then at most once in `cooldown`. While the issuer is down the last good set stays.
 */
export class RemoteKeySet implements TokenKeys {
  readonly #options: RemoteKeySetOptions;
  readonly #keys = new KeySet();
  readonly #requests = new TimedRequests();
  #fetching: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #failures = 0;
  #url: string | undefined;
  /** When the next token may cause a fetch. */
  #openAt = 0;
  /** When the set was last fetched, milliseconds since 1970. */
  #fetchedAt: number | undefined;

  constructor(options: RemoteKeySetOptions) {
    this.#options = options;
    void this.#fetch();
  }

  get version(): number {
    return this.#keys.version;
  }

  get fetchedAt(): number | undefined {
    return this.#fetchedAt;
  }

  async candidates(...token: Parameters<JWTVerifyGetKey>) {
    if (!this.#keys.known) await this.#look();
    if (!this.#keys.known)
      throw new CredentialRefusal("unavailable", "the key set of the issuer has not been fetched yet");
    try {
      return await this.#keys.candidates(...token);
    } catch (error) {
      if (!(error instanceof errors.JWKSNoMatchingKey)) throw error;
      if (!(await this.#look()) && this.#failures === 0) throw error;
      return this.#again(...token);
    }
  }

  async #again(...token: Parameters<JWTVerifyGetKey>) {
    try {
      return await this.#keys.candidates(...token);
    } catch (error) {
      throw this.#failures > 0 ? unknownKey(error, "the key set of the issuer cannot be fetched") : error;
    }
  }

  close(): void {
    this.#requests.close();
    clearTimeout(this.#timer);
  }

  /** Waits for the fetch under way, or begins one where that is allowed. False: there was neither. */
  async #look(): Promise<boolean> {
    if (this.#fetching === undefined && this.#options.clock() < this.#openAt) return false;
    await (this.#fetching ?? this.#fetch());
    return true;
  }

  #fetch(): Promise<void> {
    clearTimeout(this.#timer);
    this.#fetching = this.#refresh().finally(() => {
      this.#fetching = undefined;
    });
    return this.#fetching;
  }

  /** Never rejects. */
  async #refresh(): Promise<void> {
    const { refresh, cooldown, timeout = issuerTimeoutMs, fetched } = this.#options;
    if (this.#requests.closed) return;
    let pause: number;
    try {
      const text = await this.#requests.run(timeout, async signal =>
        fetchText(await this.#locate(signal), { signal, headers: setHeaders }, jwkSetLimit),
      );
      this.#keys.replace(parseJwkSet(text));
      this.#failures = 0;
      this.#fetchedAt = Date.now();
      this.#openAt = this.#options.clock() + cooldown;
      pause = refresh;
      fetched(undefined);
    } catch (error) {
      if (this.#requests.closed) return;
      pause = Math.min(refresh, maxPauseMs, minPauseMs * 2 ** this.#failures++);
      this.#openAt = this.#options.clock() + Math.min(pause, cooldown);
      fetched(error);
    }
    if (this.#requests.closed) return;
    this.#timer = setTimeout(() => void this.#fetch(), pause);
    this.#timer.unref();
  }

  async #locate(signal: AbortSignal): Promise<string> {
    try {
      this.#url = await this.#options.locate(signal);
    } catch (error) {
      if (this.#url === undefined) throw error;
    }
    return this.#url;
  }
}

type Key = Awaited<ReturnType<JWTVerifyGetKey>>;

/** The keys of an issuer. */
export interface TokenKeys {
  /** Grows when a key is no longer trusted: tokens verified before must be verified again. */
  readonly version: number;
  /** The keys that may have signed the token, the likeliest first. @throws CredentialRefusal, JOSEError */
  candidates(...token: Parameters<JWTVerifyGetKey>): Promise<readonly Key[]>;
  close(): void;
}

/** Most signatures that are tried for a token that does not name one of several keys. */
const maxCandidates = 8;

/** One key that never changes. */
export function fixedKey(key: Key): TokenKeys {
  const candidates = Promise.resolve([key]);
  return { version: 0, candidates: () => candidates, close: () => undefined };
}

/**
 * The error for a token that no key fits while the newest set is unavailable: the issuer may have signed it with a new
 * key.
 * @param problem why it is unavailable
 */
export function unknownKey(error: unknown, problem: string): unknown {
  return error instanceof errors.JWKSNoMatchingKey ? new CredentialRefusal("unavailable", problem) : error;
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
      for await (const key of error) if (keys.push(key) === maxCandidates) break;
      return keys;
    }
  }
}

/** Bytes of a key set. */
export const jwkSetLimit = 256 * 1024;
const maxKeys = 100;

/**
 * Reads a JWK set (RFC 7517 §5). Only public keys are kept: a symmetric or private key does not belong into one.
 * @throws Error that describes the problem
 */
export function parseJwkSet(text: string): JSONWebKeySet {
  const set = parsedJson(text);
  if (!isRecord(set) || !Array.isArray(set.keys))
    throw new Error('is no JWK set: expected an object with "keys"');
  if (set.keys.length > maxKeys) throw new Error(`has more than ${maxKeys} keys`);
  const keys = set.keys.filter((key): key is JWK => isRecord(key) && typeof key.kty === "string");
  return { keys: keys.filter(key => key.kty !== "oct" && !("d" in key)) };
}

/** The keys as texts, to compare two sets. */
function keyTexts(set: JSONWebKeySet): ReadonlySet<string> {
  return new Set(set.keys.map(key => JSON.stringify(key)));
}
