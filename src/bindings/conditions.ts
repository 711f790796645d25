import { type AuthNames, authNames } from "../auth/config.js";
import type { MessageType } from "../descriptors/model.js";
import { limitNames } from "../limits/config.js";
import { type Reason, reasons } from "../status/reasons.js";
import type { BuiltInRoute } from "./built-in-route.js";
import type { Route } from "./route.js";

/** A condition that can still refuse a request that matches a route, before its upstream is called. */
export interface RouteCondition {
  /** HTTP status of the refusal. */
  readonly status: number;
  readonly reason: Reason;
  readonly when: string;
}

/** The guards of routes beside their own policies. */
export interface RouteChecks {
  /** `auth.default`. */
  readonly auth: string | readonly string[];
  /** The routes that some policy matches. */
  readonly authorizers: { has(route: Route | BuiltInRoute): boolean };
  /** The message types that have rules. */
  readonly validated: { has(type: MessageType): boolean };
}

/** In the order in which the gateway decides. */
export function conditionsOf(route: Route | BuiltInRoute, checks: RouteChecks): readonly RouteCondition[] {
  const conditions: RouteCondition[] = [];
  const add = (reason: Reason, when: string): void => {
    conditions.push({ status: reasons[reason].httpStatus, reason, when });
  };
  const accept = route.kind === "rpc" ? route.policy.dialect.accept : undefined;
  if (accept !== undefined) add("MISSING_HEADER", accept.when);
  const limits = limitsOf(route);
  if (limits.length > 0) add("RATE_LIMITED", `the limit ${limits.join(" or ")} is exceeded`);
  const names = authOf(route, checks.auth);
  if (names !== "none") add("CREDENTIALS_MISSING", `no credentials that ${names.join(" or ")} accepts`);
  if (checks.authorizers.has(route)) add("POLICY_DENIED", "a policy under auth.policies refuses the caller");
  if (route.kind !== "rpc") return conditions;
  const { body, policy, request, rpc } = route;
  if (body.kind !== "none") {
    if (!request.takesRawBody && !policy.anyContentType)
      add("UNSUPPORTED_MEDIA_TYPE", "the body has a content-type other than application/json");
    add("BODY_TOO_LARGE", `the body is larger than ${policy.bodyLimit} bytes`);
  }
  if (policy.validate && checks.validated.has(rpc.input))
    add("VALIDATION_FAILED", `the request breaks a rule of ${rpc.input.fullName}`);
  return conditions;
}

/** The authentication that a route requires. */
export function authOf(route: Route | BuiltInRoute, otherwise: string | readonly string[]): AuthNames {
  switch (route.kind) {
    case "rpc":
      return route.policy.auth;
    case "local":
      return authNames(route.handler.auth ?? otherwise);
    case "pass-through":
      return authNames(route.passThrough.auth ?? otherwise);
  }
}

/** The names of the limits that hold for a route. */
export function limitsOf(route: Route | BuiltInRoute): readonly string[] {
  switch (route.kind) {
    case "rpc":
      return route.policy.rateLimits;
    case "local":
      return limitNames(route.handler.rateLimit);
    case "pass-through":
      return limitNames(route.passThrough.rateLimit);
  }
}
