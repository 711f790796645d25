import { readFileSync } from "node:fs";
import { isDeepStrictEqual } from "node:util";
import { type Address, parseAddress } from "../config/address.js";
import type { RealtimeConfig } from "../config/schema.js";
import { clientAddress } from "../net/client-address.js";
import type { PeerAddresses } from "../net/peer-address.js";
import type { UwsApp } from "../net/uws-addon.js";
import type { RoomsServer } from "../realtime/api/rooms-server.js";
import { createBridge, type RpcBridge } from "../realtime/bridge/rpc-bridge.js";
import type { Broker } from "../realtime/broker.js";
import { loadBroker } from "../realtime/brokers/load-broker.js";
import { Realtime } from "../realtime/realtime.js";
import { type RealtimeServer, type RealtimeServerOptions, startRealtimeServer } from "../realtime/server.js";
import { acceptUpgrades } from "../realtime/upgrade.js";
import type { Logger } from "../telemetry/logger.js";
import type { Channel } from "../upstream/channel.js";
import type { PassedHeaders, PassThroughEndpoint } from "../upstream/pass-through.js";
import type { Compiled, UsableConfig } from "./compile.js";
import { listenerOf, listening } from "./listener.js";
import type { Protection } from "./protection.js";
import { callCheck, realtimeSettings, socketPath } from "./realtime-settings.js";
import type { Rooms, Runtime } from "./runtime.js";

/** What holds for every socket of the process, whichever listener it comes by. */
type SocketOptions = Required<Omit<RealtimeServerOptions, "host" | "port" | "tls">>;

/** What of a loaded configuration the sockets hold on to. */
export interface RealtimeParts {
  readonly compiled: Compiled;
  readonly protection: Protection;
  readonly channels: ReadonlyMap<string, Channel>;
}

/** Loads what connects the rooms; they begin with the first snapshot that has them. */
export async function prepareRealtime(
  section: RealtimeConfig,
  runtime: Runtime,
): Promise<(parts: RealtimeParts) => RealtimeService> {
  const { messages, ttl, max_bytes: maxBytes } = section.history;
  const broker = await loadBroker(section.broker, {
    history: { messages, ttl, maxBytes },
    logger: runtime.log,
  });
  return parts => new RealtimeService(section, broker, parts, runtime);
}

/** Rooms, sockets and their listener, which outlive reloads. */
export class RealtimeService implements Rooms {
  readonly realtime: Realtime;
  readonly #bridge: RpcBridge;
  readonly #sockets: SocketOptions;
  readonly #fixed: unknown;
  readonly #log: Logger;
  #server: RealtimeServer | undefined;
  #api: RoomsServer | undefined;
  #origin = "";

  /** @param section of the configuration that the process started with: broker and listener stay as it says */
  constructor(section: RealtimeConfig, broker: Broker, parts: RealtimeParts, runtime: Runtime) {
    const { http } = parts.compiled.loaded.config;
    this.#fixed = fixed(section);
    this.#log = runtime.log;
    this.#sockets = {
      path: socketPath(section),
      messageLimit: section.limits.message,
      idleTimeout: section.limits.idle_timeout,
      deflate: section.deflate,
      trustedHops: http.forwarded.trusted_hops,
      headerLimit: http.limits.header,
    };
    this.#bridge = createBridge(runtime.bridge);
    this.#useTarget(parts);
    this.realtime = new Realtime({
      settings: realtimeSettings(parts.compiled, section, parts.protection, this.#bridge),
      broker,
      metrics: runtime.realtime,
      logger: runtime.log,
    });
  }

  get port(): number {
    return this.#server?.port ?? 0;
  }

  /** False while messages cannot be published. */
  get ready(): boolean {
    return this.realtime.hub.ready;
  }

  /** Connects to the broker and listens, the first time that it is called. */
  async start(loaded: UsableConfig): Promise<void> {
    if (this.#server !== undefined) return;
    await this.realtime.start();
    const { address, tls } = listenerOf(loaded, "realtime");
    const start = (): Promise<RealtimeServer> =>
      startRealtimeServer(this.realtime, { ...address, tls, ...this.#sockets });
    this.#server = await listening(loaded, ["listeners", "realtime"], start);
    const { host } = address;
    const local = host === "0.0.0.0" ? "127.0.0.1" : host === "::" ? "[::1]" : host;
    this.#origin = `${tls === undefined ? "http" : "https"}://${local}:${this.#server.port}`;
    await this.#startApi(loaded);
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

  /** Takes sockets in by the HTTP port, too. */
  attach(app: UwsApp, peers: PeerAddresses, encrypted: boolean): void {
    const clientOf = (peer: string, header: (name: string) => string | undefined): string =>
      clientAddress(peer, header("x-forwarded-for"), this.#sockets.trustedHops);
    acceptUpgrades(app, this.realtime, { ...this.#sockets, encrypted, peers, clientAddress: clientOf });
  }

  relay(headers: PassedHeaders): PassThroughEndpoint {
    const [name = "", value] = this.#server?.relay ?? [];
    // Pages are compared with the host that they have asked.
    return { origin: this.#origin, headers: { [name]: value, host: headers["x-forwarded-host"] } };
  }

  /** What a reload changes; sockets stay open. */
  update(parts: RealtimeParts): void {
    const { realtime: section } = parts.compiled.loaded.config;
    if (section === undefined) return;
    if (!isDeepStrictEqual(fixed(section), this.#fixed))
      this.#log.warn(
        "realtime: path, message, idle_timeout, deflate, history, broker and api change with a restart only",
      );
    this.#useTarget(parts);
    this.realtime.settings = realtimeSettings(parts.compiled, section, parts.protection, this.#bridge);
  }

  async close(drain: number): Promise<void> {
    this.#server?.stop();
    await this.#api?.close();
    await this.realtime.close(drain);
    this.#server?.destroy();
  }

  #useTarget({ compiled, channels }: RealtimeParts): void {
    if (compiled.bridge === undefined) return;
    this.#bridge.use({ plan: compiled.bridge, channels, check: callCheck(compiled) });
  }
}

/** What no reload changes. */
function fixed({ path, limits, deflate, history, broker, api }: RealtimeConfig): unknown {
  return { path, message: limits.message, idle: limits.idle_timeout, deflate, history, broker, api };
}
