import type { Binding } from "./binding.js";
import type { BuiltInRoute } from "./built-in-route.js";
import type { Route } from "./route.js";

/** One line of the route table, for people and programs; the source of the path of an RPC is its protocols. */
export interface RouteDescription {
  readonly method: string;
  readonly template: string;
  readonly rpc: string;
  readonly upstream: string;
  readonly source: string;
  readonly body: string;
  readonly response_body: string;
}

export function describeRoute(route: Route | BuiltInRoute): RouteDescription {
  if (route.kind !== "rpc") {
    const { method, template } = route;
    return {
      method,
      template: template.text,
      rpc: "",
      upstream: route.kind === "pass-through" ? route.passThrough.upstream : "",
      source: route.kind === "pass-through" ? "pass-through" : route.handler.service,
      body: "",
      response_body: "",
    };
  }
  const { body } = route;
  return {
    method: route.method,
    template: route.template.text,
    rpc: route.rpc.fullName,
    upstream: route.upstream,
    source: route.rest ? route.source : route.protocols.join(", "),
    body: body.kind === "none" ? "" : body.kind === "all" ? "*" : body.field.name,
    response_body: route.responseField?.name ?? "",
  };
}

export function describeBinding(binding: Binding): RouteDescription {
  return describeRoute(binding.route);
}
