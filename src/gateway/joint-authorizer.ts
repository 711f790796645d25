import type { Authorizer } from "../auth/authorizer.js";
import { gatewayError } from "../status/failure.js";

/**
 * All of them at once, for calls of a method that come by none of its routes. One that compares with the path refuses: there
 * is no path of a route to compare with.
 * @param how a call comes, and what to use in its place, for the error
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
