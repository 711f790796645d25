import { fileURLToPath } from "node:url";
import type { AdminServer } from "../../admin/server.js";
import { shareRefreshes } from "../../auth/providers/oidc-login/refreshes.js";
import type { ConfigInput } from "../../config/compose.js";
import { TokenLender } from "../../limits/lending/token-lender.js";
import { rememberEvents } from "../../livekit/idempotency-cache.js";
import { relayRemovals } from "../../livekit/removals.js";
import { WorkerRooms } from "../../realtime/brokers/worker-rooms.js";
import { relaySessions } from "../../realtime/fallback/session-relay.js";
import { historyLimitsOf } from "../../realtime/rooms/room-kinds.js";
import { createLogger, type Logger } from "../../telemetry/logger.js";
import { Metrics } from "../../telemetry/metrics.js";
import { version } from "../../telemetry/version.js";
import { type Ended, WorkerPool, type WorkerProcess } from "../../workers/pool.js";
import { CertificateMetrics, prepareRenewal } from "../certificates.js";
import type { Gateway } from "../gateway-options.js";
import { shownPorts } from "../http-listeners.js";
import { readConfig, type UsableConfig } from "../read-config.js";
import { changedSettings, hashOf, type ReloadReport, type ReloadTrigger } from "../reload/reload-status.js";
import { describeError, Reloads, reportedError } from "../reload/reloads.js";
import {
  decideReload,
  fetchFiles,
  reloadWorker,
  type StartedWorker,
  sharedLine,
  startWorker,
  stopWorker,
  type WorkerStatus,
} from "./messages.js";
import { startPrimaryAdmin } from "./primary-admin.js";
import { ReloadRound } from "./rounds.js";
import { WorkerMetrics } from "./worker-metrics.js";

/** The same script as this module, in TypeScript or compiled. */
const script = fileURLToPath(import.meta.url).replace(/primary(?=\.[jt]s$)/, "worker");

/**
 * Starts the primary of several workers and, by it, the workers. Resolves when all of them serve.
 * @throws LoadError where the admin listener cannot listen
 * @throws Error where a worker cannot start, with the reason
 */
export async function startPrimary(
  input: ConfigInput,
  loaded: UsableConfig,
  count: number,
): Promise<Gateway> {
  const primary = new Primary(input, loaded, count);
  await primary.start();
  return primary;
}

/**
 * The process that the user starts where there are several workers. It serves no traffic: it starts the workers and
 * replaces them, and does the work that is needed once for all: operators, signals, reloads, watching files.
 */
class Primary implements Gateway {
  readonly #input: ConfigInput;
  readonly #count: number;
  readonly #log: Logger;
  readonly #reloads: Reloads;
  readonly #pool: WorkerPool;
  readonly #metrics: Metrics;
  readonly #workerMetrics: WorkerMetrics;
  readonly #statuses = new Map<WorkerProcess, WorkerStatus>();
  /** The configuration that serves, or is to serve first. */
  #loaded: UsableConfig;
  #started: Pick<StartedWorker, "httpPorts" | "realtimePort" | "ports"> | undefined;
  /** The files of that, for workers that start: they may have changed since, and come to nothing. */
  #files: Uint8Array | undefined;
  #round: ReloadRound | undefined;
  /** Resolves when the last round is over. */
  #rounds: Promise<unknown> = Promise.resolve();
  #admin: AdminServer | undefined;
  #serving = false;
  #draining = false;
  /** Undefined where there are none, or another broker has them. */
  readonly #rooms: WorkerRooms | undefined;

  constructor(input: ConfigInput, loaded: UsableConfig, count: number) {
    const { telemetry } = loaded.config;
    this.#input = input;
    this.#count = count;
    this.#loaded = loaded;
    this.#log = createLogger(telemetry.log.level);
    this.#reloads = new Reloads(this.#log, () => void this.reload("watch"));
    this.#metrics = new Metrics({ version, buckets: telemetry.metrics.buckets });
    this.#pool = new WorkerPool({
      count,
      script,
      start: worker => this.#startWorker(worker),
      ended: end => this.#ended(end),
      failed: error => this.#log.error({ err: error }, "A message of a worker could not be handled."),
    });
    new CertificateMetrics(this.#metrics.registry).listenersFrom(() => ({ admin: this.#admin }));
    this.#workerMetrics = new WorkerMetrics(this.#metrics, this.#pool);
    new TokenLender(this.#pool);
    shareRefreshes(this.#pool);
    relayRemovals(this.#pool);
    relaySessions(this.#pool);
    rememberEvents(this.#pool);
    this.#pool.onForked(worker => this.#attach(worker));
    this.#pool.onLeft(worker => this.#statuses.delete(worker));
    const { realtime } = loaded.config;
    if (realtime?.broker.type === "memory") {
      this.#rooms = new WorkerRooms(this.#pool, historyLimitsOf(realtime));
    }
  }

  get httpPort(): number {
    const [first = 0] = Object.values(this.httpPorts);
    return first;
  }

  get httpPorts(): Readonly<Record<string, number>> {
    return this.#started?.httpPorts ?? {};
  }

  get realtimePort(): number {
    return this.#started?.realtimePort ?? 0;
  }

  get adminPort(): number {
    return this.#admin?.address.port ?? 0;
  }

  async start(): Promise<void> {
    const readAt = Date.now();
    this.#admin = await startPrimaryAdmin({
      pool: this.#pool,
      count: this.#count,
      metrics: this.#workerMetrics,
      reloads: this.#reloads,
      statuses: this.#statuses,
      loaded: () => this.#loaded,
      draining: () => this.#draining,
      reload: trigger => this.reload(trigger),
    });
    try {
      await this.#pool.start();
    } catch (error) {
      await this.#admin.close();
      throw error;
    }
    this.#serving = true;
    this.#metrics.reloadSucceeded(this.#bindings, hashOf(this.#loaded));
    this.#log.info(
      {
        http: shownPorts(this.httpPorts),
        ...(this.realtimePort === 0 ? {} : { realtime: this.realtimePort }),
        admin: this.adminPort,
        bindings: this.#bindings,
        workers: this.#count,
      },
      "ready",
    );
    await this.#reloads.watch(this.#loaded, readAt);
  }

  async reload(trigger: ReloadTrigger = "signal"): Promise<ReloadReport> {
    // One that still waits (for reflection, say) is superseded by the newer one.
    this.#round?.refuse("superseded by another reload");
    if (this.#draining) return this.#reloads.failed(trigger, reportedError("the gateway is shutting down"));
    const readAt = Date.now();
    const before = this.#loaded;
    let report: ReloadReport;
    let loaded: UsableConfig | undefined;
    try {
      loaded = readConfig(this.#input, process.env);
      report = await this.#reloadWorkers(trigger, loaded);
    } catch (error) {
      report = this.#reloads.failed(trigger, error, loaded);
      this.#metrics.reloadFailed();
      this.#log.error(
        { error: describeError(error), trigger },
        this.#loaded === before
          ? "reload failed; keeping the previous configuration"
          : "the configuration was reloaded, but not all workers serve it whole",
      );
    }
    if (!this.#draining) await this.#reloads.watch(this.#loaded, readAt);
    return report;
  }

  /** @throws Error (by rejection) where a worker cannot take it */
  async #reloadWorkers(trigger: ReloadTrigger, loaded: UsableConfig): Promise<ReloadReport> {
    const before = this.#loaded;
    const renewCertificates = prepareRenewal(loaded, { admin: this.#admin });
    const round = new ReloadRound(this.#pool, hashOf(loaded));
    this.#round = round;
    const running = round.run(trigger);
    this.#rounds = running;
    const { responses, failure, report, files } = await running;
    if (this.#round === round) this.#round = undefined;
    for (const [worker, { hash, loadedAt, needsRestart, bindings }] of responses) {
      this.#statuses.set(worker, { hash, loadedAt, needsRestart, bindings });
    }
    if (report !== undefined) {
      this.#loaded = loaded;
      this.#files = files;
      renewCertificates();
      this.#log.level = loaded.config.telemetry.log.level;
      this.#metrics.reloadSucceeded(this.#bindings, hashOf(this.#loaded));
    }
    if (failure !== undefined) throw reportedError(failure.message);
    if (report === undefined)
      throw reportedError("no worker serves; those that start load the configuration");
    const needsRestart = [...responses.values()].flatMap(response => response.needsRestart);
    const changed = changedSettings(before.config, loaded.config);
    return this.#reloads.took({ ...report, changed }, [...new Set(needsRestart)], this.#bindings);
  }

  /** @param lingerMs see `Gateway.close` */
  async close(lingerMs = 0): Promise<void> {
    if (this.#draining) return;
    this.#draining = true;
    this.#log.info({ drain_ms: this.#loaded.config.server.drain }, "shutting down");
    this.#reloads.close();
    this.#round?.refuse("the gateway is shutting down");
    await this.#pool.close(async ({ channel }) => {
      await channel.request(stopWorker, { lingerMs });
    });
    await this.#rooms?.close();
    await this.#admin?.close();
    this.#log.info("closed");
    this.#log.flush();
  }

  #attach(worker: WorkerProcess): void {
    const { channel } = worker;
    channel.onRequest(decideReload, request => {
      if (this.#round !== undefined && this.#pool.serving.includes(worker))
        return this.#round.decisionFor(worker, request);
      const go = request.hash === hashOf(this.#loaded);
      return go
        ? { go }
        : { go, reason: "the files have changed since the configuration that serves was loaded" };
    });
    channel.onMessage(sharedLine, ({ level, fields, message }) => {
      // All workers send the same lines.
      const source = this.#pool.serving[0] ?? worker;
      if (source === worker) this.#log[level](fields, message);
    });
  }

  async #startWorker(worker: WorkerProcess): Promise<void> {
    const { channel } = worker;
    const files = this.#files;
    const response = await channel.request(startWorker, {
      input: this.#input,
      worker: worker.id,
      first: this.#started === undefined,
      ports: this.#started?.ports ?? [],
      files,
    });
    if ("refused" in response) throw reportedError(response.refused, response.stack);
    const { httpPorts, realtimePort, ports, ...status } = response.started;
    this.#started ??= { httpPorts, realtimePort, ports };
    this.#files ??= await channel.request(fetchFiles, null);
    this.#statuses.set(worker, files === undefined ? status : await this.#catchUp(worker, files, status));
    if (!this.#serving || !worker.replaces) return;
    this.#log.info(
      { worker: worker.id, pid: worker.pid },
      "another worker serves in place of the one that ended",
    );
    if (this.#statuses.get(worker)?.hash !== hashOf(this.#loaded))
      this.#log.warn(
        { worker: worker.id },
        "the worker has loaded files that were changed after the configuration that the others serve; reload it",
      );
  }

  /** Has a worker that has loaded `files` load the configuration that the others have accepted while it started. */
  async #catchUp(
    { channel }: WorkerProcess,
    files: Uint8Array,
    started: WorkerStatus,
  ): Promise<WorkerStatus> {
    let status = started;
    for (let had = files; ; ) {
      const rounds = this.#rounds;
      await rounds;
      if (rounds !== this.#rounds) continue;
      if (this.#files === undefined || this.#files === had) return status;
      had = this.#files;
      const { report, ...reloaded } = await channel.request(reloadWorker, { trigger: "signal", files: had });
      if (report.result === "failure") throw reportedError(report.error ?? "");
      status = reloaded;
    }
  }

  #ended({ worker, pid, how, reason, restartInMs }: Ended): void {
    this.#workerMetrics.restarted();
    const fields = { worker, pid, how, restart_in_ms: restartInMs };
    if (reason === undefined) this.#log.error(fields, "a worker ended unexpectedly; another is started");
    else
      this.#log.error(
        { ...fields, error: describeError(reason) },
        "a worker cannot start; it is tried again",
      );
  }

  get #bindings(): number {
    const [status] = this.#statuses.values();
    return status?.bindings ?? 0;
  }
}
