import { type AdminServer, startAdmin } from "../admin/server.js";
import type { AdminRoute } from "../bindings/admin-route.js";
import type { Endpoint } from "../bindings/endpoint.js";
import type { Snapshot } from "../bindings/snapshot.js";
import { type Diagnostic, formatDiagnostic, LoadError } from "../config/diagnostic.js";
import { redact } from "../config/redaction.js";
import type { Config } from "../config/schema.js";
import { Pipeline } from "../pipeline/pipeline.js";
import type { Engine } from "../server/engine.js";
import { startFastifyEngine } from "../server/node/fastify-engine.js";
import { startUwsEngine } from "../server/uws/uws-engine.js";
import { AccessLog } from "../telemetry/access-log.js";
import { createLogger } from "../telemetry/logger.js";
import { none } from "../telemetry/route-metrics.js";
import { type Compiled, type Environment, readConfig, type UsableConfig } from "./compile.js";
import { Generation } from "./generation.js";
import { listenerOf, listening } from "./listener.js";
import type { Protection } from "./protection.js";
import type { RealtimeParts, RealtimeService } from "./realtime.js";
import type { SocketEngine } from "./realtime-listener.js";
import { restartOnly } from "./restart-only.js";
import { describeBinding } from "./route-description.js";
import { createRuntime, type Runtime } from "./runtime.js";

export interface GatewayOptions {
  /** What `${NAME}` in the configuration is taken from; default the process's own environment. */
  readonly env?: Environment;
  /** Where log lines go; default standard output. */
  readonly logTo?: { write(line: string): void };
  /** What the HTTP listener serves beside the configuration. */
  readonly endpoints?: readonly Endpoint[];
  /** What serves the listener of the sockets; default uws, where its addon can be loaded. */
  readonly socketEngine?: SocketEngine;
}

/** A gateway that listens. */
export interface Gateway {
  readonly httpPort: number;
  /** 0 without `listeners.realtime`. */
  readonly realtimePort: number;
  readonly adminPort: number;
  /** Loads the configuration again; what is wrong with it is logged and the old one stays. */
  reload(): Promise<void>;
  /** Fails readiness, stops accepting, lets requests under way finish within `server.drain`, then ends them. */
  close(): Promise<void>;
}

/**
 * Loads a configuration file and listens. Resolves when requests are answered.
 * @throws LoadError where the configuration, the descriptors or the routes have errors
 */
export async function startGateway(file: string, options: GatewayOptions = {}): Promise<Gateway> {
  const environment = options.env ?? process.env;
  const loaded = readConfig(file, environment);
  const gateway = new RunningGateway(file, environment, loaded, options);
  try {
    await gateway.start();
  } catch (error) {
    await gateway.abandon();
    throw error;
  }
  return gateway;
}

/** Milliseconds that WebSockets have at the end to take in why they are closed. */
const lastWords = 1000;

class RunningGateway implements Gateway {
  readonly #file: string;
  readonly #environment: Environment;
  readonly #runtime: Runtime;
  readonly #socketEngine: SocketEngine | undefined;
  /** The configuration that the process started with. */
  readonly #started: Config;
  #loaded: UsableConfig;
  #generation: Generation | undefined;
  #snapshot: Snapshot | undefined;
  #protection: Protection | undefined;
  #realtime: RealtimeService | undefined;
  #createRealtime: ((parts: RealtimeParts) => RealtimeService) | undefined;
  #adminRoutes: readonly AdminRoute[] = [];
  #engine: Engine | undefined;
  #admin: AdminServer | undefined;
  #draining = false;
  /** Being built by a reload; not yet serving. */
  #next: Generation | undefined;
  #reloading: Promise<void> = Promise.resolve();
  /** Generations that wait for their last requests. */
  readonly #retiring = new Set<Promise<void>>();
  readonly #retired = new Set<Generation>();

  constructor(file: string, environment: Environment, loaded: UsableConfig, options: GatewayOptions) {
    const { telemetry } = loaded.config;
    this.#file = file;
    this.#environment = environment;
    this.#started = loaded.config;
    this.#loaded = loaded;
    const log = createLogger(telemetry.log.level, options.logTo);
    this.#runtime = createRuntime(loaded.config, log, options.endpoints);
    this.#socketEngine = options.socketEngine;
    this.#runtime.metrics.endpointsFrom(() => this.#generation?.endpoints() ?? []);
  }

  get httpPort(): number {
    return this.#engine?.port ?? 0;
  }

  get realtimePort(): number {
    return this.#realtime?.port ?? 0;
  }

  get adminPort(): number {
    return this.#admin?.address.port ?? 0;
  }

  async start(): Promise<void> {
    await this.#startAdmin();
    const generation = this.#createGeneration(this.#loaded);
    this.#generation = generation;
    await generation.start();
    await this.#realtime?.start(this.#loaded);
    await this.#listen();
    this.#runtime.log.info(
      {
        http: this.httpPort,
        ...(this.#realtime === undefined ? {} : { realtime: this.realtimePort }),
        admin: this.adminPort,
        bindings: this.#snapshot?.bindings.length,
      },
      "ready",
    );
  }

  reload(): Promise<void> {
    // A reload that still waits (for reflection, say) is overtaken by the newer one.
    if (this.#next !== undefined) this.#retire(this.#next);
    this.#reloading = this.#reloading.then(() => this.#reload());
    return this.#reloading;
  }

  async close(): Promise<void> {
    if (this.#draining) return;
    this.#runtime.log.info({ drain_ms: this.#loaded.config.server.drain }, "shutting down");
    await this.#end();
    this.#runtime.log.info("closed");
    this.#runtime.log.flush();
  }

  /** Undoes a start that failed; the error alone tells of it. */
  async abandon(): Promise<void> {
    await this.#end();
    this.#runtime.log.flush();
  }

  async #end(): Promise<void> {
    this.#draining = true;
    const { drain } = this.#loaded.config.server;
    const realtime = this.#realtime?.close(drain);
    const engine = this.#engine;
    if (engine !== undefined) {
      const timer = setTimeout(() => {
        engine.destroy();
        void this.#endAll();
      }, drain);
      await engine.close(realtime);
      clearTimeout(timer);
    }
    await realtime;
    for (const generation of [this.#generation, this.#next])
      if (generation !== undefined) this.#retire(generation);
    const timer = setTimeout(() => void this.#endAll(), lastWords);
    await Promise.all(this.#retiring);
    clearTimeout(timer);
    await this.#admin?.close();
  }

  async #startAdmin(): Promise<void> {
    const { address, tls } = listenerOf(this.#loaded, "admin");
    const start = (): Promise<AdminServer> =>
      startAdmin({
        address,
        tls,
        metrics: this.#runtime.metrics,
        ready: () => this.#readiness(),
        config: () => redact(this.#loaded.config, this.#loaded.secrets),
        bindings: () => this.#snapshot?.bindings.map(describeBinding) ?? [],
        routes: () => this.#adminRoutes,
      });
    this.#admin = await listening(this.#loaded, ["listeners", "admin"], start);
  }

  async #listen(): Promise<void> {
    const { listeners, http } = this.#loaded.config;
    const { address, tls } = listenerOf(this.#loaded, "http");
    const pipeline = new Pipeline({
      // Requests are accepted only once there is a snapshot.
      snapshot: () => this.#snapshot as Snapshot,
      metrics: this.#runtime.metrics,
      accessLog: new AccessLog(this.#runtime.log),
      draining: () => this.#draining,
    });
    const startEngine = listeners.http.engine === "uws" ? startUwsEngine : startFastifyEngine;
    const start = (): Promise<Engine> =>
      startEngine({
        ...address,
        tls,
        headerLimit: http.limits.header,
        requestTimeout: http.limits.request_timeout,
        handle: exchange => pipeline.handle(exchange),
        upgrades: target => pipeline.upgrades(target),
        crashed: error =>
          this.#runtime.log.error({ err: error }, "A client connection was ended after an internal error."),
        ...(this.#realtime !== undefined && {
          attach: (app, peers, cork) => this.#realtime?.attach(app, peers, cork, tls !== undefined),
        }),
        takeUpgrade: (request, socket, head) => this.#realtime?.take(request, socket, head) === true,
        refused: ({ httpStatus, code }) =>
          this.#runtime.metrics.route(none, "OTHER", none).observe(httpStatus, code, 0, 0, 0),
      });
    this.#engine = await listening(this.#loaded, ["listeners", "http"], start);
  }

  /** Rooms and what connects them are loaded only where they are used. */
  async #prepareRealtime({ loaded }: Compiled): Promise<void> {
    const { realtime } = loaded.config;
    if (realtime === undefined || this.#realtime !== undefined) return;
    const { prepareRealtime } = await import("./realtime.js");
    this.#createRealtime = await prepareRealtime(realtime, this.#runtime, {
      engine: this.#socketEngine,
      replyHeaders: (origin, encrypted) => (this.#snapshot as Snapshot).replyHeaders(origin, encrypted),
    });
  }

  #useRealtime(parts: RealtimeParts): void {
    const { config } = parts.compiled.loaded;
    const { realtime } = config;
    if (this.#realtime === undefined) {
      if (realtime !== undefined) this.#realtime = this.#createRealtime?.(parts);
    } else if (realtime !== undefined) {
      this.#realtime.update(parts);
    } else {
      const ended = this.#realtime.close(config.server.drain).finally(() => this.#retiring.delete(ended));
      this.#retiring.add(ended);
      this.#realtime = undefined;
    }
    this.#runtime.rooms = this.#realtime;
  }

  #createGeneration(loaded: UsableConfig): Generation {
    return new Generation(loaded, this.#runtime, {
      protection: () => this.#protection,
      prepare: compiled => this.#prepareRealtime(compiled),
      snapshot: (snapshot, parts) => {
        const { diagnostics, adminRoutes } = parts.compiled;
        this.#snapshot = snapshot;
        this.#protection = parts.protection;
        this.#useRealtime(parts);
        this.#adminRoutes = adminRoutes;
        this.#runtime.metrics.reloadSucceeded(snapshot.bindings.length);
        this.#report(diagnostics);
      },
      // No fault of the gateway: a stack would tell nothing.
      retrying: (what, error) => this.#runtime.log.warn({ error: error.message }, what),
      failed: (what, error) => this.#runtime.log.error({ error: describeError(error) }, what),
    });
  }

  async #reload(): Promise<void> {
    if (this.#draining) return;
    try {
      const loaded = readConfig(this.#file, this.#environment);
      const next = this.#createGeneration(loaded);
      this.#next = next;
      await next.start();
      const before = this.#generation;
      this.#generation = next;
      this.#next = undefined;
      this.#loaded = loaded;
      await this.#realtime?.start(loaded);
      const unchanged = restartOnly(this.#started, loaded.config);
      if (unchanged.length > 0)
        this.#runtime.log.warn({ settings: unchanged }, "these settings change with a restart only");
      if (before !== undefined) this.#retire(before);
      this.#runtime.log.info({ bindings: this.#snapshot?.bindings.length }, "configuration reloaded");
    } catch (error) {
      this.#runtime.metrics.reloadFailed();
      this.#runtime.log.error(
        { error: describeError(error) },
        "reload failed; the configuration from before stays",
      );
      if (this.#next !== undefined) this.#retire(this.#next);
    }
  }

  #retire(generation: Generation): void {
    if (this.#next === generation) this.#next = undefined;
    this.#retired.add(generation);
    const retired = generation.retire().finally(() => {
      this.#retiring.delete(retired);
      this.#retired.delete(generation);
    });
    this.#retiring.add(retired);
  }

  /** Ends the WebSockets that are passed through. */
  async #endAll(): Promise<void> {
    const all = [...this.#retired, this.#generation];
    await Promise.all(all.map(generation => generation?.end()));
  }

  #readiness(): { ready: boolean; checks: Record<string, { ok: boolean; message: string }> } {
    const checks: Record<string, { ok: boolean; message: string }> = {
      gateway: this.#draining
        ? { ok: false, message: "shutting down" }
        : this.#engine === undefined
          ? { ok: false, message: this.#generation?.waitingFor() ?? "starting" }
          : { ok: true, message: "listening" },
    };
    if (this.#realtime?.ready === false)
      checks.realtime = { ok: false, message: "the broker does not take messages" };
    for (const { upstream, ok, message } of this.#generation?.health() ?? [])
      checks[`upstream ${upstream}`] = { ok, message };
    return { ready: Object.values(checks).every(check => check.ok), checks };
  }

  #report(diagnostics: readonly Diagnostic[]): void {
    for (const diagnostic of diagnostics) this.#runtime.log.warn(formatDiagnostic(diagnostic));
  }
}

function describeError(error: unknown): string {
  if (error instanceof LoadError) return error.message;
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
