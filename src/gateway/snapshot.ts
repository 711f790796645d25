import { routerOf } from "../bindings/route-table.js";
import type { Binding, Snapshot } from "../bindings/snapshot.js";
import type { Metrics } from "../telemetry/metrics.js";
import { createCodecs } from "../transcode/codecs.js";
import type { Channel } from "../upstream/channel.js";
import type { Compiled } from "./compile.js";
import type { Leases } from "./leases.js";

/** Binds compiled routes to channels and metrics. */
export function createSnapshot(
  { model, routes, loaded }: Compiled,
  channels: ReadonlyMap<string, Channel>,
  metrics: Metrics,
  leases: Leases,
): Snapshot {
  const { http } = loaded.config;
  const bindings: Binding[] = [];
  const router = routerOf(routes, route => {
    const binding: Binding = {
      route,
      // Loading has checked that the upstream exists.
      channel: channels.get(route.upstream) as Channel,
      metrics: metrics.route(route.template.text, route.method, route.rpc.service.fullName),
    };
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
    limits: { body: http.limits.body },
    trustedHops: http.forwarded.trusted_hops,
    renderDetail: (typeUrl, value) => details.renderAny(typeUrl, value),
    acquire: () => leases.acquire(),
    release: () => leases.release(),
  };
}
