import type { WorkerPool, WorkerProcess } from "../../workers/pool.js";
import type { ReloadReport, ReloadTrigger } from "../reload/reload-status.js";
import {
  fetchFiles,
  type ReloadDecision,
  type ReloadDecisionRequest,
  type ReloadResponse,
  reloadWorker,
} from "./messages.js";

/** How a reload of all workers ended. */
export interface RoundResult {
  /** Of those that have it now, by worker. */
  readonly responses: ReadonlyMap<WorkerProcess, ReloadResponse>;
  /** Of the worker that it failed at, where it did. */
  readonly failure: { readonly worker: WorkerProcess; readonly message: string } | undefined;
  readonly report: ReloadReport | undefined;
  /** The files they have read, for workers that start later; undefined where they are too large. */
  readonly files: Uint8Array | undefined;
}

/**
 * A reload of all workers, in two steps: each builds its generation, and reports; when all have reported,
 * all let it serve. Where one cannot, none does.
 */
export class ReloadRound {
  readonly #hash: string;
  /** Those of which nothing is known yet. */
  readonly #building: Set<WorkerProcess>;
  readonly #waiting = new Map<WorkerProcess, (decision: ReloadDecision) => void>();
  /** Of the files of the workers that have reported. */
  #digest: string | undefined;
  #files: Uint8Array | undefined;
  #refusal: string | undefined;

  /** @param hash of the configuration as the primary has read it */
  constructor(pool: WorkerPool, hash: string) {
    this.#hash = hash;
    this.#building = new Set(pool.serving);
  }

  async run(trigger: ReloadTrigger): Promise<RoundResult> {
    const responses = new Map<WorkerProcess, ReloadResponse>();
    let failure: RoundResult["failure"];
    let report: ReloadReport | undefined;
    const fail = (worker: WorkerProcess, message: string): void => {
      failure ??= { worker, message };
      this.refuse(`worker ${worker.id} cannot use the configuration, so no worker does: ${message}`);
    };
    await Promise.all(
      [...this.#building].map(async worker => {
        try {
          const response = await worker.channel.request(reloadWorker, { trigger, files: undefined });
          responses.set(worker, response);
          if (response.report.result === "success") report ??= response.report;
          else fail(worker, response.report.error ?? "");
        } catch {
          // It has ended; its replacement loads the same as the others.
        }
        this.#known(worker);
      }),
    );
    return { responses, failure, report, files: this.#files };
  }

  /** A worker could take a configuration. */
  decisionFor(worker: WorkerProcess, { hash, digest }: ReloadDecisionRequest): Promise<ReloadDecision> {
    this.#digest ??= digest;
    if (hash !== this.#hash || digest !== this.#digest)
      this.refuse(`the files were changed while worker ${worker.id} was reading them; reload again`);
    return new Promise(resolve => {
      this.#waiting.set(worker, resolve);
      this.#known(worker);
    });
  }

  /** From now on no worker takes the configuration that has not done so. */
  refuse(reason: string): void {
    this.#refusal ??= reason;
    this.#settle({ go: false, reason: this.#refusal });
  }

  #known(worker: WorkerProcess): void {
    this.#building.delete(worker);
    if (this.#refusal !== undefined) this.refuse(this.#refusal);
    else if (this.#building.size === 0) void this.#accept();
  }

  async #accept(): Promise<void> {
    for (const { channel } of this.#waiting.keys()) {
      try {
        this.#files = await channel.request(fetchFiles, null);
        break;
      } catch {
        // It has ended; they have all read the same.
      }
    }
    this.#settle({ go: true });
  }

  #settle(decision: ReloadDecision): void {
    for (const settle of this.#waiting.values()) settle(decision);
    this.#waiting.clear();
  }
}
