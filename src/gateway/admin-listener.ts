import { readFileSync } from "node:fs";
import { type AdminServer, startAdmin } from "../admin/server.js";
import { redact } from "../config/redaction.js";
import type { Metrics } from "../telemetry/metrics.js";
import type { Generation } from "./generation.js";
import { listenerOf, listening } from "./listener.js";
import type { UsableConfig } from "./read-config.js";
import { type GatewayState, readiness } from "./readiness.js";
import { describeBinding } from "./route-description.js";

/** What the admin listener shows, asked at each request. */
export interface AdminView {
  readonly metrics: Metrics;
  readonly loaded: () => UsableConfig;
  /** Undefined until there is one. */
  readonly generation: () => Generation | undefined;
  readonly state: () => GatewayState;
}

/**
 * Starts the listener for operators, as the configuration that the process starts with says.
 * @throws LoadError where it cannot listen
 */
export function startAdminListener({ metrics, loaded, generation, state }: AdminView): Promise<AdminServer> {
  const started = loaded();
  const { client_ca: clientCa } = started.config.listeners.admin;
  let { token } = started.config.listeners.admin;
  return listening(started, ["listeners", "admin"], () =>
    startAdmin({
      ...listenerOf(started, "admin"),
      clientCa: clientCa === undefined ? undefined : readFileSync(clientCa),
      // Others may reach the address: a token that was there is asked for until a restart.
      token: () => {
        token = loaded().config.listeners.admin.token ?? token;
        return token;
      },
      metrics,
      ready: () => readiness(state()),
      config: () => redact(loaded().config, loaded().secrets),
      bindings: () => generation()?.routes.bindings.map(describeBinding) ?? [],
      routes: () => generation()?.adminRoutes ?? noRoutes,
    }),
  );
}

const noRoutes: Generation["adminRoutes"] = [];
