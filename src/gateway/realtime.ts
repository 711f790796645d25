import type { IncomingMessage } from "node:http";
import type { Socket as NetSocket } from "node:net";
import { TLSSocket } from "node:tls";
import { type Address, parseAddress } from "../config/address.js";
import type { ServerTls } from "../net/server-tls.js";
import type { UwsRoutes } from "../net/uws-addon.js";
import { OpenStreams } from "../pipeline/open-streams.js";
import { Pipeline } from "../pipeline/pipeline.js";
import type { RoomsServer } from "../realtime/api/rooms-server.js";
import { createBridge, type RpcBridge } from "../realtime/bridge/rpc-bridge.js";
import type { Broker } from "../realtime/brokers/broker.js";
import { loadBroker } from "../realtime/brokers/registry.js";
import { WorkerBroker } from "../realtime/brokers/worker-broker.js";
import type { RealtimeConfig } from "../realtime/config.js";
import { FallbackSessions } from "../realtime/fallback/fallback-sessions.js";
import { SessionRelay } from "../realtime/fallback/session-relay.js";
import { Feeds } from "../realtime/feeds/feeds.js";
import { Realtime } from "../realtime/realtime.js";
import { historyLimitsOf } from "../realtime/rooms/room-kinds.js";
import type { PortableSockets } from "../realtime/sockets/portable-sockets.js";
import type { FinishedUpgrade, SocketUpgradeOptions } from "../realtime/sockets/upgrade.js";
import { acceptUwsSockets, type UwsSocketOptions } from "../realtime/sockets/uws-sockets.js";
import { httpListenersOf } from "../server/config.js";
import { type Engine, targetLimit } from "../server/engine.js";
import { Code } from "../status/code.js";
import { none, other } from "../telemetry/route-metrics.js";
import type { GatewayConfig } from "./config.js";
import { listenerOf, listening } from "./listener.js";
import type { UsableConfig } from "./read-config.js";
import {
  chooseSocketEngine,
  portableSockets,
  type SocketEngine,
  startRealtimeListener,
} from "./realtime-listener.js";
import {
  closedSocketGuard,
  type RealtimeParts,
  type Rooms,
  realtimeSettings,
  socketPath,
} from "./realtime-settings.js";
import type { Runtime } from "./runtime.js";
import { readCertificate } from "./tls.js";

/** The options of all sockets of the process, on any listener. */
type SocketOptions = Omit<SocketUpgradeOptions, "encrypted" | "responseHeaders">;

/**
 * Makes rooms and sockets, which cannot be reached before `use` and `start`.
 * @param section the settings that broker and listener keep until a restart
 * @param engine undefined: uws, where its addon can be loaded
 */
export async function openRealtime(
  config: GatewayConfig,
  section: RealtimeConfig,
  runtime: Runtime,
  engine: SocketEngine | undefined,
): Promise<RealtimeService> {
  const history = historyLimitsOf(section);
  const { channel, log } = runtime;
  const broker =
    channel !== undefined && section.broker.type === "memory"
      ? new WorkerBroker(channel, history)
      : await loadBroker(section.broker, { history, logger: log });
  return new RealtimeService(config, section, broker, runtime, engine);
}

/** Rooms, sockets and their listener, which outlive reloads. */
export class RealtimeService implements Rooms {
  readonly realtime: Realtime;
  /** The configuration that it was opened with. */
  readonly section: RealtimeConfig;
  readonly #runtime: Runtime;
  readonly #configuredEngine: SocketEngine | undefined;
  readonly #bridge: RpcBridge;
  readonly #feeds: Feeds;
  readonly #sockets: SocketOptions;
  readonly #servesHttp: boolean;
  /** Held until others are used, or until the last socket is gone. */
  #parts: RealtimeParts | undefined;
  #started = false;
  /** Undefined without a listener for sockets alone. */
  #engine: Engine | undefined;
  /** The sockets of HTTP listeners whose engine is fastify, by whether they use TLS. */
  readonly #portable = new Map<boolean, PortableSockets>();
  #api: RoomsServer | undefined;
  #fallback: FallbackSessions | undefined;
  readonly #relay: SessionRelay | undefined;

  constructor(
    config: GatewayConfig,
    section: RealtimeConfig,
    broker: Broker,
    runtime: Runtime,
    engine: SocketEngine | undefined,
  ) {
    this.section = section;
    this.#servesHttp = section.path !== undefined;
    this.#runtime = runtime;
    this.#configuredEngine = engine;
    this.#sockets = {
      path: socketPath(section),
      messageLimit: section.limits.message,
      idleTimeout: section.limits.idle_timeout,
      deflate: section.deflate,
      trustedHops: config.http.forwarded.trusted_hops,
      finished: upgrade => this.#record(upgrade),
    };
    const { channel, worker } = runtime;
    if (channel !== undefined && worker !== undefined) this.#relay = new SessionRelay(channel, worker);
    this.#relay?.respond((request, cancellation) => this.fallback.respondHere(request, cancellation));
    this.#bridge = createBridge(runtime.bridge, runtime.tracer);
    this.realtime = new Realtime({
      settings: { ...realtimeSettings(config, section, closedSocketGuard), bridge: this.#bridge },
      broker,
      metrics: runtime.realtime,
      logger: runtime.log,
      tracer: runtime.tracer,
      borrower: runtime.borrower,
    });
    this.#feeds = new Feeds(this.realtime.local, runtime.feeds);
  }

  /** Undefined without a listener for sockets alone. */
  get listener(): Engine | undefined {
    return this.#engine;
  }

  get port(): number {
    return this.#engine?.port ?? 0;
  }

  /** Made when the first request for one comes. */
  get fallback(): FallbackSessions {
    this.#fallback ??= new FallbackSessions(this.realtime, this.#sockets.idleTimeout, this.#relay);
    return this.#fallback;
  }

  /** False while messages cannot be published. */
  get ready(): boolean {
    return this.realtime.hub.ready;
  }

  /** The parts of a generation take effect from now on; sockets stay open. */
  use(parts: RealtimeParts): void {
    parts.routes.acquire();
    this.#parts?.routes.release();
    this.#parts = parts;
    if (parts.target !== undefined) this.#bridge.use(parts.target);
    this.realtime.settings = { ...parts.settings, bridge: this.#bridge };
    this.#feeds.use(parts.feeds);
  }

  /** Connects to the broker and listens, the first time that it is called; after `use`. */
  async start(loaded: UsableConfig): Promise<void> {
    await this.#openPortable(loaded);
    if (this.#started) return;
    await this.realtime.start();
    if (loaded.config.listeners.realtime !== undefined) await this.#listen(loaded);
    await this.#startApi(loaded);
    this.#started = true;
  }

  async #openPortable({ config }: UsableConfig): Promise<void> {
    if (!this.#servesHttp) return;
    for (const { listener } of httpListenersOf(config.listeners.http)) {
      const encrypted = listener.tls !== undefined;
      if (listener.engine === "uws" || this.#portable.has(encrypted)) continue;
      this.#portable.set(encrypted, await portableSockets(this.realtime, this.#onHttp(encrypted)));
    }
  }

  /** The listener for sockets alone. */
  async #listen(loaded: UsableConfig): Promise<void> {
    const { address, tls } = listenerOf(loaded.config, "realtime");
    const { limits } = loaded.config.http;
    const { metrics } = this.#runtime;
    const pipeline = new Pipeline({
      routes: () => this.#used.routes,
      metrics,
      accessLog: this.#runtime.accessLog,
      tracer: this.#runtime.tracer,
      draining: () => this.realtime.draining,
      requestTimeoutMs: limits.request_timeout,
      // Its routes are the gateway's own.
      streams: new OpenStreams(),
    });
    const encrypted = tls !== undefined;
    const engine = await this.#chooseEngine(limits.header, tls);
    const start = (): Promise<Engine> =>
      startRealtimeListener(this.realtime, {
        ...address,
        tls,
        engine,
        headerLimit: limits.header,
        requestTimeout: limits.request_timeout,
        handle: (request, response) => pipeline.handle(request, response),
        refused: ({ httpStatus, code }) =>
          metrics.route(none, other, none).observe(httpStatus, code, 0, 0, 0),
        sockets: {
          ...this.#sockets,
          responseHeaders: origin => this.#used.routes.responseHeaders(origin, encrypted),
        },
      });
    this.#engine = await listening(loaded, ["listeners", "realtime"], start);
  }

  /** No listener is open before there are some. */
  get #used(): RealtimeParts {
    return this.#parts as RealtimeParts;
  }

  async #chooseEngine(headerLimit: number, tls: ServerTls | undefined): Promise<SocketEngine> {
    if (tls?.minVersion === "TLSv1.3") return "portable";
    if (this.#configuredEngine !== undefined) return this.#configuredEngine;
    const { engine, why } = await chooseSocketEngine(headerLimit + targetLimit);
    if (why !== undefined)
      this.#runtime.log.info(
        { engine },
        `WebSockets are served by the portable engine, which is slower: uWebSockets.js ${why}`,
      );
    return engine;
  }

  /** The rooms for backends, over gRPC. */
  async #startApi(loaded: UsableConfig): Promise<void> {
    const api = loaded.config.realtime?.api;
    if (api === undefined) return;
    const { startRoomsServer } = await import("../realtime/api/rooms-server.js");
    const { address, token, tls } = api;
    // Loading has checked the form of the address.
    const options = { ...(parseAddress(address) as Address), tls: tls && readCertificate(tls), token };
    this.#api = await listening(loaded, ["realtime", "api"], () =>
      startRoomsServer(() => this.realtime.hub, options),
    );
  }

  /** Takes sockets in by an HTTP listener whose engine is uws. */
  attach(
    app: UwsRoutes,
    { encrypted, ...more }: Pick<UwsSocketOptions, "encrypted" | "server" | "serves">,
  ): void {
    if (this.#servesHttp) acceptUwsSockets(app, this.realtime, { ...this.#onHttp(encrypted), ...more });
  }

  /** Takes a socket in by an HTTP listener whose engine is fastify. @returns whether it is one */
  take(request: IncomingMessage, socket: NetSocket, head: Buffer): boolean {
    return this.#portable.get(socket instanceof TLSSocket)?.take(request, socket, head) === true;
  }

  #onHttp(encrypted: boolean): SocketUpgradeOptions {
    return {
      ...this.#sockets,
      encrypted,
      responseHeaders: origin => this.#used.httpHeaders(origin, encrypted),
    };
  }

  async close(drain: number): Promise<void> {
    const sockets = this.#closeSockets(drain);
    const closed = this.#engine?.close(sockets);
    try {
      await sockets;
      for (const sockets of this.#portable.values()) sockets.destroy();
      this.#engine?.destroy();
      await closed;
    } finally {
      this.#parts?.routes.release();
    }
  }

  async #closeSockets(drain: number): Promise<void> {
    await this.#api?.close();
    await this.#feeds.close();
    await this.realtime.close(drain);
  }

  /** A log line as other requests have it; the lifetime of a socket is no latency. */
  #record({ path, requestId, traceId, identity, failure, seconds, bytes }: FinishedUpgrade): void {
    const route = this.#sockets.path;
    const status = failure?.httpStatus ?? 101;
    const code = failure?.code ?? Code.OK;
    if (failure !== undefined)
      this.#runtime.metrics.route(route, "GET", "realtime").observe(status, code, seconds, 0, bytes);
    this.#runtime.accessLog.write({
      requestId,
      traceId,
      identity,
      method: "GET",
      path,
      route,
      status,
      code,
      seconds,
      requestBytes: 0,
      responseBytes: bytes,
      reason: failure?.reason,
    });
  }
}
