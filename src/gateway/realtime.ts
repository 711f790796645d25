import { readFileSync } from "node:fs";
import type { IncomingMessage } from "node:http";
import type { Socket as NetSocket } from "node:net";
import { isDeepStrictEqual } from "node:util";
import type { Snapshot } from "../bindings/snapshot.js";
import { type Address, parseAddress } from "../config/address.js";
import type { RealtimeConfig } from "../config/schema.js";
import type { PeerAddresses } from "../net/peer-address.js";
import type { UwsApp } from "../net/uws-addon.js";
import { Pipeline } from "../pipeline/pipeline.js";
import type { RoomsServer } from "../realtime/api/rooms-server.js";
import { createBridge, type RpcBridge } from "../realtime/bridge/rpc-bridge.js";
import type { Broker } from "../realtime/brokers/broker.js";
import { loadBroker } from "../realtime/brokers/registry.js";
import { Realtime } from "../realtime/realtime.js";
import type { PortableSockets } from "../realtime/sockets/portable-sockets.js";
import type { FinishedUpgrade, UpgradeOptions } from "../realtime/sockets/upgrade.js";
import { acceptUwsSockets, type UwsSocketOptions } from "../realtime/sockets/uws-sockets.js";
import { type Engine, targetLimit } from "../server/engine.js";
import { Code } from "../status/code.js";
import { AccessLog } from "../telemetry/access-log.js";
import type { Logger } from "../telemetry/logger.js";
import { none } from "../telemetry/route-metrics.js";
import type { Compiled, UsableConfig } from "./compile.js";
import type { Leases } from "./leases.js";
import { listenerOf, listening } from "./listener.js";
import {
  chooseSocketEngine,
  portableSockets,
  type SocketEngine,
  startRealtimeListener,
} from "./realtime-listener.js";
import { callCheck, realtimeSettings, servesHttp, socketPath } from "./realtime-settings.js";
import type { Rooms, Runtime } from "./runtime.js";
import type { SnapshotParts } from "./snapshot.js";

/** What holds for every socket of the process, whichever listener it comes by. */
type SocketOptions = Omit<UpgradeOptions, "encrypted" | "replyHeaders">;

/** What sockets have of the gateway around them. */
export interface SocketSurroundings {
  /** Undefined: uws, where its addon can be loaded. */
  readonly engine: SocketEngine | undefined;
  /** What responses of the HTTP listener carry. @param origin the Origin header */
  replyHeaders(
    origin: string | undefined,
    encrypted: boolean,
  ): ReturnType<NonNullable<UpgradeOptions["replyHeaders"]>>;
}

/** What of a loaded configuration the sockets hold on to. */
export interface RealtimeParts extends SnapshotParts {
  readonly compiled: Compiled;
  /** What the listener of the sockets answers beside them. */
  readonly socketListener: Snapshot | undefined;
}

/** Loads what connects the rooms; they begin with the first snapshot that has them. */
export async function prepareRealtime(
  section: RealtimeConfig,
  runtime: Runtime,
  surroundings: SocketSurroundings,
): Promise<(parts: RealtimeParts) => RealtimeService> {
  const { messages, ttl, max_bytes: maxBytes } = section.history;
  const broker = await loadBroker(section.broker, {
    history: { messages, ttl, maxBytes },
    logger: runtime.log,
  });
  return parts => new RealtimeService(section, broker, parts, runtime, surroundings);
}

/** Rooms, sockets and their listener, which outlive reloads. */
export class RealtimeService implements Rooms {
  readonly realtime: Realtime;
  readonly #runtime: Runtime;
  readonly #surroundings: SocketSurroundings;
  readonly #bridge: RpcBridge;
  readonly #sockets: SocketOptions;
  readonly #fixed: unknown;
  readonly #log: Logger;
  readonly #accessLog: AccessLog;
  #snapshot: Snapshot;
  /** Of what sockets use now: held until they use something else, or until the last of them is gone. */
  #leases: Leases;
  readonly #servesHttp: boolean;
  #started = false;
  /** Undefined without a listener for sockets alone. */
  #engine: Engine | undefined;
  /** Those of the HTTP listener, where its engine is fastify. */
  #portable: PortableSockets | undefined;
  #api: RoomsServer | undefined;

  /** @param section of the configuration that the process started with: broker and listener stay as it says */
  constructor(
    section: RealtimeConfig,
    broker: Broker,
    parts: RealtimeParts,
    runtime: Runtime,
    surroundings: SocketSurroundings,
  ) {
    const { http } = parts.compiled.loaded.config;
    this.#leases = parts.leases;
    this.#leases.acquire();
    this.#fixed = fixed(section);
    this.#servesHttp = servesHttp(section);
    this.#runtime = runtime;
    this.#surroundings = surroundings;
    this.#log = runtime.log;
    this.#accessLog = new AccessLog(runtime.log);
    this.#sockets = {
      path: socketPath(section),
      messageLimit: section.limits.message,
      idleTimeout: section.limits.idle_timeout,
      deflate: section.deflate,
      trustedHops: http.forwarded.trusted_hops,
      finished: upgrade => this.#record(upgrade),
    };
    this.#bridge = createBridge(runtime.bridge);
    this.#useTarget(parts);
    this.realtime = new Realtime({
      settings: realtimeSettings(parts.compiled, section, parts.protection, this.#bridge),
      broker,
      metrics: runtime.realtime,
      logger: runtime.log,
    });
    // A configuration with rooms has one.
    this.#snapshot = parts.socketListener as Snapshot;
  }

  get port(): number {
    return this.#engine?.port ?? 0;
  }

  /** False while messages cannot be published. */
  get ready(): boolean {
    return this.realtime.hub.ready;
  }

  /** Connects to the broker and listens, the first time that it is called. */
  async start(loaded: UsableConfig): Promise<void> {
    if (this.#started) return;
    await this.realtime.start();
    const { http, realtime } = loaded.config.listeners;
    if (realtime !== undefined) await this.#listen(loaded);
    if (this.#servesHttp && http.engine !== "uws")
      this.#portable = await portableSockets(this.realtime, this.#onHttp(http.tls !== undefined));
    await this.#startApi(loaded);
    this.#started = true;
  }

  /** The listener for sockets alone. */
  async #listen(loaded: UsableConfig): Promise<void> {
    const { address, tls } = listenerOf(loaded, "realtime");
    const { limits } = loaded.config.http;
    const { metrics } = this.#runtime;
    const snapshot = (): Snapshot => this.#snapshot;
    const pipeline = new Pipeline({
      snapshot,
      metrics,
      accessLog: this.#accessLog,
      draining: () => this.realtime.draining,
    });
    const encrypted = tls !== undefined;
    const engine = await this.#chooseEngine(limits.header);
    const start = (): Promise<Engine> =>
      startRealtimeListener(this.realtime, {
        ...address,
        tls,
        engine,
        headerLimit: limits.header,
        requestTimeout: limits.request_timeout,
        handle: exchange => pipeline.handle(exchange),
        refused: ({ httpStatus, code }) =>
          metrics.route(none, "OTHER", none).observe(httpStatus, code, 0, 0, 0),
        sockets: {
          ...this.#sockets,
          replyHeaders: origin => snapshot().replyHeaders(origin, encrypted),
        },
      });
    this.#engine = await listening(loaded, ["listeners", "realtime"], start);
  }

  async #chooseEngine(headerLimit: number): Promise<SocketEngine> {
    const { engine: wanted } = this.#surroundings;
    if (wanted !== undefined) return wanted;
    const { engine, why } = await chooseSocketEngine(headerLimit + targetLimit);
    if (why !== undefined)
      this.#log.info(
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
    const files = tls && { cert: readFileSync(tls.cert), key: readFileSync(tls.key) };
    // Loading has checked the form of the address.
    const options = { ...(parseAddress(address) as Address), tls: files, token };
    this.#api = await listening(loaded, ["realtime", "api"], () =>
      startRoomsServer(() => this.realtime.hub, options),
    );
  }

  /** Takes sockets in by the HTTP listener, where its engine is uws. */
  attach(app: UwsApp, peers: PeerAddresses, cork: UwsSocketOptions["cork"], encrypted: boolean): void {
    if (this.#servesHttp) acceptUwsSockets(app, this.realtime, { ...this.#onHttp(encrypted), peers, cork });
  }

  /** Takes a socket in by the HTTP listener, where its engine is fastify. @returns whether it is one */
  take(request: IncomingMessage, socket: NetSocket, head: Buffer): boolean {
    return this.#portable?.take(request, socket, head) === true;
  }

  #onHttp(encrypted: boolean): UpgradeOptions {
    return {
      ...this.#sockets,
      encrypted,
      replyHeaders: origin => this.#surroundings.replyHeaders(origin, encrypted),
    };
  }

  /** What a reload changes; sockets stay open. */
  update(parts: RealtimeParts): void {
    const { realtime: section } = parts.compiled.loaded.config;
    const { socketListener } = parts;
    if (section === undefined || socketListener === undefined) return;
    if (!isDeepStrictEqual(fixed(section), this.#fixed))
      this.#log.warn(
        "realtime: path, message, idle_timeout, deflate, history, broker and api change with a restart only",
      );
    this.#useTarget(parts);
    this.realtime.settings = realtimeSettings(parts.compiled, section, parts.protection, this.#bridge);
    this.#snapshot = socketListener;
    const before = this.#leases;
    this.#leases = parts.leases;
    this.#leases.acquire();
    before.release();
  }

  async close(drain: number): Promise<void> {
    const sockets = this.#end(drain);
    const closed = this.#engine?.close(sockets);
    try {
      await sockets;
      this.#portable?.destroy();
      this.#engine?.destroy();
      await closed;
    } finally {
      this.#leases.release();
    }
  }

  async #end(drain: number): Promise<void> {
    await this.#api?.close();
    await this.realtime.close(drain);
  }

  /** A log line as other requests have it; how long a socket lives is no latency. */
  #record({ path, requestId, failure, seconds, bytes }: FinishedUpgrade): void {
    const route = this.#sockets.path;
    const status = failure?.httpStatus ?? 101;
    const code = failure?.code ?? Code.OK;
    if (failure !== undefined)
      this.#runtime.metrics.route(route, "GET", "realtime").observe(status, code, seconds, 0, bytes);
    this.#accessLog.write({
      requestId,
      method: "GET",
      path,
      route,
      rpc: undefined,
      upstream: undefined,
      status,
      code,
      seconds,
      upstreamSeconds: undefined,
      requestBytes: 0,
      responseBytes: bytes,
      reason: failure?.reason,
      detail: undefined,
    });
  }

  #useTarget({ compiled, channels, details }: RealtimeParts): void {
    if (compiled.bridge === undefined) return;
    this.#bridge.use({ plan: compiled.bridge, channels, check: callCheck(compiled), details });
  }
}

/** What no reload changes. */
function fixed({ path, limits, deflate, history, broker, api }: RealtimeConfig): unknown {
  return { path, message: limits.message, idle: limits.idle_timeout, deflate, history, broker, api };
}
