import type { Authorizer } from "../auth/authorizer.js";
import type { Caller } from "../auth/caller.js";
import type { Authenticator, Identity } from "../auth/identity.js";
import type { Admission, Limiter } from "../limits/limiter.js";

/** The results of a guard for one request; made by the pipeline, filled by the guard. */
export interface GuardResult {
  /** The HTTP method as it came. */
  readonly method: string;
  identity: Identity | undefined;
  /** Of the response, with any status. */
  readonly headers: [name: string, value: string][];
  /** To be called once when the request is over, also where it was refused on the way. */
  readonly releases: (() => void)[];
}

export interface GuardParts {
  readonly authenticator: Authenticator | undefined;
  readonly limiters: readonly Limiter[];
  readonly authorizer: Authorizer | undefined;
}

/**
 * The one chain that requests and upgrades pass: limits that do not depend on the caller, authentication, the
 * other limits, policies. Synchronous where every part is.
 */
export class Guard {
  readonly #authenticator: Authenticator | undefined;
  readonly #early: readonly Limiter[];
  readonly #late: readonly Limiter[];
  readonly #authorizer: Authorizer | undefined;

  constructor({ authenticator, limiters, authorizer }: GuardParts) {
    this.#authenticator = authenticator;
    this.#early = limiters.filter(limiter => !limiter.needsSubject);
    this.#late = limiters.filter(limiter => limiter.needsSubject);
    this.#authorizer = authorizer;
  }

  /** Values of `WWW-Authenticate` that a 401 carries, at least one (RFC 9110 §11.6.1). */
  get challenges(): readonly string[] {
    return this.#authenticator?.challenges?.() ?? bearer;
  }

  /**
   * Everything that can be decided before the body is read.
   * @param path raw, as it came; policies compare its decoded segments
   * @throws GatewayError (or rejects with it)
   */
  admit(caller: Caller, path: string, result: GuardResult): void | Promise<void> {
    const early = admitAll(this.#early, caller, result);
    if (early !== undefined) return early.then(() => this.#identify(caller, path, result));
    return this.#identify(caller, path, result);
  }

  /**
   * Checks the conditions on fields of the request.
   * @param message the bytes that the backend gets
   * @throws GatewayError
   */
  check(message: Uint8Array, path: string, { identity, method }: GuardResult): void {
    const after = this.#authorizer?.after;
    if (after !== undefined) after(identity, message, this.#segments(path), method);
  }

  #identify(caller: Caller, path: string, result: GuardResult): void | Promise<void> {
    if (this.#authenticator === undefined) return this.#authorize(caller, path, result);
    const identity = this.#authenticator(caller);
    if (identity instanceof Promise) {
      return identity.then(known => {
        identified(known, result);
        return this.#authorize(caller, path, result);
      });
    }
    identified(identity, result);
    return this.#authorize(caller, path, result);
  }

  #authorize(caller: Caller, path: string, result: GuardResult): void | Promise<void> {
    const late = admitAll(this.#late, caller, result);
    if (late !== undefined) return late.then(() => this.#decide(path, result));
    this.#decide(path, result);
  }

  #decide(path: string, { identity, method }: GuardResult): void {
    this.#authorizer?.before(identity, this.#segments(path), method);
  }

  /** The router has accepted the path, so that every escape in it is good. */
  #segments(path: string): readonly string[] {
    return this.#authorizer?.usesPath === true
      ? path.slice(1).split("/").map(decodeURIComponent)
      : noSegments;
  }
}

function identified(identity: Identity, result: GuardResult): void {
  result.identity = identity;
  if (identity.responseHeaders === undefined) return;
  for (const [name, value] of identity.responseHeaders) result.headers.push([name, value]);
}

/** Calls limiters in order; a promise only where one of them returns one. */
function admitAll(
  limiters: readonly Limiter[],
  caller: Caller,
  result: GuardResult,
  first = 0,
): Promise<void> | undefined {
  for (let index = first; index < limiters.length; index++) {
    const admission = (limiters[index] as Limiter).admit(caller, result.identity?.subject);
    if (admission instanceof Promise) {
      return admission.then(known => {
        note(known, result);
        return admitAll(limiters, caller, result, index + 1);
      });
    }
    note(admission, result);
  }
  return undefined;
}

function note(admission: Admission | undefined, { headers, releases }: GuardResult): void {
  if (admission === undefined) return;
  for (const [name, value] of admission.headers) headers.push([name, value]);
  if (admission.release !== undefined) releases.push(admission.release);
}

const bearer: readonly string[] = ["Bearer"];

const noSegments: readonly string[] = [];
