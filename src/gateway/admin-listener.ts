import { type AdminOptions, type AdminServer, startAdmin } from "../admin/server.js";
import type { AdminRoute } from "../bindings/admin-route.js";
import { describeBinding } from "../bindings/route-description.js";
import { readFileSync } from "../net/files.js";
import { gatewayError } from "../status/failure.js";
import type { Metrics } from "../telemetry/metrics.js";
import { metricStates } from "../telemetry/totals.js";
import type { Generation } from "./generation.js";
import { listenerOf, listening } from "./listener.js";
import type { UsableConfig } from "./read-config.js";
import { type GatewayState, readiness } from "./readiness.js";
import type { ReloadReport, ReloadTrigger } from "./reload/reload-status.js";
import type { Reloads } from "./reload/reloads.js";
import { gatewayStatus, processStatus } from "./status.js";

/** The data that the admin listener shows, read at each request. */
export interface AdminView {
  readonly metrics: Metrics;
  readonly loaded: () => UsableConfig;
  /** Undefined until there is one. */
  readonly generation: () => Generation | undefined;
  readonly reload: (trigger: ReloadTrigger) => Promise<ReloadReport>;
  readonly state: () => GatewayState;
  readonly reloads: Reloads;
}

/**
 * Starts the admin listener with the configuration at the start of the process.
 * @throws LoadError where it cannot listen
 */
export function startAdminListener(view: AdminView): Promise<AdminServer> {
  const { metrics, loaded, generation, reload, state, reloads } = view;
  return listenForOperators(loaded, {
    metrics,
    ready: () => readiness(state()),
    status: async () => {
      const sources = {
        metrics: await metricStates(metrics.registry),
        processes: [processStatus(1, metrics, state())],
      };
      return gatewayStatus(sources, loaded(), reloads, readiness(state()));
    },
    config: () => reloads.status(loaded()),
    bindings: () => generation()?.routes.bindings.map(describeBinding) ?? [],
    routes: withReload(() => generation()?.adminRoutes ?? noRoutes, reload),
    others: {
      paths: async () => [],
      handle: async () => {
        if (generation() !== undefined) return undefined;
        // The routes are known only once the configuration is loaded: a 404 would look final.
        throw gatewayError("STARTING", "the gateway is starting; try again", [], { retryAfter: 1 });
      },
    },
  });
}

/**
 * @param loaded the current configuration
 * @throws LoadError where it cannot listen
 */
export function listenForOperators(
  loaded: () => UsableConfig,
  pages: Omit<AdminOptions, "address" | "tls" | "clientCa" | "token">,
): Promise<AdminServer> {
  const started = loaded();
  const { client_ca: clientCa } = started.config.listeners.admin;
  let { token } = started.config.listeners.admin;
  return listening(started, ["listeners", "admin"], () =>
    startAdmin({
      ...listenerOf(started.config, "admin"),
      clientCa: clientCa === undefined ? undefined : readFileSync(clientCa),
      // Other hosts may reach the address: the token at the start is required until a restart.
      token: () => {
        token = loaded().config.listeners.admin.token ?? token;
        return token;
      },
      ...pages,
    }),
  );
}

const noRoutes: Generation["adminRoutes"] = [];

/** The routes of the generation and `POST /reload`; the same list until those change. */
function withReload(
  routes: () => Generation["adminRoutes"],
  reload: AdminView["reload"],
): () => Generation["adminRoutes"] {
  const own = reloadRoute(reload);
  let known: Generation["adminRoutes"] | undefined;
  let all: Generation["adminRoutes"] = [];
  return () => {
    const others = routes();
    if (others !== known) {
      known = others;
      all = [own, ...others];
    }
    return all;
  };
}

/** `POST /reload`. */
export function reloadRoute(reload: AdminView["reload"]): AdminRoute {
  return {
    method: "POST",
    path: "/reload",
    handle: async () => {
      const report = await reload("admin");
      return { status: report.result === "success" ? 200 : 422, body: report };
    },
  };
}
