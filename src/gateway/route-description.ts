import type { Route } from "../bindings/route.js";

/** One line of the route table, for people and programs. */
export interface RouteDescription {
  readonly method: string;
  readonly template: string;
  readonly rpc: string;
  readonly upstream: string;
  readonly source: string;
  readonly body: string;
  readonly response_body: string;
}

export function describeRoute(route: Route): RouteDescription {
  const { body } = route;
  return {
    method: route.method,
    template: route.template.text,
    rpc: route.rpc.fullName,
    upstream: route.upstream,
    source: route.source,
    body: body.kind === "none" ? "" : body.kind === "all" ? "*" : body.field.name,
    response_body: route.responseField?.name ?? "",
  };
}
