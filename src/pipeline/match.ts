import type { Binding, BoundRoutes } from "../bindings/binding.js";
import { lookUpRoute } from "../bindings/lookup.js";
import { type InboundRequest, noBody } from "../server/inbound-request.js";
import { gatewayError } from "../status/failure.js";
import type { HttpResponse } from "./context.js";

export interface RouteMatch {
  readonly binding: Binding;
  /** Values of the template's variables, raw. */
  readonly variables: readonly string[];
}

/**
 * The binding of a request, or the response to OPTIONS.
 * @throws GatewayError ROUTE_NOT_FOUND, METHOD_NOT_ALLOWED, MALFORMED_PATH
 */
export function match(request: InboundRequest, routes: BoundRoutes): RouteMatch | HttpResponse {
  const { method, path } = request;
  // A preflight carries no credentials: it is answered before a route of the path for OPTIONS could ask for some.
  if (method === "OPTIONS" && request.header("access-control-request-method") !== undefined) {
    const preflight = preflightResponse(request, routes);
    if (preflight !== undefined) return preflight;
  }
  const found = lookUpRoute(routes.router, method, path);
  switch (found.kind) {
    case "found":
      return { binding: found.value, variables: found.variables };
    case "malformed":
      throw gatewayError("MALFORMED_PATH", found.message);
    case "none":
      throw gatewayError("ROUTE_NOT_FOUND", `no route for ${path.slice(0, 128)}`);
    case "options":
      return { status: 204, headers: [["allow", found.allow.join(", ")]], body: noBody };
    case "method": {
      const { allow } = found;
      const message = `${method} is not allowed here; expected ${allow.join(", ")}`;
      throw gatewayError("METHOD_NOT_ALLOWED", message, [], { allow });
    }
  }
}

/** Undefined if the request is not a preflight, or its origin is not allowed. */
function preflightResponse(request: InboundRequest, routes: BoundRoutes): HttpResponse | undefined {
  const allow = routes.router.allowed(request.path);
  const requestMethod = request.header("access-control-request-method");
  const rpc =
    allow.length > 0 && requestMethod !== undefined && servesRpc(routes, requestMethod, request.path);
  const headers = routes.preflightHeaders(request.header("origin"), requestMethod, allow, rpc);
  return headers && { status: 204, headers: [...headers], body: noBody };
}

function servesRpc({ router }: BoundRoutes, method: string, path: string): boolean {
  const found = lookUpRoute(router, method, path);
  return found.kind === "found" && found.value.kind === "rpc" && found.value.route.protocols.length > 0;
}
