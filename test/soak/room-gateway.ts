import { existsSync } from "node:fs";
import {
  missing,
  startNats,
  startRedis,
  startWire,
  type TestServer,
  type Wire,
} from "../realtime/brokers/servers.js";
import { get, type Served, serve } from "../workers/served.js";

/** Where libfaketime is on Debian. */
const faketime = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1";

/** Why no gateway has another clock; false where it can have one. */
export function noSkew(): string | false {
  return existsSync(faketime) ? false : "libfaketime is not installed";
}

/** What a gateway of the soak of rooms has behind it. */
export interface RoomSetup {
  readonly name: string;
  readonly skip: string | false;
  readonly gateways: number;
  readonly workers: number;
  /** Absent: rooms are in the gateway, and end with it. */
  readonly store?: {
    readonly type: "redis" | "nats";
    /** A server that is killed goes back to its last snapshot. */
    readonly snapshots: boolean;
    start(): Promise<TestServer>;
  };
}

const redisMissing = missing("redis-server");
const cluster = { gateways: 3, workers: 1 };

export const roomSetups = {
  redis: {
    ...cluster,
    name: "Redis",
    skip: redisMissing,
    store: { type: "redis", snapshots: false, start: () => startRedis() },
  },
  nats: {
    ...cluster,
    name: "NATS",
    skip: missing("nats-server"),
    store: { type: "nats", snapshots: false, start: () => startNats() },
  },
  snapshots: {
    ...cluster,
    name: "Redis with snapshots alone",
    skip: redisMissing,
    store: { type: "redis", snapshots: true, start: () => startRedis(false) },
  },
  memory: { name: "two workers", skip: false, gateways: 1, workers: 2 },
} as const satisfies Readonly<Record<string, RoomSetup>>;

/** One gateway, in a process of its own that can be killed, stopped and replaced. Its ports are others each time. */
export class Gateway {
  readonly #setup: RoomSetup;
  /** Between it and the store. */
  readonly #wire: Wire | undefined;
  readonly #skew: (() => number) | undefined;
  #served: Served | undefined;
  #ports: { readonly http: number; readonly admin: number } = { http: 0, admin: 0 };
  running = false;

  private constructor(setup: RoomSetup, wire: Wire | undefined, skew: (() => number) | undefined) {
    this.#setup = setup;
    this.#wire = wire;
    this.#skew = skew;
  }

  /**
   * @param storePort undefined where rooms are in the gateway
   * @param skew seconds that its clock is ahead, for each start; undefined: it has the right time
   */
  static async start(
    setup: RoomSetup,
    storePort: number | undefined,
    skew: (() => number) | undefined,
  ): Promise<Gateway> {
    const wire = storePort === undefined ? undefined : await startWire(storePort);
    const gateway = new Gateway(setup, wire, skew);
    await gateway.start();
    return gateway;
  }

  get port(): number {
    return this.#ports.http;
  }

  /** Resolves once it takes connections. */
  async start(): Promise<void> {
    const { store, workers } = this.#setup;
    const broker =
      store === undefined
        ? ""
        : `broker: { type: ${store.type}, url: "${store.type}://127.0.0.1:${this.#wire?.port}" }`;
    const yaml = `
listeners: { http: { address: 127.0.0.1:0 }, admin: { address: 127.0.0.1:0 } }
upstreams: { echo: { targets: ["127.0.0.1:1"] } }
services: [{ service: test.v1.Echo, upstream: echo }]
realtime:
  path: /ws
  transports: [websocket, sse, poll]
  auth: none
  origins: ["*"]
  rooms: [{ match: "short-*", history: { messages: 5 } }, { match: "*" }]
  history: { messages: 10000 }
  limits: { burst: 1000000, messages_per_second: 1000000 }
  ${broker}
server: { workers: ${workers}, drain: 1s }`;
    const skew = this.#skew?.();
    const within =
      skew === undefined
        ? []
        : [
            "env",
            `LD_PRELOAD=${faketime}`,
            `FAKETIME=${skew < 0 ? skew : `+${skew}`}`,
            "FAKETIME_DONT_FAKE_MONOTONIC=1",
          ];
    const served = serve(yaml, undefined, { within });
    this.#served = served;
    const { http, admin } = await served.logged(({ msg }) => msg === "ready");
    this.#ports = { http: Number(http), admin: Number(admin) };
    this.running = true;
  }

  /** 503 while the store is not reached. */
  async ready(): Promise<boolean> {
    const response = await get(`http://127.0.0.1:${this.#ports.admin}/readyz`).catch(() => undefined);
    return response?.status === 200;
  }

  /** The process ids of its workers. */
  async workers(): Promise<readonly number[]> {
    const { text } = await get(`http://127.0.0.1:${this.#ports.admin}/config`);
    const { workers = [] } = JSON.parse(text) as { workers?: readonly { readonly pid: number }[] };
    return workers.map(({ pid }) => pid);
  }

  async kill(): Promise<void> {
    this.running = false;
    await this.#served?.close();
  }

  /** @returns its exit code */
  async terminate(): Promise<number | null> {
    this.running = false;
    this.#served?.signal("SIGTERM");
    const code = (await this.#served?.ended) ?? null;
    await this.#served?.close();
    return code;
  }

  signal(name: NodeJS.Signals): void {
    this.#served?.signal(name);
  }

  async cutFromStore(): Promise<void> {
    await this.#wire?.cut();
  }

  async restoreStore(): Promise<void> {
    await this.#wire?.mend();
  }

  async close(): Promise<void> {
    await this.kill();
    await this.#wire?.close();
  }
}
