import type { BuiltInRoute } from "../bindings/built-in-route.js";
import type { Route } from "../bindings/route.js";
import { authOf, type Compiled } from "../gateway/compile.js";
import { limitNames } from "../limits/config.js";
import { type Reason, reasons } from "../status/reasons.js";

/** What a request that matches a route can still be refused for, before its upstream is called. */
export interface Condition {
  /** HTTP status of the refusal. */
  readonly status: number;
  readonly reason: Reason;
  readonly when: string;
}

/** In the order in which the gateway decides. */
export function conditionsOf(compiled: Compiled, route: Route | BuiltInRoute): readonly Condition[] {
  const conditions: Condition[] = [];
  const add = (reason: Reason, when: string): void => {
    conditions.push({ status: reasons[reason].httpStatus, reason, when });
  };
  const accept = route.kind === "rpc" ? route.policy.dialect.accept : undefined;
  if (accept !== undefined) add("MISSING_HEADER", accept.when);
  const limits = limitsOf(route);
  if (limits.length > 0) add("RATE_LIMITED", `the limit ${limits.join(" or ")} is exceeded`);
  const names = authOf(route, compiled.loaded.config.auth.default);
  if (names !== "none") add("CREDENTIALS_MISSING", `no credentials that ${names.join(" or ")} accepts`);
  if (compiled.authorizers.has(route))
    add("POLICY_DENIED", "a policy under auth.policies refuses the caller");
  if (route.kind !== "rpc") return conditions;
  const { body, policy, request, rpc } = route;
  if (body.kind !== "none") {
    if (!request.takesRawBody && !policy.anyContentType)
      add("UNSUPPORTED_MEDIA_TYPE", "the body has a content-type other than application/json");
    add("BODY_TOO_LARGE", `the body is larger than ${policy.bodyLimit} bytes`);
  }
  if (policy.validate && compiled.validators.byType.has(rpc.input))
    add("VALIDATION_FAILED", `the request breaks a rule of ${rpc.input.fullName}`);
  return conditions;
}

function limitsOf(route: Route | BuiltInRoute): readonly string[] {
  switch (route.kind) {
    case "rpc":
      return route.policy.rateLimits;
    case "local":
      return limitNames(route.handler.rateLimit);
    case "pass-through":
      return limitNames(route.passThrough.rateLimit);
  }
}
