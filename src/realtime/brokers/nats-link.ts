import { isIP } from "node:net";
import { checkServerIdentity, type PeerCertificate } from "node:tls";
import {
  DiscardPolicy,
  type JetStreamClient,
  type JetStreamManager,
  jetstream,
  jetstreamManager,
  RetentionPolicy,
  StorageType,
  type StreamConfig,
} from "@nats-io/jetstream";
import {
  type ConnectionOptions,
  connect,
  credsAuthenticator,
  type NatsConnection,
} from "@nats-io/transport-node";
import type { Logger } from "../../telemetry/logger.js";
import type { TlsOptions } from "../../upstream/options.js";
import { brokerUnavailable } from "./broker.js";
import { LinkState } from "./link-state.js";

/** A stream of messages that the broker needs; everything else of it is the same for all. */
export interface StreamNeeds {
  readonly name: string;
  readonly subjects: readonly string[];
  readonly storage: "file" | "memory";
  readonly messagesOfSubject: number;
  /** Milliseconds. */
  readonly maxAge: number;
  readonly maxBytes: number;
  /** Milliseconds in which message ids are remembered. */
  readonly duplicates: number;
  /** Where stored messages are published again. */
  readonly republish: { readonly src: string; readonly dest: string } | undefined;
}

export interface NatsListener {
  /** The connection works, and is not in use yet. */
  connecting(nats: Nats): Promise<void>;
  /** The connection works, for the first time or again; subscriptions are restored. */
  connected(): Promise<void>;
}

export interface Nats {
  readonly connection: NatsConnection;
  readonly streams: JetStreamManager;
  readonly messages: JetStreamClient;
}

/** The servers of a NATS cluster. */
export interface NatsServers {
  /**
   * `nats://` or `tls://`, several with commas between. `user:password@` of the first are those for all, and a user
   * alone is a token.
   */
  readonly url: string;
  /** Absent: servers are verified by the authorities of the system where a scheme is `tls`. */
  readonly tls?: TlsOptions | undefined;
  /** The content of a file of credentials: JWT and seed of a user. */
  readonly credentials?: Buffer | undefined;
}

const nanos = 1_000_000;
const maxPauseMs = 2000;

/** A connection to NATS servers that is made again for ever, with the streams that the broker needs. */
export class NatsLink {
  readonly #servers: ConnectionOptions;
  readonly #needs: readonly StreamNeeds[];
  readonly #state: LinkState;
  readonly #timeoutMs: number;
  #listener: NatsListener | undefined;
  #nats: Nats | undefined;
  #timer: NodeJS.Timeout | undefined;

  /**
   * @param timeoutMs milliseconds until a silent server is given up
   */
  constructor(
    servers: NatsServers,
    needs: readonly StreamNeeds[],
    logger: Logger | undefined,
    timeoutMs: number,
  ) {
    this.#servers = connectionOptions(servers);
    this.#needs = needs;
    this.#state = new LinkState(logger);
    this.#timeoutMs = timeoutMs;
  }

  get ready(): boolean {
    return this.#state.ready;
  }

  /** @throws GatewayError BROKER_UNAVAILABLE */
  get nats(): Nats {
    if (this.#nats === undefined || !this.#state.ready) throw brokerUnavailable();
    return this.#nats;
  }

  /**
   * Resolves after the first attempt; where no server was reached it is made again.
   * @throws Error where the server has no JetStream or does not let the stream be made
   */
  async start(listener: NatsListener): Promise<void> {
    this.#listener = listener;
    await this.#connect();
  }

  async close(): Promise<void> {
    this.#state.close();
    clearTimeout(this.#timer);
    await this.#nats?.connection.close();
  }

  /** @throws GatewayError BROKER_UNAVAILABLE (rejects) */
  async execute<T>(command: (nats: Nats) => Promise<T>): Promise<T> {
    const { nats } = this;
    try {
      return await command(nats);
    } catch (error) {
      this.#state.failed(error);
      throw brokerUnavailable();
    }
  }

  /** Resolves when the server has done everything that was sent before. @throws GatewayError BROKER_UNAVAILABLE (rejects) */
  settled(): Promise<void> {
    return this.execute(async ({ connection }) => {
      const options = { timeout: this.#timeoutMs };
      await connection.request(connection.info?.server_id ?? "nobody", "", options).catch(noResponders);
    });
  }

  /** Logs that the server has lost what it had confirmed. */
  wentBack(): void {
    this.#state.wentBack();
  }

  async #connect(): Promise<void> {
    let connection: NatsConnection;
    try {
      connection = await connect({
        ...this.#servers,
        name: "protogate",
        timeout: this.#timeoutMs,
        pingInterval: this.#timeoutMs,
        maxPingOut: 1,
        maxReconnectAttempts: -1,
        reconnectDelayHandler: () => 100 + Math.random() * maxPauseMs,
        ignoreAuthErrorAbort: true,
      });
    } catch (error) {
      this.#state.failed(error);
      this.#retry();
      return;
    }
    try {
      await this.#connected(connection);
    } catch (error) {
      await connection.close();
      throw error;
    }
    void this.#watch(connection);
  }

  #retry(): void {
    if (this.#state.closed) return;
    this.#timer = setTimeout(() => {
      this.#connect().catch(error => {
        this.#state.failed(error);
        this.#retry();
      });
    }, maxPauseMs / 2);
  }

  /** @throws Error */
  async #connected(connection: NatsConnection): Promise<void> {
    const options = { timeout: this.#timeoutMs };
    const streams = await jetstreamManager(connection, options).catch((error: unknown) => {
      if (connection.isClosed() || !isMissing(error)) throw error;
      const server = connection.getServer();
      throw new Error(
        `the NATS server at ${server} has no JetStream, which keeps the messages of rooms: start it with -js or "jetstream {}" in its configuration`,
      );
    });
    for (const needs of this.#needs) await ensureStream(streams, needs);
    if (this.#state.closed) return connection.close();
    const nats = { connection, streams, messages: jetstream(connection, options) };
    await this.#listener?.connecting(nats);
    this.#nats = nats;
    this.#state.reached();
    await this.#listener?.connected();
  }

  async #watch(connection: NatsConnection): Promise<void> {
    for await (const status of connection.status()) {
      if (status.type === "disconnect" || status.type === "staleConnection") {
        this.#state.lost();
        this.#state.failed(new Error("the connection is lost"));
      } else if (status.type === "reconnect") {
        await this.#connected(connection).catch(error => {
          this.#state.failed(error);
          this.#again(connection);
        });
      }
    }
    // A connection that was closed finally is replaced.
    this.#state.lost();
    this.#retry();
  }

  /** The server is there, but lacks something that the broker needs. */
  #again(connection: NatsConnection): void {
    this.#timer = setTimeout(() => {
      if (this.#state.closed || this.#state.ready || connection.isClosed()) return;
      this.#connected(connection).catch(error => {
        this.#state.failed(error);
        this.#again(connection);
      });
    }, maxPauseMs / 4);
  }
}

function connectionOptions({ url, tls, credentials }: NatsServers): ConnectionOptions {
  const urls = url.split(",").map(each => new URL(each.trim()));
  const [first] = urls;
  const user = decodeURIComponent(first?.username ?? "");
  const pass = decodeURIComponent(first?.password ?? "");
  const login = pass === "" ? { token: user } : { user, pass };
  return {
    servers: urls.map(({ host }) => host),
    ...(user !== "" && login),
    // Absent, a server that offers no TLS would be used in plain text.
    ...((tls !== undefined || urls.some(each => each.protocol === "tls:")) && {
      tls: tlsOptions(tls ?? {}, urls),
    }),
    ...(credentials !== undefined && { authenticator: credsAuthenticator(credentials) }),
  };
}

function tlsOptions({ ca, cert, key, serverName }: TlsOptions, urls: readonly URL[]) {
  const addresses = urls.map(hostOf).filter(host => isIP(host) !== 0);
  return {
    ...(ca !== undefined && { ca: ca.toString() }),
    ...(cert !== undefined && { cert: cert.toString() }),
    ...(key !== undefined && { key: key.toString() }),
    ...(serverName !== undefined && { servername: serverName }),
    // The client of NATS sends no name where it connects to an address: its certificate must have one of them.
    ...(serverName === undefined && {
      checkServerIdentity: (name: string, certificate: PeerCertificate) =>
        urls.some(url => hostOf(url) === name) || addresses.length === 0
          ? checkServerIdentity(name, certificate)
          : notOneOf(addresses, certificate),
    }),
  };
}

function hostOf({ hostname }: URL): string {
  return hostname.replace(/^\[|\]$/g, "");
}

/** Undefined where the certificate is for one of the addresses. */
function notOneOf(addresses: readonly string[], certificate: PeerCertificate): Error | undefined {
  const problems = addresses.map(address => checkServerIdentity(address, certificate));
  return problems.includes(undefined) ? undefined : problems[0];
}

/** "No responders" is a response of the server. */
function noResponders(error: unknown): void {
  if (!(error instanceof Error) || !/no responders/i.test(error.message)) throw error;
}

/** The server does not respond to JetStream requests at all, or the account has no JetStream. */
function isMissing(error: unknown): boolean {
  return error instanceof Error && /not enabled|no responders/i.test(`${error.name} ${error.message}`);
}

async function ensureStream(streams: JetStreamManager, needs: StreamNeeds): Promise<void> {
  const config: Partial<StreamConfig> & { name: string } = {
    name: needs.name,
    subjects: [...needs.subjects],
    retention: RetentionPolicy.Limits,
    storage: needs.storage === "file" ? StorageType.File : StorageType.Memory,
    discard: DiscardPolicy.Old,
    max_msgs_per_subject: needs.messagesOfSubject,
    max_age: needs.maxAge * nanos,
    max_bytes: needs.maxBytes,
    duplicate_window: needs.duplicates * nanos,
    ...(needs.republish === undefined ? {} : { republish: needs.republish }),
  };
  try {
    await streams.streams.info(needs.name);
  } catch (error) {
    if (!/not found/.test(String(error))) throw error;
    await streams.streams.add(config);
    return;
  }
  const { storage: _, retention: __, ...changeable } = config;
  await streams.streams.update(needs.name, changeable);
}
