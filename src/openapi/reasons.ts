import type { BuiltInRoute } from "../bindings/built-in-route.js";
import { authOf, conditionsOf, limitsOf, type RouteChecks } from "../bindings/conditions.js";
import type { Route } from "../bindings/route.js";
import { type Reason, reasons } from "../status/reasons.js";

/** Everything that a request of a route can be refused for by the gateway, in the order of the table of reasons. */
export function reasonsOf(
  route: Route | BuiltInRoute,
  checks: RouteChecks,
  uploads: boolean,
): readonly Reason[] {
  const found = new Set<Reason>(conditionsOf(route, checks).map(({ reason }) => reason));
  const add = (...names: readonly Reason[]): void => {
    for (const name of names) found.add(name);
  };
  add("INTERNAL", "URI_TOO_LONG");
  if (authOf(route, checks.auth) !== "none")
    add("CREDENTIALS_INVALID", "TOKEN_EXPIRED", "TOKEN_MALFORMED", "TOKEN_NOT_YET_VALID", "AUTH_UNAVAILABLE");
  if (found.has("POLICY_DENIED")) add("SCOPE_MISSING");
  if (limitsOf(route).length > 0) add("TOO_MANY_CONCURRENT", "RATE_LIMIT_UNAVAILABLE");
  if (found.has("MISSING_HEADER")) add("INVALID_HEADER");
  if (route.kind === "local") add(...(route.handler.operation?.reasons ?? []));
  if (route.kind === "rpc") addShape(route, uploads, add);
  return (Object.keys(reasons) as Reason[]).filter(reason => found.has(reason));
}

function addShape(route: Route, uploads: boolean, add: (...names: readonly Reason[]) => void): void {
  const { body, policy, template, rpc, request, stream } = route;
  if (template.variables.length > 0) add("MALFORMED_PATH", "INVALID_VALUE", "FIELD_COLLISION");
  if (policy.query.unknown === "reject") add("UNKNOWN_PARAMETER");
  if (body.kind !== "all") add("MALFORMED_QUERY", "INVALID_VALUE", "REPEATED_PARAMETER");
  if (body.kind === "none") add("UNEXPECTED_BODY");
  else if (!request.takesRawBody) {
    add("MALFORMED_JSON", "DUPLICATE_KEY", "TOO_DEEP", "INVALID_VALUE");
    if (policy.json.unknownFields === "reject") add("UNKNOWN_FIELD");
    if (uploads) add("MALFORMED_FORM");
  }
  if (rpc.input.oneofs.length > 0) add("ONEOF_CONFLICT");
  if (stream !== undefined) add("NOT_ACCEPTABLE");
  add("INVALID_TIMEOUT", "UPSTREAM_UNAVAILABLE", "UPSTREAM_TIMEOUT", "UPSTREAM_PROTOCOL");
  add("UPSTREAM_MALFORMED_MESSAGE", "RESPONSE_TOO_LARGE", "REQUEST_TOO_LARGE");
}
