import type { Route } from "../bindings/route.js";
import { type EndpointRoute, routerOf } from "../bindings/route-table.js";
import type { Binding, Snapshot } from "../bindings/snapshot.js";
import type { Metrics } from "../telemetry/metrics.js";
import { createCodecs } from "../transcode/codecs.js";
import type { Channel } from "../upstream/channel.js";
import type { Compiled } from "./compile.js";
import type { Leases } from "./leases.js";

/** Binds compiled routes to channels and metrics. */
export function createSnapshot(
  { model, routes, endpoints, loaded }: Compiled,
  channels: ReadonlyMap<string, Channel>,
  metrics: Metrics,
  leases: Leases,
): Snapshot {
  const { http } = loaded.config;
  const bindings: Binding[] = [];
  const bind = (route: Route | EndpointRoute): Binding => {
    const { method, template } = route;
    if (route.kind === "endpoint") {
      const { endpoint } = route;
      return {
        kind: "endpoint",
        method,
        template,
        service: endpoint.service,
        errors: endpoint.errors,
        guard: undefined,
        bodyLimit: endpoint.bodyLimit ?? http.limits.body,
        metrics: metrics.route(template.text, method, endpoint.service),
        endpoint,
      };
    }
    const service = route.rpc.service.fullName;
    return {
      kind: "rpc",
      method,
      template,
      service,
      errors: route.policy.errors,
      guard: undefined,
      bodyLimit: http.limits.body,
      metrics: metrics.route(template.text, method, service),
      route,
      // Loading has checked that the upstream exists.
      channel: channels.get(route.upstream) as Channel,
      validate: undefined,
    };
  };
  const router = routerOf([...routes, ...endpoints], route => {
    const binding = bind(route);
    bindings.push(binding);
    return binding;
  });
  const details = createCodecs(model, {
    enums: "name",
    int64: "string",
    emitDefaults: false,
    names: "json",
    unknownFields: "ignore",
    depth: http.limits.depth,
  });
  return {
    router,
    bindings,
    trustedHops: http.forwarded.trusted_hops,
    renderDetail: (typeUrl, value) => details.renderAny(typeUrl, value),
    acquire: () => leases.acquire(),
    release: () => leases.release(),
  };
}
