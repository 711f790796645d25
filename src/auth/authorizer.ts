import { gatewayError } from "../status/failure.js";
import type { Identity } from "./identity.js";

/** The conditions of all policies that match one route. Evaluated twice, because a request's fields are known late. */
export interface Authorizer {
  /** Names of the policies. */
  readonly policies: readonly string[];
  /** False where `segments` are not looked at and may be empty. */
  readonly usesPath: boolean;
  /**
   * Checks that need no field of the request: scopes and claims. Runs before the body is read.
   * @param segments of the path, split on `/` and decoded once, a verb included
   * @param method of the request; undefined where there is none, and then policies on any method hold
   * @throws GatewayError POLICY_DENIED, SCOPE_MISSING; its `cause` names the policy, for the log
   */
  before(identity: Identity | undefined, segments: readonly string[], method?: string): void;
  /**
   * Checks that compare with fields of the request, read from the bytes that the backend gets; undefined where no
   * policy does. To be called for every message that the client sends.
   * @throws GatewayError POLICY_DENIED
   */
  readonly after:
    | ((
        identity: Identity | undefined,
        message: Uint8Array,
        segments: readonly string[],
        method?: string,
      ) => void)
    | undefined;
}

/** The conditions of all policies that match rooms. */
export interface RoomAuthorizer {
  /** @throws GatewayError POLICY_DENIED, SCOPE_MISSING */
  require(identity: Identity | undefined, room: string): void;
  /** Whether a room may be named to a caller. Counts as no decision. */
  allows(identity: Identity | undefined, room: string): boolean;
}

/**
 * All of them at once, for calls of a method that use none of its routes. One that compares with the path refuses:
 * there is no path of a route to compare with.
 * @param how the kind of call, and what to use instead, for the error
 */
export function jointAuthorizer(
  authorizers: readonly (Authorizer | undefined)[],
  how: string,
): Authorizer | undefined {
  const all = authorizers.filter(each => each !== undefined);
  if (all.length === 0) return undefined;
  const late = all.filter(({ after }) => after !== undefined);
  return {
    policies: [...new Set(all.flatMap(({ policies }) => policies))],
    usesPath: false,
    before: identity => {
      for (const authorizer of all) {
        if (authorizer.usesPath)
          throw gatewayError(
            "POLICY_DENIED",
            `this method is protected by a path policy and cannot be called ${how}; use its HTTP route`,
          );
        authorizer.before(identity, []);
      }
    },
    after:
      late.length === 0
        ? undefined
        : (identity, message) => {
            for (const authorizer of late) authorizer.after?.(identity, message, []);
          },
  };
}
