import { createRequire } from "node:module";
import { type Rate, ticksPerMillisecond } from "../rate.js";
import type { StoreBackend, StoreContext, StoreType } from "./store.js";

/** Milliseconds that a decision may take. */
const defaultTimeoutMs = 100;
/** Milliseconds in which Redis is not used after it has not responded. */
const pause = 1000;
/** Milliseconds without any response after which the connection is closed, with all pending commands. */
const hopeless = 5000;

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

/**
 * Connects in the background and again after a loss, each time waiting longer, up to 5 s.
 * @param url `redis://` or `rediss://`; never logged
 */
function connectRedis(
  url: string,
  { log, timeoutMs = defaultTimeoutMs }: Pick<StoreContext, "log" | "timeoutMs">,
): StoreBackend {
  const { host } = new URL(url);
  // Loaded where it is used, not by every gateway.
  const { Redis } = createRequire(import.meta.url)("ioredis") as typeof import("ioredis");
  const redis = new Redis(url, {
    // A decision is made now or without Redis: nothing waits for a connection and nothing is sent twice.
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
    connectTimeout: 2000,
    disableClientInfo: true,
    retryStrategy: times => Math.min(50 * 2 ** Math.min(times, 7), 5000) + Math.random() * 100,
    scripts: { takeFromBucket: { lua: script, numberOfKeys: 1 } },
  });
  const take: Take = (redis as unknown as { takeFromBucket: Take }).takeFromBucket.bind(redis);
  let users = 0;
  let down = false;
  let silentUntil = 0;
  let openSince: number | undefined;
  redis.on("error", (error: Error) => {
    if (!down) log.warn({ redis: host, error: error.message }, "the store of rate limits is not available");
    down = true;
  });
  const recovered = (): void => {
    openSince = undefined;
    if (!down) return;
    log.info({ redis: host }, "the store of rate limits is available again");
    down = false;
  };
  redis.on("ready", () => {
    silentUntil = 0;
    recovered();
  });
  const ask = async (key: string, rate: Rate) => {
    if (redis.status !== "ready" || performance.now() < silentUntil) throw new Error("not available");
    try {
      const [admitted, debt] = await answered(take(key, rate.interval, rate.burst), timeoutMs);
      recovered();
      return { admitted: admitted === 1, debt };
    } catch (error) {
      const time = performance.now();
      silentUntil = time + pause;
      openSince ??= time;
      if (!down) log.warn({ redis: host, error: String(error) }, "the store of rate limits does not answer");
      down = true;
      if (time - openSince > hopeless) {
        openSince = undefined;
        redis.disconnect(true);
      }
      throw error;
    }
  };
  return {
    store: (limit, rate) => ({ take: key => ask(`protogate:limit:${limit}:${key}`, rate) }),
    retain: () => {
      users++;
    },
    release: () => {
      if (--users === 0) redis.disconnect();
    },
  };
}

/** Rejects where no response came in time. Bytes that arrived while this process itself was busy are read first. */
function answered<T>(question: Promise<T>, timeoutMs: number): Promise<T> {
  return new Promise((resolve, reject) => {
    const late = (): void => reject(new Error(`no answer within ${timeoutMs} ms`));
    const timer = setTimeout(() => setImmediate(late), timeoutMs);
    const settle = (end: () => void): void => {
      clearTimeout(timer);
      end();
    };
    question.then(
      value => settle(() => resolve(value)),
      (error: Error) => settle(() => reject(error)),
    );
  });
}

function isRedisUrl(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const { protocol, hostname, pathname } = new URL(text);
  return /^rediss?:$/.test(protocol) && hostname !== "" && /^(\/\d{0,4})?$/.test(pathname);
}

/** Counts that all gateways with the same Redis share. */
export const redis = {
  server: {
    description: "Where Redis is, `redis://user:password@host:6379/0` or `rediss://` for TLS.",
    urlProblem: url =>
      isRedisUrl(url) ? undefined : "expected a URL such as redis://host:6379/0 or rediss://host:6379",
  },
  open: connectRedis,
} satisfies StoreType;
