import { exposedServices } from "../bindings/exposed-services.js";
import type { Route } from "../bindings/route.js";
import type { Diagnostic } from "../config/diagnostic.js";
import type { MethodType, Model } from "../descriptors/model.js";
import type { GatewayConfig, LoadedGatewayConfig } from "./config.js";

/** Names at most. */
const maxShown = 3;

export function isStream({ clientStreaming, serverStreaming }: MethodType): boolean {
  return clientStreaming || serverStreaming;
}

/** One warning for each service whose routes lead to methods that stream: they are answered 501 in this version. */
export function streamWarnings(
  config: GatewayConfig,
  model: Model,
  routes: readonly Route[],
  locate: LoadedGatewayConfig["locate"],
): Diagnostic[] {
  const streams = new Map<string, Set<string>>();
  for (const { rpc } of routes) {
    if (!isStream(rpc)) continue;
    const names = streams.get(rpc.service.fullName) ?? new Set();
    streams.set(rpc.service.fullName, names.add(rpc.name));
  }
  const exposed = exposedServices(config, model);
  return [...streams].map(([service, names]) => {
    const index = exposed.get(service)?.index ?? 0;
    const shown = [...names].slice(0, maxShown).join(", ");
    const more = names.size > maxShown ? ` and ${names.size - maxShown} more` : "";
    return {
      severity: "warning",
      message: `${service} has methods that stream (${shown}${more}); their REST routes are answered 501 in this version`,
      position: locate(["services", index]),
      path: `services[${index}]`,
    };
  });
}
