import type { Binding, BoundRoutes } from "../bindings/binding.js";
import { lookUpRoute } from "../routing/router.js";
import { type InboundRequest, noBody } from "../server/inbound-request.js";
import { gatewayError } from "../status/failure.js";
import type { HttpResponse } from "./context.js";
import { textResponse } from "./failure-response.js";

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
  // A preflight carries no credentials: it gets its response before a route for OPTIONS could require some.
  const isPreflight = method === "OPTIONS" && request.header("access-control-request-method") !== undefined;
  if (isPreflight && !hasOwnCors(routes, path)) {
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
      const error = gatewayError("METHOD_NOT_ALLOWED", message, [], { allow });
      if (isRpcPath(routes, path)) return textResponse(error.failure);
      throw error;
    }
  }
}

/**
 * The route of a WebSocket upgrade: one whose method streams, with any HTTP method of its rule, GET
 * before others; else one whose method does not, which refuses it. Undefined where there is neither, and where the path
 * is not that of RPCs.
 */
export function matchSocket(router: BoundRoutes["router"], path: string): RouteMatch | undefined {
  let refusing: RouteMatch | undefined;
  for (const method of ["GET", ...router.allowed(path)]) {
    const found = router.match(method, path);
    if (found.kind !== "found") continue;
    const { value: binding, variables } = found;
    if (binding.kind !== "rpc") {
      if (method === "GET") return undefined;
      continue;
    }
    if (!binding.route.rest) continue;
    const matched = { binding, variables };
    const { clientStreaming, serverStreaming } = binding.route.rpc;
    if (clientStreaming || serverStreaming) return matched;
    refusing ??= matched;
  }
  return refusing;
}

/** How a WebSocket upgrade to that target is served, see `EngineOptions.upgrades`. */
export function upgradeOf(
  router: BoundRoutes["router"],
  target: string,
): "connection" | "socket" | undefined {
  const [path = ""] = target.split("?", 1);
  const found = lookUpRoute(router, "GET", path);
  if (found.kind === "found" && found.value.kind === "pass-through") return "connection";
  return matchSocket(router, path) === undefined ? undefined : "socket";
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

function hasOwnCors({ router }: BoundRoutes, path: string): boolean {
  const found = router.match("OPTIONS", path);
  return found.kind === "found" && found.value.kind === "local" && found.value.handler.cors !== undefined;
}

function servesRpc({ router }: BoundRoutes, method: string, path: string): boolean {
  const found = lookUpRoute(router, method, path);
  return found.kind === "found" && found.value.kind === "rpc" && found.value.route.protocols.length > 0;
}

/** Whether a path is that of an RPC without REST. */
function isRpcPath({ router }: BoundRoutes, path: string): boolean {
  return router.allowed(path).every(method => {
    const found = router.match(method, path);
    return found.kind !== "found" || (found.value.kind === "rpc" && !found.value.route.rest);
  });
}
