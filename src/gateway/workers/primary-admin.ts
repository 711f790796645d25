import type { AdminServer, Readiness } from "../../admin/server.js";
import { GatewayError } from "../../status/failure.js";
import type { WorkerPool, WorkerProcess } from "../../workers/pool.js";
import { listenForOperators, reloadRoute } from "../admin-listener.js";
import type { UsableConfig } from "../read-config.js";
import { joinedChecks } from "../readiness.js";
import type { ReloadReport, ReloadTrigger } from "../reload/reload-status.js";
import type { Reloads } from "../reload/reloads.js";
import { gatewayStatus } from "../status.js";
import {
  fetchBindings,
  fetchPaths,
  fetchProcessStatus,
  fetchReadiness,
  forwardOperation,
  type WorkerStatus,
} from "./messages.js";
import type { WorkerMetrics } from "./worker-metrics.js";

/** Milliseconds that a worker has for requests of operators. */
const responseTimeoutMs = 2000;

/** The data that the admin listener of a primary shows, read at each request. */
export interface PrimaryView {
  readonly pool: WorkerPool;
  /** The configured number of workers. */
  readonly count: number;
  readonly metrics: WorkerMetrics;
  readonly reloads: Reloads;
  readonly statuses: ReadonlyMap<WorkerProcess, WorkerStatus>;
  readonly loaded: () => UsableConfig;
  readonly draining: () => boolean;
  readonly reload: (trigger: ReloadTrigger) => Promise<ReloadReport>;
}

/**
 * Starts the admin listener of a primary: it shows all workers as one gateway, and has any of them serve what all can.
 * @throws LoadError where it cannot listen
 */
export function startPrimaryAdmin(view: PrimaryView): Promise<AdminServer> {
  const { pool, metrics, reloads, statuses, loaded } = view;
  const routes = [reloadRoute(view.reload)];
  const any = (): WorkerProcess | undefined => pool.serving[0];
  return listenForOperators(loaded, {
    metrics,
    ready: () => readinessOf(view),
    status: () => statusOf(view),
    config: () => ({
      ...reloads.status(loaded()),
      workers: pool.serving.map(worker => {
        const status = statuses.get(worker);
        return { worker: worker.id, pid: worker.pid, hash: status?.hash, loaded_at: status?.loadedAt };
      }),
    }),
    bindings: async () => (await any()?.channel.request(fetchBindings, null, responseTimeoutMs)) ?? [],
    routes: () => routes,
    others: {
      handle: async request => {
        const forwarded = await any()?.channel.request(forwardOperation, request, responseTimeoutMs);
        if (forwarded === undefined) return undefined;
        if ("failure" in forwarded) throw new GatewayError(forwarded.failure);
        return forwarded.response;
      },
      paths: async () => (await any()?.channel.request(fetchPaths, null, responseTimeoutMs)) ?? [],
    },
  });
}

async function statusOf(view: PrimaryView): Promise<object> {
  const { pool, metrics, reloads, loaded } = view;
  const [states, readiness, responses] = await Promise.all([
    metrics.states(),
    readinessOf(view),
    pool.requestAll(fetchProcessStatus, null, responseTimeoutMs),
  ]);
  const processes = responses.flatMap(({ response }) => response ?? []);
  return gatewayStatus({ metrics: states, processes }, loaded(), reloads, readiness);
}

async function readinessOf({ pool, count, reloads, draining }: PrimaryView): Promise<Readiness> {
  const responses = await pool.requestAll(fetchReadiness, null, responseTimeoutMs);
  const checks = joinedChecks(responses, count);
  checks.configuration = { ok: true, message: reloads.summary };
  if (draining()) checks.gateway = { ok: false, message: "shutting down" };
  return { ready: Object.values(checks).every(({ ok }) => ok), checks };
}
