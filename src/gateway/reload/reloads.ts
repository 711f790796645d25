import { LoadError } from "../../config/diagnostic.js";
import { redact } from "../../config/redaction.js";
import { errorMessage, errorStack } from "../../net/error-text.js";
import type { Logger } from "../../telemetry/logger.js";
import type { Generation } from "../generation.js";
import type { UsableConfig } from "../read-config.js";
import { FileWatcher } from "./file-watcher.js";
import {
  type ConfigState,
  type ConfigStatus,
  changedSettings,
  hashOf,
  missingFrom,
  type ReloadReport,
  type ReloadTrigger,
} from "./reload-status.js";

/** The current parts of the gateway. */
export interface Serving {
  readonly loaded: UsableConfig;
  readonly generation: Generation | undefined;
}

/** Reloads that operators are shown. */
const keptReports = 20;

/** The state of a gateway's reloads, and the watcher of the files that trigger them. */
export class Reloads {
  readonly #log: Pick<Logger, "info" | "warn">;
  readonly #requestReload: () => void;
  #watcher: FileWatcher | undefined;
  #loadedAt = new Date();
  #needsRestart: readonly string[] = [];
  /** Newest first. */
  readonly #history: ReloadReport[] = [];
  /** Of a configuration that was tried in vain, beside those of the one that serves. */
  #tried: ReadonlySet<string> = new Set();

  /** @param requestReload called when a watched file has changed */
  constructor(log: Pick<Logger, "info" | "warn">, requestReload: () => void) {
    this.#log = log;
    this.#requestReload = requestReload;
  }

  status(loaded: UsableConfig): ConfigStatus {
    const shown = redact(loaded.config, loaded.secrets);
    return { ...this.#state(hashOf(loaded)), last_reload: this.#last, config: shown };
  }

  /** The same without the configuration itself. */
  state(loaded: UsableConfig): ConfigState {
    return this.#state(hashOf(loaded));
  }

  #state(hash: string): ConfigState {
    return { hash, loaded_at: this.#loadedAt.toISOString(), needs_restart: this.#needsRestart };
  }

  /** The latest, newest first. */
  get history(): readonly ReloadReport[] {
    return this.#history;
  }

  get #last(): ReloadReport | null {
    return this.#history[0] ?? null;
  }

  /** In one sentence, for `/readyz`. */
  get summary(): string {
    const loaded = `loaded at ${this.#loadedAt.toISOString()}`;
    return this.#last?.result === "failure" ? `${loaded}; the reload at ${this.#last.at} failed` : loaded;
  }

  /** Logs the changes, and which settings do not take effect yet. */
  succeeded(
    trigger: ReloadTrigger,
    before: Serving,
    after: Serving,
    needsRestart: readonly string[],
  ): ReloadReport {
    const [old, now] = [routesOf(before.generation), routesOf(after.generation)];
    const report: ReloadReport = {
      at: new Date().toISOString(),
      trigger,
      result: "success",
      changed: changedSettings(before.loaded.config, after.loaded.config),
      routes_added: missingFrom(old, now),
      routes_removed: missingFrom(now, old),
    };
    if (needsRestart.length > 0)
      this.#log.warn({ settings: needsRestart }, "these settings take effect only after a restart");
    return this.took(report, needsRestart, after.generation?.routes.bindings.length);
  }

  /** Those that serve have done it, as one of them reports. */
  took(report: ReloadReport, needsRestart: readonly string[], bindings: number | undefined): ReloadReport {
    const { trigger, changed, routes_added, routes_removed } = report;
    this.#log.info({ bindings, trigger, changed, routes_added, routes_removed }, "configuration reloaded");
    this.#loadedAt = new Date(report.at);
    this.#needsRestart = needsRestart;
    this.#tried = new Set();
    return this.#keep(report);
  }

  /** @param loaded the configuration that cannot be used; undefined where it could not be read */
  failed(trigger: ReloadTrigger, error: unknown, loaded?: UsableConfig): ReloadReport {
    if (loaded !== undefined) this.#tried = loaded.files;
    else if (error instanceof LoadError) this.#tried = error.files;
    return this.#keep({
      at: new Date().toISOString(),
      trigger,
      result: "failure",
      error: errorMessage(error),
      changed: [],
      routes_added: [],
      routes_removed: [],
    });
  }

  #keep(report: ReloadReport): ReloadReport {
    this.#history.unshift(report);
    this.#history.length = Math.min(this.#history.length, keptReports);
    return report;
  }

  /**
   * Watches the files of a configuration, where it requires that.
   * @param readAt when they began to be read, milliseconds since 1970
   */
  async watch({ config, files }: UsableConfig, readAt: number): Promise<void> {
    if (!config.reload.watch) return this.close();
    this.#watcher ??= new FileWatcher({
      changed: this.#requestReload,
      polling: reason =>
        this.#log.warn({ error: reason }, "files cannot be watched; looking at them every two seconds"),
    });
    await this.#watcher.watch([...files, ...this.#tried], readAt);
  }

  close(): void {
    this.#watcher?.close();
    this.#watcher = undefined;
  }
}

/**
 * The routes of a generation, as clients know them: `GET /v1/{name=rooms/*}`, and where only some hosts serve them,
 * `GET /v1/{name=rooms/*} at api.example.com`.
 */
function routesOf(generation: Generation | undefined): Set<string> {
  const { routes, hosts = [] } = generation ?? {};
  const all = new Set<string>();
  for (const { route } of routes?.bindings ?? []) {
    const text = `${route.method} ${route.template.text}`;
    if (hosts.length === 0) all.add(text);
    for (const host of hosts) {
      if (!host.serves(route)) continue;
      for (const pattern of host.patterns) all.add(pattern === "*" ? text : `${text} at ${pattern}`);
    }
  }
  return all;
}

/**
 * Reports that routes are removed, as configured by `reload.breaking`.
 * @throws LoadError where it is to be refused
 */
export function checkBreaking(
  old: Generation | undefined,
  next: Generation,
  loaded: UsableConfig,
  log: Pick<Logger, "warn">,
): void {
  const { breaking } = loaded.config.reload;
  if (old === undefined || breaking === "allow") return;
  const removed = missingFrom(routesOf(next), routesOf(old));
  if (removed.length === 0) return;
  if (breaking === "warn") {
    log.warn({ routes: removed }, "the new configuration removes routes of clients");
    return;
  }
  const message = `clients would lose ${removed.slice(0, 5).join(", ")}${removed.length > 5 ? ` and ${removed.length - 5} more` : ""}; expected all routes of the configuration that serves, or breaking: warn`;
  const path = ["reload", "breaking"];
  const position = loaded.locate(path);
  throw new LoadError([{ severity: "error", message, position, path: "reload.breaking" }], loaded.files);
}

/** An error of another process. Its stack in this one would be of no use. */
export function reportedError(message: string, stack = message): Error {
  return Object.assign(new Error(message), { stack });
}

/** The text for the log: of errors in a configuration the message, of any other error the stack. */
export function describeError(error: unknown): string {
  if (error instanceof LoadError) return error.message;
  return errorStack(error);
}
