import type { OperationRequest, OperationResponse } from "../../admin/operations.js";
import type { Readiness } from "../../admin/server.js";
import type { ProcessStatus } from "../../admin/status.js";
import type { ConfigInput } from "../../config/compose.js";
import type { Failure } from "../../status/failure.js";
import type { MetricState } from "../../telemetry/totals.js";
import { json, requestTopic, structured, topic } from "../../workers/topic.js";
import type { ReloadReport, ReloadTrigger } from "../reload/reload-status.js";

/** The start message for a worker. */
export interface StartRequest {
  readonly input: ConfigInput;
  readonly worker: number;
  /** Whether it is the first of all; it looks whether ports are free. */
  readonly first: boolean;
  /** The files as they were when the configuration was accepted; absent where they are to be read. */
  readonly files: Uint8Array | undefined;
  /** The ports chosen in other workers for listeners with port 0. */
  readonly ports: readonly number[];
}

/** The loaded configuration of a worker. */
export interface WorkerStatus {
  /** Of the configuration; see `ConfigStatus`. */
  readonly hash: string;
  readonly loadedAt: string;
  readonly needsRestart: readonly string[];
  readonly bindings: number;
}

export interface StartedWorker extends WorkerStatus {
  /** By the names of the listeners. */
  readonly httpPorts: Readonly<Record<string, number>>;
  readonly realtimePort: number;
  readonly ports: readonly number[];
}

/** A start or its failure: errors in a configuration are no fault of the worker. */
export type StartResponse =
  | { readonly started: StartedWorker }
  | { readonly refused: string; readonly stack: string | undefined };

export interface ReloadResponse extends WorkerStatus {
  readonly report: ReloadReport;
}

/** Files as in `StartRequest`. */
export interface ReloadRequest {
  readonly trigger: ReloadTrigger;
  readonly files: Uint8Array | undefined;
}

/** The files that a worker has read, and whether it can use them. */
export interface ReloadDecisionRequest {
  /** Of the configuration. */
  readonly hash: string;
  /** Of all files. */
  readonly digest: string;
}

/** Whether a worker that could take a configuration is to. */
export type ReloadDecision = { readonly go: true } | { readonly go: false; readonly reason: string };

export type ForwardedResponse =
  | { readonly response: OperationResponse | undefined }
  | { readonly failure: Failure };

/** A line of the log that all workers would write. */
export interface SharedLine {
  readonly level: "warn";
  readonly fields: object;
  readonly message: string;
}

/** The primary's, to a worker. */
export const startWorker = requestTopic<StartRequest, StartResponse>("start", structured());
export const stopWorker = requestTopic<{ readonly lingerMs: number }, null>("stop");
export const reloadWorker = requestTopic<ReloadRequest, ReloadResponse>("reload", structured());
/** The files it has read last; requested once. */
export const fetchFiles = requestTopic<null, Uint8Array | undefined>("files", json(), structured());
export const fetchReadiness = requestTopic<null, Readiness>("readiness");
export const fetchBindings = requestTopic<null, unknown>("bindings");
export const fetchMetrics = requestTopic<null, MetricState[]>("metrics", structured(), structured());
export const fetchProcessStatus = requestTopic<null, ProcessStatus>("process");
export const fetchPaths = requestTopic<null, readonly string[]>("paths");
export const forwardOperation = requestTopic<OperationRequest, ForwardedResponse>(
  "operation",
  structured(),
  structured(),
);

/** A worker's, to the primary. */
export const decideReload = requestTopic<ReloadDecisionRequest, ReloadDecision>("reload.decision");
export const reportMetrics = topic<MetricState[]>("metrics", structured());
export const sharedLine = topic<SharedLine>("log");
