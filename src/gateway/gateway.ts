import type { AdminServer } from "../admin/server.js";
import type { ConfigInput } from "../config/compose.js";
import { formatDiagnostic } from "../config/diagnostic.js";
import { stateChanged } from "../net/state-changes.js";
import type { RealtimeConfig } from "../realtime/config.js";
import { createLogger } from "../telemetry/logger.js";
import { startAdminListener } from "./admin-listener.js";
import { Backends, type ReflectionEvents, reflectionEvents, superseded } from "./backends.js";
import { prepareRenewal, type RenewableListeners } from "./certificates.js";
import type { GatewayConfig } from "./config.js";
import { Drain } from "./drain.js";
import type { Gateway, GatewayOptions, WorkerPart } from "./gateway-options.js";
import { buildGeneration, type Generation } from "./generation.js";
import type { HttpView } from "./http-listener.js";
import { HttpListeners, shownPorts } from "./http-listeners.js";
import { readConfig, type UsableConfig } from "./read-config.js";
import type { GatewayState } from "./readiness.js";
import type { RealtimeService } from "./realtime.js";
import type { SocketEngine } from "./realtime-listener.js";
import { noRooms } from "./realtime-settings.js";
import { hashOf, type ReloadReport, type ReloadTrigger } from "./reload/reload-status.js";
import { checkBreaking, describeError, Reloads } from "./reload/reloads.js";
import { restartOnly } from "./restart-only.js";
import { createRuntime, type Runtime } from "./runtime.js";

/**
 * Loads a configuration and listens. Resolves when requests are served.
 * @throws LoadError where the configuration, the descriptors or the routes have errors
 */
export async function startGateway(input: ConfigInput, options: GatewayOptions = {}): Promise<Gateway> {
  const environment = options.env ?? process.env;
  const read = (): UsableConfig => (options.part?.read ?? readConfig)(input, environment);
  const gateway = new RunningGateway(read, options.loaded ?? readConfig(input, environment), options);
  try {
    await gateway.start();
  } catch (error) {
    await gateway.abandon();
    throw error;
  }
  return gateway;
}

/**
 * The life of a gateway. Requests, sockets and operators use the current fields `#generation`, `#backends` and
 * `#realtime`, which change together in `#swap`.
 */
class RunningGateway implements Gateway {
  readonly #read: () => UsableConfig;
  readonly #runtime: Runtime;
  readonly #part: WorkerPart | undefined;
  /** The log of events of the gateway as a whole. */
  readonly #log: WorkerPart["log"];
  readonly #socketEngine: SocketEngine | undefined;
  /** The configuration that the process started with. */
  readonly #started: GatewayConfig;
  /** The configuration that serves, or is to serve first. */
  #loaded: UsableConfig;
  #generation: Generation | undefined;
  /** Those of the generation, or of the first one that is to come. */
  #backends: Backends | undefined;
  #realtime: RealtimeService | undefined;
  readonly #http: HttpListeners;
  #admin: AdminServer | undefined;
  #draining = false;
  /** Aborted when it begins to drain. */
  readonly #shutdown = new AbortController();
  /** Of a reload that does not yet serve. */
  #next: Backends | undefined;
  readonly #drain = new Drain();
  readonly #reloads: Reloads;
  #reloading: Promise<unknown> = Promise.resolve();
  #building: Promise<void> = Promise.resolve();

  /** @param read reads the configuration again */
  constructor(read: () => UsableConfig, loaded: UsableConfig, options: GatewayOptions) {
    const { telemetry } = loaded.config;
    this.#read = read;
    this.#started = loaded.config;
    this.#loaded = loaded;
    const { part } = options;
    const log = createLogger(telemetry.log.level, options.logTo, part?.worker);
    this.#part = part;
    this.#log = part?.log ?? log;
    this.#runtime = createRuntime(loaded.config, log, options.endpoints, part);
    this.#reloads = new Reloads(this.#log, () => void this.reload("watch"));
    this.#socketEngine = options.socketEngine;
    this.#http = this.#createListeners();
    this.#runtime.certificates.listenersFrom(() => this.#listeners());
    this.#runtime.metrics.endpointsFrom(() => this.#backends?.endpoints() ?? []);
  }

  get httpPort(): number {
    const [first = 0] = Object.values(this.httpPorts);
    return first;
  }

  get httpPorts(): Readonly<Record<string, number>> {
    return Object.fromEntries(Object.entries(this.#http.engines).map(([name, { port }]) => [name, port]));
  }

  get realtimePort(): number {
    return this.#realtime?.port ?? 0;
  }

  get adminPort(): number {
    return this.#admin?.address.port ?? 0;
  }

  async start(): Promise<void> {
    const readAt = Date.now();
    await this.#startAdmin();
    const backends = this.#createBackends(this.#loaded);
    this.#backends = backends;
    await backends.open(this.#reflectionEvents(backends));
    await this.#build(backends);
    await this.#realtime?.start(this.#loaded);
    await this.#http.start(this.#loaded, this.#realtime);
    this.#log.info(
      {
        http: shownPorts(this.httpPorts),
        ...(this.#realtime === undefined ? {} : { realtime: this.realtimePort }),
        admin: this.adminPort,
        bindings: this.#generation?.routes.bindings.length,
      },
      "ready",
    );
    await this.#watch(readAt);
  }

  /** Files are watched once, with any number of workers. */
  async #watch(readAt: number): Promise<void> {
    if (this.#part === undefined) await this.#reloads.watch(this.#loaded, readAt);
  }

  reload(trigger: ReloadTrigger = "signal"): Promise<ReloadReport> {
    // A reload that still waits (for reflection, say) is superseded by the newer one.
    if (this.#next !== undefined) this.#close(this.#next);
    const reloaded = this.#reloading.then(() => this.#reload(trigger));
    this.#reloading = reloaded;
    return reloaded;
  }

  async #reload(trigger: ReloadTrigger): Promise<ReloadReport> {
    if (this.#draining) return this.#reloads.failed(trigger, new Error("the gateway is shutting down"));
    const readAt = Date.now();
    const before = { loaded: this.#loaded, generation: this.#generation };
    let report: ReloadReport;
    let next: Backends | undefined;
    let listeners: Awaited<ReturnType<HttpListeners["prepare"]>> | undefined;
    try {
      const loaded = this.#read();
      const backends = this.#createBackends(loaded);
      next = backends;
      this.#next = backends;
      await backends.open(this.#reflectionEvents(backends));
      let renewCertificates: (() => void) | undefined;
      await this.#build(next, async realtime => {
        listeners = await this.#http.prepare(loaded, realtime);
        renewCertificates = prepareRenewal(loaded, this.#listeners(listeners.kept));
        await this.#part?.agree(loaded);
      });
      listeners?.use(loaded.config.server.drain);
      renewCertificates?.();
      await this.#realtime?.start(loaded);
      this.#runtime.accessLog.use(loaded.config.telemetry.log);
      const settings = [
        ...this.#http.needRestart,
        ...restartOnly(this.#started, this.#realtime?.section, loaded.config),
      ];
      const after = { loaded, generation: this.#generation };
      report = this.#reloads.succeeded(trigger, before, after, settings);
    } catch (error) {
      report = this.#reloads.failed(trigger, error, next?.loaded);
      this.#runtime.metrics.reloadFailed();
      const kept = next !== this.#backends || next === undefined;
      this.#log.error(
        { error: describeError(error), trigger },
        kept
          ? "reload failed; keeping the previous configuration"
          : "the configuration was reloaded, but its sockets or rooms are not served",
      );
      if (next !== undefined && kept) this.#close(next);
      if (kept) await listeners?.abandon();
    }
    if (!this.#draining) await this.#watch(readAt);
    return report;
  }

  /** An upstream has other descriptors than before. */
  async #refresh(backends: Backends, upstream: string): Promise<void> {
    try {
      await this.#build(backends);
    } catch (error) {
      if (backends.signal.aborted) return;
      this.#runtime.metrics.reloadFailed();
      this.#runtime.log.error(
        { error: describeError(error) },
        `the new descriptors of upstream "${upstream}" cannot be used; keeping the previous ones`,
      );
    }
  }

  /**
   * Builds a generation and lets it serve. Generations are built one after the other: one that was begun earlier never
   * replaces one that was begun later.
   * @param agree resolves when it may serve
   */
  #build(backends: Backends, agree?: Agree): Promise<void> {
    const built = this.#building.then(() => this.#buildNext(backends, agree));
    this.#building = built.catch(() => undefined);
    return built;
  }

  async #buildNext(backends: Backends, agree?: Agree): Promise<void> {
    if (backends.signal.aborted) throw superseded();
    const { config } = backends.loaded;
    const realtime =
      config.realtime && (this.#realtime ?? (await this.#openRealtime(config, config.realtime)));
    try {
      const generation = await buildGeneration(backends, {
        runtime: this.#runtime,
        rooms: realtime ?? noRooms,
        previousGuards: this.#generation?.guards,
        state: () => this.#state(),
        shutdown: this.#shutdown.signal,
      });
      try {
        if (backends.signal.aborted) throw superseded();
        checkBreaking(this.#generation, generation, backends.loaded, this.#log);
        await agree?.(realtime);
        if (backends.signal.aborted) throw superseded();
      } catch (error) {
        void generation.retire();
        throw error;
      }
      this.#swap(backends, generation, realtime);
    } catch (error) {
      if (realtime !== this.#realtime) await realtime?.close(0);
      throw error;
    }
  }

  /** No await in here: other code sees all of the old generation or all of the new. */
  #swap(backends: Backends, generation: Generation, realtime: RealtimeService | undefined): void {
    const [oldGeneration, oldBackends, oldRealtime] = [this.#generation, this.#backends, this.#realtime];
    this.#generation = generation;
    this.#backends = backends;
    this.#realtime = realtime;
    this.#loaded = backends.loaded;
    stateChanged();
    if (this.#next === backends) this.#next = undefined;
    if (generation.realtime !== undefined) realtime?.use(generation.realtime);
    if (oldRealtime !== undefined && oldRealtime !== realtime)
      this.#drain.track(oldRealtime.close(backends.loaded.config.server.drain));
    if (oldGeneration !== undefined) this.#drain.retire(oldGeneration, backends.loaded.config.server.drain);
    if (oldBackends !== undefined && oldBackends !== backends) this.#close(oldBackends);
    this.#runtime.metrics.reloadSucceeded(generation.routes.bindings.length, hashOf(backends.loaded));
    for (const diagnostic of generation.diagnostics) this.#log.warn(formatDiagnostic(diagnostic));
  }

  /** @param lingerMs see `Engine.close` */
  async close(lingerMs = 0): Promise<void> {
    if (this.#draining) return;
    this.#log.info({ drain_ms: this.#loaded.config.server.drain }, "shutting down");
    await this.#end(lingerMs);
    this.#log.info("closed");
    this.#runtime.log.flush();
  }

  /** Undoes a start that failed; only the error reports it. */
  async abandon(): Promise<void> {
    await this.#end(0);
    this.#runtime.log.flush();
  }

  async #end(lingerMs: number): Promise<void> {
    this.#draining = true;
    this.#shutdown.abort();
    this.#reloads.close();
    const { drain } = this.#loaded.config.server;
    const realtime = this.#realtime?.close(drain);
    if (this.#http.listening) {
      const timer = setTimeout(() => this.#drain.expire(() => this.#http.destroy()), drain);
      await this.#http.close(realtime, Math.min(lingerMs, drain));
      clearTimeout(timer);
    }
    await realtime;
    await this.#drain.finish(this.#generation);
    await this.#runtime.tracer?.close();
    this.#runtime.openFiles.stop();
    await this.#admin?.close();
  }

  #createBackends(loaded: UsableConfig): Backends {
    const backends = new Backends(loaded, this.#runtime.metrics);
    this.#drain.add(backends);
    return backends;
  }

  #reflectionEvents(backends: Backends): ReflectionEvents {
    return reflectionEvents(this.#runtime.log, upstream => void this.#refresh(backends, upstream));
  }

  #close(backends: Backends): void {
    if (this.#next === backends) this.#next = undefined;
    this.#drain.close(backends);
  }

  /** Rooms and their brokers are loaded only where they are used. */
  async #openRealtime(config: GatewayConfig, section: RealtimeConfig): Promise<RealtimeService> {
    const { openRealtime } = await import("./realtime.js");
    return openRealtime(config, section, this.#runtime, this.#socketEngine);
  }

  #listeners(http: RenewableListeners = this.#http.engines): RenewableListeners {
    return { ...http, realtime: this.#realtime?.listener, admin: this.#admin };
  }

  async #startAdmin(): Promise<void> {
    const serve = this.#part?.serveOperators ?? startAdminListener;
    this.#admin = await serve({
      metrics: this.#runtime.metrics,
      loaded: () => this.#loaded,
      generation: () => this.#generation,
      reload: trigger => this.reload(trigger),
      state: () => this.#state(),
      reloads: this.#reloads,
    });
  }

  #state(): GatewayState {
    return {
      draining: this.#draining,
      listening: this.#http.listening,
      backends: this.#backends,
      realtime: this.#realtime,
      openFiles: this.#runtime.openFiles,
      configuration: this.#reloads.summary,
    };
  }

  #createListeners(): HttpListeners {
    const view: HttpView = {
      runtime: this.#runtime,
      // Requests are accepted only once there is a generation.
      routes: listener => (this.#generation as Generation).routesOf(listener),
      realtime: () => this.#realtime,
      draining: () => this.#draining,
      streams: this.#drain.streams,
    };
    return new HttpListeners(view, this.#part !== undefined);
  }
}

/** Resolves when a generation may serve. @param realtime the rooms that it will serve */
type Agree = (realtime: RealtimeService | undefined) => Promise<void>;
