import cluster from "node:cluster";
import { Operations } from "../../admin/operations.js";
import type { AdminServer } from "../../admin/server.js";
import { describeBinding } from "../../bindings/route-description.js";
import { LoadError } from "../../config/diagnostic.js";
import { errorMessage } from "../../net/error-text.js";
import { type FileRecord, recordFiles, replayFiles } from "../../net/files.js";
import { withoutOptimizing } from "../../net/late-optimization.js";
import { sharePorts } from "../../net/shared-ports.js";
import { sizeYoungGeneration } from "../../net/young-generation.js";
import { GatewayError } from "../../status/failure.js";
import { metricStates } from "../../telemetry/totals.js";
import type { ProcessChannel } from "../../workers/channel.js";
import { channelToPrimary } from "../../workers/pool.js";
import type { AdminView } from "../admin-listener.js";
import { startGateway } from "../gateway.js";
import type { Gateway, WorkerPart } from "../gateway-options.js";
import { readConfig, type UsableConfig } from "../read-config.js";
import { readiness } from "../readiness.js";
import { hashOf } from "../reload/reload-status.js";
import { reportedError } from "../reload/reloads.js";
import { processStatus } from "../status.js";
import {
  decideReload,
  fetchBindings,
  fetchFiles,
  fetchMetrics,
  fetchPaths,
  fetchProcessStatus,
  fetchReadiness,
  forwardOperation,
  reloadWorker,
  reportMetrics,
  type SharedLine,
  type StartedWorker,
  type StartRequest,
  sharedLine,
  startWorker,
  stopWorker,
  type WorkerStatus,
} from "./messages.js";

/** Milliseconds between two reports of metrics, at least. */
const reportMs = 1000;

/** A report may take one part in so many of the time. */
const reportShare = 100;

/** Runs the gateway of a worker, controlled by its primary. */
class WorkerGateway {
  readonly #channel: ProcessChannel;
  #view: AdminView | undefined;
  #reports: NodeJS.Timeout | undefined;
  /** The files that are being loaded, or were just now. */
  #record: FileRecord | undefined;
  /** Reloads that have not ended. */
  #reloading = 0;

  constructor(channel: ProcessChannel) {
    this.#channel = channel;
    channel.onRequest(startWorker, async request => {
      try {
        return { started: await this.#start(request) };
      } catch (error) {
        const known = error instanceof LoadError || !(error instanceof Error);
        return {
          refused: errorMessage(error),
          stack: known ? undefined : error.stack,
        };
      }
    });
  }

  async #start({ input, worker, first, ports, files }: StartRequest): Promise<StartedWorker> {
    const shared = sharePorts(first, ports);
    this.#channel.onRequest(fetchFiles, () => this.#takeRecord());
    if (files === undefined) this.#record = recordFiles();
    const gateway = await replayFiles(files, () =>
      withoutOptimizing(() => startGateway(input, { part: this.#part(worker) })),
    );
    sizeYoungGeneration();
    this.#channel.onRequest(stopWorker, ({ lingerMs }) => this.#stop(gateway, lingerMs));
    this.#report();
    const { httpPorts, realtimePort } = gateway;
    return { httpPorts, realtimePort, ports: shared.chosen, ...this.#status() };
  }

  #part(worker: number): WorkerPart {
    const channel = this.#channel;
    // The primary logs these events itself.
    const nothing = (): void => undefined;
    const warn = (...[fields, message]: [object | string, string?]): void => {
      const line: SharedLine =
        typeof fields === "string"
          ? { level: "warn", fields: {}, message: fields }
          : { level: "warn", fields, message: message ?? "" };
      channel.send(sharedLine, line);
    };
    return {
      worker,
      channel,
      log: { info: nothing, error: nothing, warn },
      serveOperators: async view => this.#serveOperators(worker, view),
      read: (input, environment) => {
        this.#record = recordFiles();
        return readConfig(input, environment);
      },
      agree: async (loaded: UsableConfig) => {
        const digest = this.#record?.digest ?? "";
        const decision = await channel.request(decideReload, { hash: hashOf(loaded), digest });
        if (!decision.go) throw reportedError(decision.reason);
      },
    };
  }

  #serveOperators(worker: number, view: AdminView): AdminServer {
    this.#view = view;
    const channel = this.#channel;
    const routes = () => view.generation()?.adminRoutes ?? [];
    const operations = new Operations(routes);
    channel.onRequest(fetchReadiness, () => readiness(view.state()));
    channel.onRequest(fetchBindings, () => view.generation()?.routes.bindings.map(describeBinding) ?? []);
    channel.onRequest(fetchMetrics, () => metricStates(view.metrics.registry));
    channel.onRequest(fetchProcessStatus, () => processStatus(worker, view.metrics, view.state()));
    channel.onRequest(fetchPaths, () => routes().map(({ path }) => path));
    channel.onRequest(reloadWorker, async ({ trigger, files }) => {
      this.#reloading++;
      const report = await replayFiles(files, () => view.reload(trigger));
      if (--this.#reloading === 0) this.#dropRecord();
      return { report, ...this.#status() };
    });
    channel.onRequest(forwardOperation, async request => {
      try {
        return { response: await operations.handle(request) };
      } catch (error) {
        if (error instanceof GatewayError) return { failure: error.failure };
        throw error;
      }
    });
    return {
      address: { host: "", port: 0 },
      shown: undefined,
      renew: () => () => undefined,
      close: async () => clearTimeout(this.#reports),
    };
  }

  #takeRecord(): Uint8Array | undefined {
    const files = this.#record?.toBytes();
    this.#dropRecord();
    return files;
  }

  #dropRecord(): void {
    this.#record?.drop();
    this.#record = undefined;
  }

  /** Reports metrics to the primary, so that few counts are lost with this process. */
  #report(): void {
    const view = this.#view as AdminView;
    const report = async (): Promise<void> => {
      const began = performance.now();
      this.#channel.send(reportMetrics, await metricStates(view.metrics.registry));
      const took = performance.now() - began;
      this.#reports = setTimeout(() => void report(), Math.max(reportMs, took * reportShare)).unref();
    };
    void report();
  }

  #status(): WorkerStatus {
    const view = this.#view as AdminView;
    const { hash, loaded_at: loadedAt, needs_restart: needsRestart } = view.reloads.state(view.loaded());
    return { hash, loadedAt, needsRestart, bindings: view.generation()?.routes.bindings.length ?? 0 };
  }

  async #stop(gateway: Gateway, lingerMs: number): Promise<null> {
    await gateway.close(lingerMs);
    this.#channel.send(reportMetrics, await metricStates((this.#view as AdminView).metrics.registry));
    // The response goes out first; then nothing keeps the process.
    setImmediate(() => {
      this.#channel.close();
      cluster.worker?.disconnect();
    });
    return null;
  }
}

/** Serves, in this process, the requests of the primary. */
export function runWorker(): void {
  // The primary handles signals, which terminals and service managers send to all processes.
  for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"] as const) process.on(signal, () => undefined);
  new WorkerGateway(
    channelToPrimary(error => {
      throw error;
    }),
  );
}
