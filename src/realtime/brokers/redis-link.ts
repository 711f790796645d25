import { Redis } from "ioredis";
import type { Logger } from "../../telemetry/logger.js";
import {
  canMove,
  isMoved,
  type RedisConnectionOptions,
  type RedisServers,
  redisOptions,
} from "../../upstream/redis/servers.js";
import { brokerUnavailable } from "./broker.js";
import { LinkState } from "./link-state.js";
import type { Script } from "./redis-scripts.js";

/** Events of a link, for its broker. */
export interface LinkListener {
  /** Both connections work, and are not in use yet. */
  connecting(redis: Redis): Promise<void>;
  /** Both connections work, for the first time or again. Nothing is subscribed. */
  connected(): Promise<void>;
  message(channel: string, text: string): void;
}

/** Commands that may wait for their replies. */
const maxPending = 10_000;
const maxPauseMs = 2000;
/** Milliseconds until it connects again to a server that takes connections and no commands. */
const retryPauseMs = 500;

/**
 * Two connections to the Redis server of the rooms, for commands and for subscriptions. Nothing waits while the server is away:
 * commands fail at once, and connections are tried again for ever.
 */
export class RedisLink {
  readonly #commands: Redis;
  readonly #subscriptions: Redis;
  readonly #state: LinkState;
  readonly #timeoutMs: number;
  readonly #canMove: boolean;
  #listener: LinkListener | undefined;
  #timer: NodeJS.Timeout | undefined;
  #opening: Promise<void> | undefined;
  #pending = 0;

  /**
   * @param prefix of all keys
   * @param scripts those that are run
   * @param timeoutMs milliseconds until a silent server is given up
   */
  constructor(
    servers: RedisServers,
    prefix: string,
    readonly scripts: readonly Script[],
    logger: Logger | undefined,
    timeoutMs: number,
  ) {
    this.#timeoutMs = timeoutMs;
    this.#canMove = canMove(servers);
    const options: RedisConnectionOptions = {
      ...redisOptions(servers, prefix, timeoutMs),
      lazyConnect: true,
      enableOfflineQueue: false,
      autoResubscribe: false,
      autoResendUnfulfilledCommands: false,
      maxRetriesPerRequest: 0,
      commandTimeout: timeoutMs,
      connectTimeout: timeoutMs,
      connectionName: "protogate",
      retryStrategy: (attempt: number) =>
        Math.min(50 * 2 ** Math.min(attempt, 10), maxPauseMs) * (0.5 + Math.random() / 2),
    };
    this.#state = new LinkState(logger);
    this.#commands = new Redis(options);
    this.#subscriptions = new Redis(options);
    for (const redis of this.#both) {
      redis.on("error", error => this.#state.failed(error));
      redis.on("ready", () => {
        this.#opening = this.#connected();
      });
      redis.on("close", () => {
        if (this.#state.ready) this.#state.failed(new Error("the connection is lost"));
        this.#state.lost();
        if (this.#canMove) this.#reconnect();
      });
    }
    this.#subscriptions.on("message", (channel, text) => this.#listener?.message(channel, text));
  }

  get ready(): boolean {
    return this.#state.ready;
  }

  /** Resolves after the first attempt, with any outcome. */
  async start(listener: LinkListener): Promise<void> {
    this.#listener = listener;
    await Promise.all(this.#both.map(redis => redis.connect().catch(error => this.#state.failed(error))));
    await this.#opening;
    this.#timer = setInterval(() => this.#check(), this.#timeoutMs);
    this.#timer.unref();
  }

  /** Logs that the server has lost what it had confirmed. */
  wentBack(): void {
    this.#state.wentBack();
  }

  async close(): Promise<void> {
    this.#state.close();
    clearInterval(this.#timer);
    this.#commands.disconnect();
    this.#subscriptions.disconnect();
  }

  /** Runs a script; replies are lists of texts and numbers. @throws GatewayError BROKER_UNAVAILABLE */
  run(
    script: Script,
    keys: readonly string[],
    args: readonly (string | number)[],
  ): Promise<readonly (string | number)[]> {
    return this.execute(async redis => {
      const rest = [...keys, ...args];
      try {
        return (await redis.evalsha(script.sha, keys.length, ...rest)) as (string | number)[];
      } catch (error) {
        if (!(error instanceof Error) || !error.message.startsWith("NOSCRIPT")) throw error;
        return (await redis.eval(script.lua, keys.length, ...rest)) as (string | number)[];
      }
    });
  }

  /** Runs a script many times in order, without waiting between. @throws GatewayError BROKER_UNAVAILABLE (rejects) */
  async runAll(
    script: Script,
    calls: readonly { readonly keys: readonly string[]; readonly args: readonly (string | number)[] }[],
  ): Promise<void> {
    await this.execute(async redis => {
      const pipeline = redis.pipeline();
      for (const { keys, args } of calls) pipeline.evalsha(script.sha, keys.length, ...keys, ...args);
      for (const [error] of (await pipeline.exec()) ?? []) if (error !== null) throw error;
    });
  }

  /** @throws GatewayError BROKER_UNAVAILABLE (rejects) */
  async execute<T>(command: (redis: Redis) => Promise<T>): Promise<T> {
    if (!this.#state.ready || this.#pending >= maxPending) throw brokerUnavailable();
    this.#pending++;
    try {
      return await command(this.#commands);
    } catch (error) {
      if (isMoved(error)) this.#moved(error);
      else this.#state.failed(error);
      throw brokerUnavailable();
    } finally {
      this.#pending--;
    }
  }

  /** Resolves when the server has subscribed all of them. @throws GatewayError BROKER_UNAVAILABLE (rejects) */
  async subscribe(channels: readonly string[]): Promise<void> {
    try {
      await this.#subscriptions.subscribe(...channels);
    } catch (error) {
      this.#state.failed(error);
      throw brokerUnavailable();
    }
  }

  unsubscribe(channel: string): void {
    this.#subscriptions.unsubscribe(channel).catch(() => undefined);
  }

  async #connected(): Promise<void> {
    if (this.#state.closed || this.#commands.status !== "ready" || this.#subscriptions.status !== "ready")
      return;
    try {
      if (this.#canMove && (await runOf(this.#subscriptions)) !== (await runOf(this.#commands))) {
        this.#reconnect();
        return;
      }
      for (const { lua } of this.scripts) await this.#commands.script("LOAD", lua);
      await this.#listener?.connecting(this.#commands);
    } catch (error) {
      this.#state.failed(error);
      // It may be a server that still starts, as a node of a cluster does.
      setTimeout(() => {
        if (!this.#state.ready) this.#reconnect();
      }, retryPauseMs).unref();
      return;
    }
    this.#state.reached();
    await this.#listener?.connected();
  }

  /** A server that hangs keeps its connections open: without a response in time the link reconnects. */
  #check(): void {
    for (const redis of this.#both) {
      if (redis.status === "ready") redis.ping().catch(() => redis.disconnect(true));
    }
    if (!this.#canMove || this.#commands.status !== "ready") return;
    this.#commands.role().then(
      ([role]) => {
        if (role !== "master") this.#moved(new Error("the server is no longer the master"));
      },
      error => this.#state.failed(error),
    );
  }

  get #both(): readonly Redis[] {
    return [this.#commands, this.#subscriptions];
  }

  /** The rooms are on another server now, which the next connections find. */
  #moved(error: unknown): void {
    this.#state.failed(error);
    this.#state.lost();
    this.#reconnect();
  }

  /** Both connections are to go to the same server. */
  #reconnect(): void {
    for (const redis of this.#both) if (redis.status === "ready") redis.disconnect(true);
  }
}

/** The id of the run of a server. */
async function runOf(redis: Redis): Promise<string> {
  return infoField(await redis.info("server"), "run_id");
}

export function infoField(info: string, name: string): string {
  return new RegExp(`^${name}:(.*)\\r?$`, "m").exec(info)?.[1]?.trim() ?? "";
}
