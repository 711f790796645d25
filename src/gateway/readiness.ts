import type { Readiness } from "../admin/server.js";
import { errorMessage } from "../net/error-text.js";
import type { OpenFiles } from "../telemetry/open-files.js";
import type { Backends } from "./backends.js";
import type { RealtimeService } from "./realtime.js";

type Check = Readiness["checks"][string];

/** The state that readiness depends on. */
export interface GatewayState {
  readonly draining: boolean;
  readonly listening: boolean;
  /** Undefined until a configuration is loaded. */
  readonly backends: Backends | undefined;
  /** Undefined without rooms. */
  readonly realtime: Pick<RealtimeService, "ready" | "realtime"> | undefined;
  readonly openFiles: Pick<OpenFiles, "low" | "limit">;
  /** When it was loaded, and whether a reload has failed since. */
  readonly configuration: string;
}

/** The content of `/readyz`: whether requests can be served now, and the reasons why not. */
export function readiness({
  draining,
  listening,
  backends,
  realtime,
  openFiles,
  configuration,
}: GatewayState): Readiness {
  const checks: Record<string, Check> = {
    gateway: gatewayCheck(draining, listening, backends),
    configuration: { ok: true, message: configuration },
  };
  if (realtime?.ready === false)
    checks.realtime = { ok: false, message: "the broker does not accept messages" };
  if (openFiles.low)
    checks["file descriptors"] = { ok: false, message: `nearly all ${openFiles.limit} are used` };
  for (const { upstream, ok, message } of backends?.health() ?? [])
    checks[`upstream ${upstream}`] = { ok, message };
  return { ready: Object.values(checks).every(check => check.ok), checks };
}

/** Whether calls of services of an upstream can be served now. */
export function upstreamReady({ draining, listening, backends }: GatewayState, upstream: string): boolean {
  if (!gatewayCheck(draining, listening, backends).ok) return false;
  return backends?.health().find(each => each.upstream === upstream)?.ok ?? true;
}

function gatewayCheck(draining: boolean, listening: boolean, backends: Backends | undefined): Check {
  if (draining) return { ok: false, message: "shutting down" };
  if (listening) return { ok: true, message: "listening" };
  return { ok: false, message: backends?.waitingFor() ?? "starting" };
}

/** The readiness of one of several workers. */
interface WorkerReadiness {
  readonly worker: { readonly id: number };
  readonly response: Readiness | undefined;
  readonly error: unknown;
}

/**
 * The checks of all workers as one: of a check that fails somewhere, the first failure.
 * @param count how many are to serve
 */
export function joinedChecks(responses: readonly WorkerReadiness[], count: number): Record<string, Check> {
  const checks: Record<string, Check> = {
    workers: { ok: responses.length > 0, message: `${responses.length} of ${count} serve` },
  };
  for (const { worker, response, error } of responses) {
    if (response === undefined) {
      const message = errorMessage(error);
      checks[`worker ${worker.id}`] = { ok: false, message };
      continue;
    }
    for (const [name, check] of Object.entries(response.checks)) {
      const known = checks[name];
      if (known === undefined) checks[name] = check;
      else if (known.ok && !check.ok)
        checks[name] = { ok: false, message: `worker ${worker.id}: ${check.message}` };
    }
  }
  return checks;
}
