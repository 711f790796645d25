import { isDeepStrictEqual } from "node:util";
import { parseAddress } from "../config/address.js";
import { formatPath } from "../config/diagnostic.js";
import { stateChanged } from "../net/state-changes.js";
import {
  certificatesOf,
  type HttpListenerConfig,
  httpListenersOf,
  type NamedListener,
} from "../server/config.js";
import type { Engine } from "../server/engine.js";
import type { RenewableListeners } from "./certificates.js";
import { overlap } from "./config.js";
import { type HttpView, type OpenListener, startHttpListener } from "./http-listener.js";
import type { UsableConfig } from "./read-config.js";
import type { RealtimeService } from "./realtime.js";

type Configured = NamedListener<HttpListenerConfig>;

interface Running extends OpenListener {
  /** The configuration that it was opened with. */
  readonly opened: HttpListenerConfig;
  readonly engine: Engine;
}

/** A change of the listeners by a reload. */
interface ListenerChange {
  /** Those that stay open, by the names that they get. */
  readonly kept: RenewableListeners;
  /**
   * Closes those that the configuration does not have any more; requests under way finish.
   * @param drain milliseconds for these requests
   */
  use(drain: number): void;
  /** Closes those that were opened for it. */
  abandon(): Promise<void>;
}

/** The listeners of the REST API: opened at the start, and by reloads where others need not be closed for it. */
export class HttpListeners {
  readonly #view: HttpView;
  readonly #shared: boolean;
  #running: readonly Running[] = [];
  readonly #retired = new Set<Running>();
  /** Settings with other values in the last configuration, by path. */
  #fixed: readonly string[] = [];
  #ended: (() => void) | undefined;
  readonly #end: Promise<void>;

  /** @param shared other workers listen at the same addresses */
  constructor(view: HttpView, shared: boolean) {
    this.#view = view;
    this.#shared = shared;
    this.#end = new Promise(resolve => {
      this.#ended = resolve;
    });
  }

  get listening(): boolean {
    return this.#running.length > 0;
  }

  /** By name. */
  get engines(): Readonly<Record<string, Engine>> {
    return byName(this.#running.map(({ name, engine }) => [name, engine]));
  }

  /** The settings that take effect only after a restart, by path. */
  get needRestart(): readonly string[] {
    return this.#fixed;
  }

  /** @throws LoadError where one cannot listen: then none does */
  async start(loaded: UsableConfig, realtime: RealtimeService | undefined): Promise<void> {
    const change = await this.prepare(loaded, realtime);
    change.use(0);
  }

  /**
   * Opens listeners of a configuration that are not open. One serves nothing before a generation has it.
   * @throws LoadError where one cannot listen: then nothing has changed
   */
  async prepare(loaded: UsableConfig, realtime: RealtimeService | undefined): Promise<ListenerChange> {
    const configured = httpListenersOf(loaded.config.listeners.http);
    const assigned = assign(configured, this.#running, each => this.#mustWait(each));
    const opened: Running[] = [];
    const fixed: string[] = [];
    const abandon = async (): Promise<void> => {
      await Promise.all(opened.map(each => closed(each.engine)));
    };
    const next: (readonly [Configured, Running])[] = [];
    for (const each of configured) {
      const found = assigned.get(each);
      if (found === undefined && this.#mustWait(each)) {
        fixed.push(formatPath(each.at));
        continue;
      }
      if (found !== undefined)
        fixed.push(...differences(found.opened, each.listener).map(key => formatPath([...each.at, key])));
      try {
        const running = found ?? (await this.#open(loaded, each, realtime));
        if (found === undefined) opened.push(running);
        next.push([each, running]);
      } catch (error) {
        await abandon();
        throw error;
      }
    }
    const kept = next.filter(([, running]) => !opened.includes(running));
    return {
      kept: byName(kept.map(([{ name }, { engine }]) => [name, engine])),
      abandon,
      use: drain => {
        const before = this.#running;
        for (const [{ name }, running] of next) running.name = name;
        this.#running = next.map(([, running]) => running);
        this.#fixed = fixed;
        stateChanged();
        for (const each of before) if (!this.#running.includes(each)) this.#retire(each, drain);
      },
    };
  }

  /** Workers of uWebSockets.js cannot open an address at the same time without one of them taking it for its own. */
  #mustWait({ listener }: Configured): boolean {
    return this.#shared && this.listening && listener.engine === "uws";
  }

  async #open(
    loaded: UsableConfig,
    configured: Configured,
    realtime: RealtimeService | undefined,
  ): Promise<Running> {
    const state: OpenListener = { name: configured.name, retired: false };
    const engine = await startHttpListener(loaded, configured, { ...this.#view, state, sockets: realtime });
    return Object.assign(state, { opened: configured.listener, engine });
  }

  /** Sockets that came by it stay: they end with the gateway. */
  #retire(running: Running, drain: number): void {
    running.retired = true;
    this.#retired.add(running);
    const { engine, opened } = running;
    const sockets = this.#view.realtime() !== undefined;
    // The sockets of uWebSockets.js would end with its requests, of which idle connections end by themselves.
    const timer = sockets && opened.engine === "uws" ? undefined : setTimeout(() => engine.destroy(), drain);
    timer?.unref();
    void engine.close(sockets ? this.#end : undefined).finally(() => {
      clearTimeout(timer);
      this.#retired.delete(running);
    });
  }

  /** Parameters: see `Engine.close`. */
  async close(sockets: Promise<void> | undefined, lingerMs: number): Promise<void> {
    void (sockets ?? Promise.resolve()).finally(() => this.#ended?.());
    const running = this.#running;
    await Promise.all(running.map(({ engine }) => engine.close(sockets, lingerMs)));
    // Those of before are idle, or were drained.
    for (const { engine } of this.#retired) engine.destroy();
  }

  /** Ends the connections that are left. */
  destroy(): void {
    for (const { engine } of [...this.#running, ...this.#retired]) engine.destroy();
  }
}

async function closed(engine: Engine): Promise<void> {
  const done = engine.close();
  engine.destroy();
  await done;
}

/**
 * Which open listener each configured one goes on with: one with its name and socket, one with its socket, one that has
 * its address, or one with its name where it must wait for a restart. The others are to be opened.
 */
function assign(
  configured: readonly Configured[],
  running: readonly Running[],
  mustWait: (listener: Configured) => boolean,
): Map<Configured, Running> {
  const assigned = new Map<Configured, Running>();
  const free = new Set(running);
  const fits: ((each: Configured, open: Running) => boolean)[] = [
    ({ name, listener }, open) => name === open.name && sameSocket(listener, open.opened),
    ({ listener }, open) => sameSocket(listener, open.opened),
    ({ name, listener }, open) => name === open.name && listener.address === open.opened.address,
    ({ listener }, open) => meet(listener.address, open.opened.address),
    (each, open) => mustWait(each) && each.name === open.name,
  ];
  for (const fit of fits)
    for (const each of configured) {
      if (assigned.has(each)) continue;
      const found = [...free].find(open => fit(each, open));
      if (found === undefined) continue;
      assigned.set(each, found);
      free.delete(found);
    }
  return assigned;
}

function meet(a: string, b: string): boolean {
  const [first, second] = [parseAddress(a), parseAddress(b)];
  return first !== undefined && second !== undefined && overlap(first, second);
}

/** Whether a reload can make one of the other. */
function sameSocket(a: HttpListenerConfig, b: HttpListenerConfig): boolean {
  return differences(a, b).length === 0;
}

/** The settings because of which it cannot. */
function differences(a: HttpListenerConfig, b: HttpListenerConfig): (keyof HttpListenerConfig)[] {
  const [one, other] = [fixedOf(a), fixedOf(b)];
  return fixedKeys.filter(key => !isDeepStrictEqual(one[key], other[key]));
}

const fixedKeys = ["address", "engine", "http2", "tls", "proxy_protocol"] as const;

/** The settings fixed while a listener is open: whether it has TLS and clients need certificates; not its own ones. */
function fixedOf({
  address,
  engine,
  http2,
  tls,
  proxy_protocol = false,
}: HttpListenerConfig): Readonly<Record<(typeof fixedKeys)[number], unknown>> {
  const [first] = certificatesOf(tls);
  const certificates = first && {
    requested: first.client_ca !== undefined,
    required: first.client_auth === "require",
  };
  return { address, engine, http2: http2 !== false, tls: certificates, proxy_protocol };
}

function byName<T>(entries: readonly (readonly [string, T])[]): Record<string, T> {
  return Object.assign(Object.create(null), Object.fromEntries(entries));
}

/** For the log: the port where there is one listener. */
export function shownPorts(
  ports: Readonly<Record<string, number>>,
): number | Readonly<Record<string, number>> {
  const [only, more] = Object.values(ports);
  return more === undefined ? (only ?? 0) : ports;
}
