import { createHash } from "node:crypto";
import { Redis, type RedisOptions } from "ioredis";
import type { Logger } from "../../telemetry/logger.js";
import { brokerUnavailable } from "./broker.js";

/** Events of a link, for its broker. */
export interface LinkListener {
  /** Both connections work, for the first time or again. Nothing is subscribed. */
  connected(): Promise<void>;
  message(channel: string, text: string): void;
}

/** Commands that may wait for their answer. */
const maxPending = 10_000;
const maxPauseMs = 2000;
/** Milliseconds between two log lines about failures. */
const logInterval = 5000;

/**
 * Two connections to one Redis server, for commands and for subscriptions. Nothing waits while the server is away:
 * commands fail at once, and connections are tried again for ever.
 */
export class RedisLink {
  readonly #commands: Redis;
  readonly #subscriptions: Redis;
  readonly #logger: Logger | undefined;
  readonly #timeoutMs: number;
  #listener: LinkListener | undefined;
  #timer: NodeJS.Timeout | undefined;
  #opening: Promise<void> | undefined;
  #pending = 0;
  #ready = false;
  #logged = Number.NEGATIVE_INFINITY;
  #closed = false;

  /**
   * @param url `redis://` or `rediss://`
   * @param timeoutMs milliseconds until a server that says nothing is given up
   */
  constructor(url: string, logger: Logger | undefined, timeoutMs: number) {
    this.#timeoutMs = timeoutMs;
    const options = {
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
    } satisfies RedisOptions;
    this.#logger = logger;
    this.#commands = new Redis(url, options);
    this.#subscriptions = new Redis(url, options);
    for (const redis of [this.#commands, this.#subscriptions]) {
      redis.on("error", error => this.failed(error));
      redis.on("ready", () => {
        this.#opening = this.#connected();
      });
      redis.on("close", () => {
        if (this.#ready) this.failed(new Error("the connection is lost"));
        this.#ready = false;
      });
    }
    this.#subscriptions.on("message", (channel, text) => this.#listener?.message(channel, text));
  }

  get ready(): boolean {
    return this.#ready;
  }

  /** Resolves after the first attempt, whatever came of it. */
  async start(listener: LinkListener): Promise<void> {
    this.#listener = listener;
    const both = [this.#commands, this.#subscriptions];
    await Promise.all(both.map(redis => redis.connect().catch(error => this.failed(error))));
    await this.#opening;
    this.#timer = setInterval(() => this.#check(), this.#timeoutMs);
    this.#timer.unref();
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#ready = false;
    clearInterval(this.#timer);
    this.#commands.disconnect();
    this.#subscriptions.disconnect();
  }

  /** Runs a script; what it answers is lists of texts and numbers. @throws GatewayError BROKER_UNAVAILABLE */
  run(
    script: Script,
    keys: readonly string[],
    args: readonly (string | number)[],
  ): Promise<readonly (string | number)[]> {
    return this.ask(async redis => {
      const rest = [...keys, ...args];
      try {
        return (await redis.evalsha(script.sha, keys.length, ...rest)) as (string | number)[];
      } catch (error) {
        if (!(error instanceof Error) || !error.message.startsWith("NOSCRIPT")) throw error;
        return (await redis.eval(script.lua, keys.length, ...rest)) as (string | number)[];
      }
    });
  }

  /** @throws GatewayError BROKER_UNAVAILABLE (rejects) */
  async ask<T>(command: (redis: Redis) => Promise<T>): Promise<T> {
    if (!this.#ready || this.#pending >= maxPending) throw brokerUnavailable();
    this.#pending++;
    try {
      return await command(this.#commands);
    } catch (error) {
      this.failed(error);
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
      this.failed(error);
      throw brokerUnavailable();
    }
  }

  unsubscribe(channel: string): void {
    this.#subscriptions.unsubscribe(channel).catch(() => undefined);
  }

  async #connected(): Promise<void> {
    if (this.#closed || this.#commands.status !== "ready" || this.#subscriptions.status !== "ready") return;
    try {
      for (const { lua } of [openRoom, publishMessage, readRoom]) await this.#commands.script("LOAD", lua);
    } catch (error) {
      this.failed(error);
      return;
    }
    this.#logger?.info("the realtime broker is reached");
    this.#ready = true;
    await this.#listener?.connected();
  }

  /** A server that hangs keeps its connections open: without a response in time the link reconnects. */
  #check(): void {
    for (const redis of [this.#commands, this.#subscriptions]) {
      if (redis.status === "ready") redis.ping().catch(() => redis.disconnect(true));
    }
  }

  failed(error: unknown): void {
    const now = performance.now();
    if (this.#closed || now - this.#logged < logInterval) return;
    this.#logged = now;
    this.#logger?.error({ err: error }, "the realtime broker fails; trying again");
  }
}

/**
 * What Redis does with a room in one step. A room has a hash with its epoch (`e`) and the number of its last message
 * (`s`), a stream with its messages under the ids `<number>-0`, and a sorted set of the keys of those messages. All
 * rooms together have a sorted set of the times of their last messages.
 */
interface Script {
  readonly lua: string;
  readonly sha: string;
}

/** How long a room's hash outlives its messages, milliseconds; nodes with members renew it in time. */
export const headGrace = 60_000;

/** A room that does not exist begins with the epoch that the caller proposes. */
const open = `
local place = redis.call('HMGET', KEYS[1], 'e', 's')
if not place[1] then
  place = {ARGV[1], '0'}
  redis.call('HSET', KEYS[1], 'e', ARGV[1], 's', '0')
  redis.call('DEL', KEYS[2], KEYS[3])
end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
`;

/**
 * KEYS head, log, keys. ARGV proposed epoch, head's time to live.
 * Gives epoch and number.
 */
export const openRoom = script(`${open}
return place
`);

/**
 * KEYS head, log, keys, rooms.
 * ARGV proposed epoch, head's time to live, frame, time, key or empty, most messages, messages' time to live, channel, room.
 * Gives epoch, number, and 1 for a key that was known.
 */
export const publishMessage = script(`${open}
local epoch = place[1]
if ARGV[5] ~= '' then
  local known = redis.call('ZSCORE', KEYS[3], ARGV[5])
  if known then return {epoch, known, 1} end
end
local number = string.format('%.0f', redis.call('HINCRBY', KEYS[1], 's', 1))
local text = string.sub(ARGV[3], 1, -2) .. ',"seq":' .. number .. ',"epoch":"' .. epoch .. '"}'
local most = tonumber(ARGV[6])
if most > 0 then
  redis.call('XADD', KEYS[2], 'MAXLEN', '=', most, number .. '-0', 'a', ARGV[4], 't', text)
  redis.call('PEXPIRE', KEYS[2], ARGV[7])
  redis.call('ZADD', KEYS[4], ARGV[4], ARGV[9])
  redis.call('ZREMRANGEBYSCORE', KEYS[4], '-inf', string.format('%.0f', tonumber(ARGV[4]) - tonumber(ARGV[7])))
  if ARGV[5] ~= '' then redis.call('ZADD', KEYS[3], number, ARGV[5]) end
  redis.call('ZREMRANGEBYSCORE', KEYS[3], '-inf', string.format('%.0f', tonumber(number) - most))
  redis.call('PEXPIRE', KEYS[3], ARGV[7])
end
redis.call('PUBLISH', ARGV[8], 'M' .. epoch .. ' ' .. number .. ' ' .. ARGV[4] .. '\\n' .. text)
return {epoch, number, 0}
`);

/**
 * KEYS head, log. ARGV epoch or empty for the latest, number, most messages.
 * Gives epoch and number of the room, then number, time and text of each message; nothing where there is no room.
 */
export const readRoom = script(`
local place = redis.call('HMGET', KEYS[1], 'e', 's')
if not place[1] then return {} end
local found = {place[1], place[2]}
if ARGV[1] ~= '' and ARGV[1] ~= place[1] then return found end
local from = math.max(tonumber(ARGV[2]), tonumber(place[2]) - tonumber(ARGV[3])) + 1
for _, entry in ipairs(redis.call('XRANGE', KEYS[2], string.format('%.0f', from), '+')) do
  found[#found + 1] = string.match(entry[1], '^%d+')
  found[#found + 1] = entry[2][2]
  found[#found + 1] = entry[2][4]
end
return found
`);

function script(lua: string): Script {
  return { lua, sha: createHash("sha1").update(lua).digest("hex") };
}
