import { createRequire } from "node:module";
import { createConnection, isIP, Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import type { Redis, RedisOptions } from "ioredis";
import { errorMessage } from "../../net/error-text.js";
import type { TlsOptions } from "../options.js";

/** Redis servers: one, or those by which the one is found that has a key at the moment. */
export interface RedisServers {
  /**
   * `redis://` or `rediss://`, of sentinels or nodes of a cluster several with commas between. User, password and
   * database of the first are those of the server that has the keys.
   */
  readonly url: string;
  /** Absent: the server is verified by the authorities of the system where the scheme is `rediss`. */
  readonly tls?: TlsOptions | undefined;
  /** `url` names sentinels. */
  readonly sentinel?: SentinelOptions | undefined;
  /** `url` names nodes of a Redis Cluster. */
  readonly cluster?: boolean | undefined;
}

export interface SentinelOptions {
  /** The name of the master at the sentinels. */
  readonly master: string;
  readonly username?: string | undefined;
  readonly password?: string | undefined;
}

/** As the constructor of `Redis` takes them. */
export type RedisConnectionOptions = Omit<RedisOptions, "replyMapping">;

type Login = Pick<SentinelOptions, "username" | "password">;

interface Address {
  readonly host: string;
  readonly port: number;
}

/** The client, loaded where it is used, not by every gateway. */
export function loadIoredis(): typeof import("ioredis") {
  return createRequire(import.meta.url)("ioredis") as typeof import("ioredis");
}

/** Redis has moved to another server, or this one has stopped being the master. */
export function isMoved(error: unknown): boolean {
  return error instanceof Error && /\b(MOVED|READONLY|MASTERDOWN|CLUSTERDOWN)\b/.test(error.message);
}

/** Whether the server of a key may become another one while the process runs. */
export function canMove({ sentinel, cluster }: RedisServers): boolean {
  return sentinel !== undefined || cluster === true;
}

/**
 * The options of a connection to the server of some keys; where it can move, each attempt looks it up anew.
 * @param prefix of these keys, which are on one server of a cluster: `{name}`
 * @param timeoutMs milliseconds for each step of looking
 */
export function redisOptions(
  servers: RedisServers,
  prefix: string,
  timeoutMs: number,
): RedisConnectionOptions {
  const { sentinel } = servers;
  const urls = servers.url.split(",").map(each => new URL(each.trim()));
  const [first] = urls as [URL];
  const seeds = urls.map(url => addressOf(url, sentinel === undefined ? 6379 : 26_379));
  const encrypted = servers.tls !== undefined || first.protocol === "rediss:";
  const tlsTo = (host: string) => (encrypted ? tlsOf(servers, host) : undefined);
  const login = {
    username: decodeURIComponent(first.username),
    password: decodeURIComponent(first.password),
  };
  const db = Number(first.pathname.slice(1));
  const tls = tlsTo(first.hostname);
  const common = { ...given(login), ...(db > 0 && { db }), ...(tls !== undefined && { tls }) };
  if (!canMove(servers)) return { ...common, ...(seeds[0] as Address) };
  const query = async <T>(
    seed: Address,
    configured: RedisConnectionOptions,
    operation: (redis: Redis) => Promise<T>,
  ) => {
    const seedTls = tlsTo(seed.host);
    const options: RedisConnectionOptions = {
      ...seed,
      ...configured,
      ...(seedTls !== undefined && { tls: seedTls }),
      lazyConnect: true,
      connectTimeout: timeoutMs,
      commandTimeout: timeoutMs,
      maxRetriesPerRequest: 0,
      retryStrategy: () => null,
      disableClientInfo: true,
      enableReadyCheck: false,
    };
    const redis = new (loadIoredis().Redis)(options);
    let failure: Error | undefined;
    redis.on("error", error => {
      failure = error;
    });
    try {
      await redis.connect();
      return await operation(redis);
    } catch (error) {
      throw failure ?? error;
    } finally {
      redis.disconnect();
    }
  };
  const locate = (seed: Address): Promise<Address> =>
    sentinel === undefined
      ? query(seed, given(login), redis => masterOfKeys(redis, seed, prefix))
      : query(seed, given(sentinel), redis => masterOfSentinel(redis, sentinel.master));
  return { ...common, Connector: connectorTo(seeds, locate, tlsTo) };
}

function addressOf({ hostname, port }: URL, defaultPort: number): Address {
  return { host: hostname.replace(/^\[|\]$/g, ""), port: port === "" ? defaultPort : Number(port) };
}

function given({ username, password }: Login): RedisConnectionOptions {
  return { ...(username ? { username } : {}), ...(password ? { password } : {}) };
}

/** Options of `tls.connect` besides the address. A name is sent to the server and verified; without one its address is. */
function tlsOf({ tls }: RedisServers, host: string) {
  const { serverName, ...files } = tls ?? {};
  return { ...files, servername: serverName ?? (isIP(host) === 0 ? host : "") };
}

/** SENTINEL GET-MASTER-ADDR-BY-NAME. @throws Error where the sentinel does not know the master */
async function masterOfSentinel(redis: Redis, name: string): Promise<Address> {
  const found = (await redis.call("SENTINEL", "GET-MASTER-ADDR-BY-NAME", name)) as [string, string] | null;
  if (found === null) throw new Error(`the sentinel knows no master of the name ${JSON.stringify(name)}`);
  return { host: found[0], port: Number(found[1]) };
}

type SlotRange = readonly [
  from: number,
  to: number,
  master: readonly [host: string, port: number, id: string],
  ...replicas: unknown[],
];

/** CLUSTER SLOTS: the master of the slot that the keys are in. @throws Error where no server has it */
async function masterOfKeys(redis: Redis, seed: Address, prefix: string): Promise<Address> {
  const [slot, ranges, own] = await Promise.all([
    redis.cluster("KEYSLOT", prefix),
    redis.cluster("SLOTS") as Promise<unknown> as Promise<SlotRange[]>,
    redis.cluster("MYID"),
  ]);
  const range = ranges.find(([from, to]) => from <= slot && slot <= to);
  if (range === undefined) throw new Error(`no server of the cluster has the slot ${slot} of ${prefix}`);
  const [host, port, id] = range[2];
  // A node need not know by which address it is reached.
  if (id === own) return seed;
  return { host: host === "" || host === "?" ? seed.host : host, port };
}

/** Connects to the address given by the first seed that responds. */
function connectorTo(
  seeds: readonly Address[],
  locate: (seed: Address) => Promise<Address>,
  tlsTo: (host: string) => ReturnType<typeof tlsOf> | undefined,
) {
  // The seed that responded last is tried first.
  const order = [...seeds];
  return class extends loadIoredis().AbstractConnector {
    constructor() {
      super(2000);
    }

    async connect(): Promise<Socket> {
      this.connecting = true;
      let problem = new Error("no server is configured");
      for (const seed of [...order]) {
        try {
          const address = await locate(seed);
          if (!this.connecting) throw new Error("the connection is closed");
          order.splice(order.indexOf(seed), 1);
          order.unshift(seed);
          return this.#open(address);
        } catch (error) {
          if (!this.connecting) throw error;
          problem = new Error(`${seed.host}:${seed.port}: ${errorMessage(error)}`);
        }
      }
      // A destroyed socket lets ioredis try again as after any lost connection; a rejection ends it for ever.
      const failed = new Socket();
      failed.destroy();
      this.firstError = problem;
      this.stream = failed;
      return failed;
    }

    /** Has the announced master confirm its role. */
    override check(info: { readonly role?: string } | undefined): boolean {
      return info?.role === undefined || info.role === "master";
    }

    #open(address: Address): Socket {
      const tls = tlsTo(address.host);
      const stream =
        tls === undefined ? createConnection({ ...address }) : connectTls({ ...address, ...tls });
      stream.once("error", error => {
        this.firstError = error;
      });
      this.stream = stream;
      return stream;
    }
  };
}
