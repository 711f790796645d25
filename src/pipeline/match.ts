import { lookUp } from "../bindings/lookup.js";
import type { Binding, Snapshot } from "../bindings/snapshot.js";
import { type Exchange, noBody } from "../server/exchange.js";
import { GatewayError, gatewayFailure } from "../status/failure.js";
import { refuse } from "./failure-answer.js";
import type { Answer, Progress } from "./progress.js";

export interface Found {
  readonly binding: Binding;
  readonly variables: readonly string[];
}

/**
 * The binding of a request, or the answer to OPTIONS.
 * @throws GatewayError ROUTE_NOT_FOUND, METHOD_NOT_ALLOWED, MALFORMED_PATH
 */
export function find({ exchange, snapshot }: Progress): Found | Answer {
  const { method, path } = exchange;
  // A preflight carries no credentials: whatever the path has for OPTIONS, it is not for a browser that asks first.
  if (method === "OPTIONS" && exchange.header("access-control-request-method") !== undefined) {
    const preflight = answerPreflight(exchange, snapshot);
    if (preflight !== undefined) return preflight;
  }
  const found = lookUp(snapshot.router, method, path);
  switch (found.kind) {
    case "found":
      return { binding: found.value, variables: found.variables };
    case "malformed":
      throw refuse("MALFORMED_PATH", found.message);
    case "none":
      throw refuse("ROUTE_NOT_FOUND", `no route for ${path.slice(0, 128)}`);
    case "options":
      return { status: 204, headers: [["allow", found.allow.join(", ")]], body: noBody };
    case "method": {
      const { allow } = found;
      const message = `${method} is not allowed here; expected ${allow.join(", ")}`;
      throw new GatewayError(gatewayFailure("METHOD_NOT_ALLOWED", message, [], { allow }));
    }
  }
}

/** Undefined where the request is none, or of an origin that may not call. */
function answerPreflight(exchange: Exchange, snapshot: Snapshot): Answer | undefined {
  const allow = snapshot.router.allowed(exchange.path);
  const requestMethod = exchange.header("access-control-request-method");
  const headers = snapshot.preflightHeaders(exchange.header("origin"), requestMethod, allow);
  if (headers === undefined) return undefined;
  return { status: 204, headers: headers.map(([name, value]) => [name, value]), body: noBody };
}
