import { readFileSync } from "node:fs";
import { type AdminServer, type Readiness, startAdmin } from "../admin/server.js";
import { redact } from "../config/redaction.js";
import type { Metrics } from "../telemetry/metrics.js";
import type { Backends } from "./backends.js";
import type { Generation } from "./generation.js";
import { listenerOf, listening } from "./listener.js";
import type { UsableConfig } from "./read-config.js";
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

type Check = Readiness["checks"][string];

/** What readiness depends on. */
export interface GatewayState {
  readonly draining: boolean;
  readonly listening: boolean;
  /** Undefined until a configuration is loaded. */
  readonly backends: Backends | undefined;
  /** Undefined without rooms. */
  readonly realtime: { readonly ready: boolean } | undefined;
}

/** What `/readyz` says: whether requests can be served now, and what is in the way. */
function readiness({ draining, listening, backends, realtime }: GatewayState): Readiness {
  const checks: Record<string, Check> = { gateway: gatewayCheck(draining, listening, backends) };
  if (realtime?.ready === false)
    checks.realtime = { ok: false, message: "the broker does not take messages" };
  for (const { upstream, ok, message } of backends?.health() ?? [])
    checks[`upstream ${upstream}`] = { ok, message };
  return { ready: Object.values(checks).every(check => check.ok), checks };
}

function gatewayCheck(draining: boolean, listening: boolean, backends: Backends | undefined): Check {
  if (draining) return { ok: false, message: "shutting down" };
  if (listening) return { ok: true, message: "listening" };
  return { ok: false, message: backends?.waitingFor() ?? "starting" };
}
