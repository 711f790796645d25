import { hash } from "node:crypto";
import { mapping, text } from "../../config/schema.js";
import { Type } from "../../config/type-builder.js";
import { within } from "../../net/within.js";
import type { Logger } from "../../telemetry/logger.js";
import { readClientTls } from "../../upstream/client-tls.js";
import { checkRedisServers, type RedisServersConfig, redisServersKeys } from "../../upstream/redis/config.js";
import {
  canMove,
  isMoved,
  loadIoredis,
  type RedisServers,
  redisOptions,
} from "../../upstream/redis/servers.js";
import { type Decision, type Rate, ticksPerMillisecond } from "../rate.js";
import type { StoreBackend, StoreContext, StoreType } from "./store.js";

/** Milliseconds that a decision may take. */
const defaultTimeoutMs = 100;
/** Milliseconds in which a server is not used after it has not responded. */
const pause = 1000;
/** Milliseconds without any response after which the connection is closed, with all pending commands. */
const reconnectAfterMs = 5000;
/** Most milliseconds between two attempts to connect. */
const maxPauseMs = 2000;
/** Milliseconds of one step to a connection. */
const connectTimeoutMs = 2000;
/** Into how many parts, each on one of the masters, the buckets of a cluster are divided: a master that fails takes its own along. */
const clusterParts = 16;

/**
 * The algorithm of `rate.ts` with the clock of the Redis server. Times count from 2025, so that the ticks of a century
 * are whole numbers in Lua.
 * KEYS: the bucket. ARGV: interval, burst. Returns whether the request is admitted, and the debt in ticks.
 */
const script = `
local time = redis.call('TIME')
local now = ((time[1] - 1735689600) * 1000000 + time[2]) * 16
local interval = tonumber(ARGV[1])
local most = interval * tonumber(ARGV[2])
local debt = (tonumber(redis.call('GET', KEYS[1])) or now) - now
if debt < 0 then debt = 0 end
if debt > most then debt = most end
if debt + interval > most then return {0, debt} end
debt = debt + interval
redis.call('SET', KEYS[1], string.format('%.0f', now + debt), 'PX', math.ceil(debt / ${ticksPerMillisecond}))
return {1, debt}
`;

type Take = (key: string, interval: number, burst: number) => Promise<[admitted: number, debt: number]>;

const ServersSchema = mapping(
  redisServersKeys,
  "Redis with TLS files, behind sentinels, or a Redis Cluster.",
);
const schema = Type.Union(
  [
    text("nonempty", { description: "`redis://user:password@host:6379/0`, or `rediss://` for TLS." }),
    ServersSchema,
  ],
  { description: "Where Redis is: its URL, or a mapping with the keys of `realtime.broker`." },
);

/** The value of `redis` in a limit. */
type RedisConfig = string | RedisServersConfig;

/** The files were checked when loading. */
function serversOf(config: RedisConfig): RedisServers {
  return typeof config === "string" ? { url: config } : { ...config, tls: readClientTls(config.tls) };
}

/** Reports that the first of several connections fails, and that all work again. */
class Availability {
  readonly #log: StoreContext["log"];
  readonly #hosts: string;
  readonly #failed = new Set<object>();

  /** @param url never logged */
  constructor(log: Pick<Logger, "warn" | "info">, url: string) {
    this.#log = log;
    this.#hosts = url
      .split(",")
      .map(each => new URL(each.trim()).host)
      .join(",");
  }

  failed(connection: object, error: string, what: string): void {
    if (this.#failed.size === 0)
      this.#log.warn({ redis: this.#hosts, error }, `the store of rate limits ${what}`);
    this.#failed.add(connection);
  }

  works(connection: object): void {
    if (this.#failed.delete(connection) && this.#failed.size === 0)
      this.#log.info({ redis: this.#hosts }, "the store of rate limits is available again");
  }
}

interface Connection {
  /** Rejects where the server does not respond in time. */
  take(key: string, rate: Rate): Promise<Decision>;
  close(): void;
}

/**
 * Connects in the background and again after a loss, each time waiting longer.
 * @param prefix of the keys, which are on one server
 */
function connect(
  servers: RedisServers,
  prefix: string,
  timeoutMs: number,
  availability: Availability,
): Connection {
  const redis = new (loadIoredis().Redis)({
    ...redisOptions(servers, prefix, connectTimeoutMs),
    // A decision is made now or without Redis: nothing waits for a connection and nothing is sent twice.
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
    connectTimeout: connectTimeoutMs,
    disableClientInfo: true,
    retryStrategy: (times: number) =>
      Math.min(50 * 2 ** Math.min(times, 10), maxPauseMs) * (0.5 + Math.random() / 2),
    scripts: { takeFromBucket: { lua: script, numberOfKeys: 1 } },
  });
  const bucket: Take = (redis as unknown as { takeFromBucket: Take }).takeFromBucket.bind(redis);
  let silentUntil = 0;
  let openSince: number | undefined;
  redis.on("error", (error: Error) => availability.failed(redis, error.message, "is not available"));
  const works = (): void => {
    openSince = undefined;
    availability.works(redis);
  };
  redis.on("ready", () => {
    silentUntil = 0;
    works();
  });
  return {
    take: async (key, rate) => {
      if (redis.status !== "ready" || performance.now() < silentUntil) throw new Error("not available");
      try {
        const [admitted, debt] = await within(bucket(key, rate.interval, rate.burst), timeoutMs);
        works();
        return { admitted: admitted === 1, debt };
      } catch (error) {
        const time = performance.now();
        silentUntil = time + pause;
        openSince ??= time;
        availability.failed(redis, String(error), "does not respond");
        if (time - openSince > reconnectAfterMs || (canMove(servers) && isMoved(error))) {
          openSince = undefined;
          redis.disconnect(true);
        }
        throw error;
      }
    },
    close: () => redis.disconnect(),
  };
}

/** One connection, of a cluster one for each part of the buckets. */
function open(
  config: RedisConfig | undefined,
  { log, timeoutMs = defaultTimeoutMs }: Pick<StoreContext, "log" | "timeoutMs">,
): StoreBackend {
  if (config === undefined) throw new Error("loading has checked that there is a server");
  const servers = serversOf(config);
  const prefixes = servers.cluster
    ? Array.from({ length: clusterParts }, (_, part) => `{protogate:limit:${part}}`)
    : ["protogate:limit"];
  const availability = new Availability(log, servers.url);
  const parts = prefixes.map(prefix => ({
    prefix,
    connection: connect(servers, prefix, timeoutMs, availability),
  }));
  let users = 0;
  return {
    store: (limit, rate) => ({
      take: key => {
        const bucket = `${limit}:${key}`;
        const { prefix, connection } = parts[
          parts.length === 1 ? 0 : partOf(bucket)
        ] as (typeof parts)[number];
        return connection.take(`${prefix}:${bucket}`, rate);
      },
    }),
    retain: () => {
      users++;
    },
    release: () => {
      if (--users === 0) for (const { connection } of parts) connection.close();
    },
  };
}

/** FNV-1a: all gateways divide the buckets in the same way. */
function partOf(bucket: string): number {
  let hashed = 0x811c9dc5;
  for (let index = 0; index < bucket.length; index++)
    hashed = Math.imul(hashed ^ bucket.charCodeAt(index), 0x01000193);
  return (hashed >>> 0) % clusterParts;
}

/** Counts that all gateways with the same Redis share. */
export const redis = {
  server: {
    schema,
    check: (at, config, findings) =>
      typeof config === "string"
        ? checkRedisServers(at, { url: config }, findings, at)
        : checkRedisServers(at, config, findings),
    identity: config => hash("sha256", JSON.stringify(serversOf(config))),
  },
  open,
} satisfies StoreType<RedisConfig>;
