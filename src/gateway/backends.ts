import { ListedCodes } from "../bindings/status-codes.js";
import { type Diagnostic, LoadError } from "../config/diagnostic.js";
import { errorMessage } from "../net/error-text.js";
import { Code } from "../status/code.js";
import { version } from "../telemetry/version.js";
import type { Channel, EndpointState } from "../upstream/channel.js";
import { readClientTls } from "../upstream/client-tls.js";
import type { UpstreamConfig } from "../upstream/config.js";
import { type ChannelOptions, createChannel, type UpstreamObserver } from "../upstream/create-channel.js";
import type { Forwarders } from "../upstream/http/forwarder.js";
import { rpcProtocol } from "../upstream/protocols.js";
import { watchDescriptors } from "../upstream/reflection/reflection.js";
import type { GatewayConfig } from "./config.js";
import { forwardersOf } from "./pass-through.js";
import type { UsableConfig } from "./read-config.js";
import { RefCount } from "./ref-count.js";
import type { Runtime } from "./runtime.js";

/** The serialized files that reflection has brought, by upstream name. */
export type ReflectedFiles = ReadonlyMap<string, readonly Uint8Array[]>;

/** The events of reflection while a configuration is loaded. */
export interface ReflectionEvents {
  /** After the first reflection of all upstreams: one has other descriptors now, which `reflected` has. */
  changed(upstream: string): void;
  /** It is tried again. */
  failed(upstream: string, error: Error): void;
}

/** Events of which failures are logged and changes given on. */
export function reflectionEvents(
  log: Runtime["log"],
  changed: ReflectionEvents["changed"],
): ReflectionEvents {
  return {
    changed,
    // No fault of the gateway: a stack trace would not help.
    failed: (upstream, error) =>
      log.warn({ error: error.message }, `reflection of upstream "${upstream}" failed; trying again`),
  };
}

export interface UpstreamHealth {
  readonly upstream: string;
  readonly ok: boolean;
  readonly message: string;
}

/**
 * The upstreams of one configuration while it is loaded: channels, forwarding, and reflected descriptors. All
 * generations of the configuration share them; reflection that changes makes another generation.
 */
export class Backends {
  readonly loaded: UsableConfig;
  readonly channels: ReadonlyMap<string, Channel>;
  /** The generations that are built on them. */
  readonly users = new RefCount();
  readonly #reflected = new Map<string, readonly Uint8Array[]>();
  readonly #missing: Set<string>;
  readonly #stops: (() => void)[] = [];
  readonly #closing = new AbortController();
  #forwarders: Forwarders | undefined;
  #closed: Promise<void> | undefined;

  /** @throws LoadError where certificates or keys cannot be used */
  constructor(loaded: UsableConfig, metrics: Runtime["metrics"]) {
    this.loaded = loaded;
    this.channels = createChannels(loaded, name => observer(name, loaded.config, metrics));
    this.#missing = new Set(reflectedUpstreams(loaded.config));
  }

  /**
   * Resolves when a generation can be built: waits for every upstream with reflection.
   * @throws Error where they are closed before
   */
  async open(events: ReflectionEvents): Promise<void> {
    if (this.#missing.size > 0) await this.#reflect(events);
    this.#forwarders = await forwardersOf(this.loaded.config);
  }

  get reflected(): ReflectedFiles {
    return this.#reflected;
  }

  /** Undefined where the configuration forwards nothing. */
  get forwarders(): Forwarders | undefined {
    return this.#forwarders;
  }

  /** Aborted by `close`. */
  get signal(): AbortSignal {
    return this.#closing.signal;
  }

  /** Stops watching, waits for the generations and for WebSockets, closes their resources. */
  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    this.#closing.abort();
    for (const stop of this.#stops) stop();
    await this.users.unused();
    await Promise.all([...this.channels.values()].map(channel => channel.close()));
    await this.#forwarders?.whenIdle();
    await this.#forwarders?.close();
  }

  /** Ends the WebSockets that `close` waits for. */
  async endSockets(): Promise<void> {
    await this.#forwarders?.close();
  }

  /** The reason why `open` waits, for /readyz; undefined where it does not. */
  waitingFor(): string | undefined {
    if (this.#missing.size === 0) return undefined;
    return `waiting for the reflection of ${[...this.#missing].join(", ")}`;
  }

  endpoints(): (readonly [upstream: string, endpoints: readonly EndpointState[]])[] {
    return [...this.channels].map(([upstream, channel]) => [upstream, channel.state()]);
  }

  /** One entry for each upstream with health checks. */
  health(): UpstreamHealth[] {
    return this.endpoints().flatMap(([upstream, endpoints]) => {
      if (this.loaded.config.upstreams[upstream]?.health === undefined) return [];
      const usable = endpoints.filter(({ state }) => state !== "unhealthy" && state !== "failing").length;
      return [{ upstream, ok: usable > 0, message: `${usable} of ${endpoints.length} endpoints usable` }];
    });
  }

  #reflect({ changed, failed }: ReflectionEvents): Promise<void> {
    return new Promise((resolve, reject) => {
      this.signal.addEventListener("abort", () => reject(superseded()), { once: true });
      for (const source of this.loaded.config.descriptors) {
        if (!("reflection" in source)) continue;
        const upstream = source.reflection;
        const stop = watchDescriptors(this.channels.get(upstream) as Channel, {
          ...(source.refresh !== undefined && { refresh: source.refresh }),
          onChange: ({ files }) => {
            this.#reflected.set(upstream, files);
            if (!this.#missing.delete(upstream)) changed(upstream);
            else if (this.#missing.size === 0) resolve();
          },
          onError: error => failed(upstream, error),
        });
        this.#stops.push(stop);
      }
    });
  }
}

/** Why a generation is not built, or not used. */
export function superseded(): Error {
  return new Error("superseded by a newer configuration or by shutdown");
}

/** Names of the upstreams with reflection. */
export function reflectedUpstreams(config: GatewayConfig): string[] {
  return config.descriptors.flatMap(source => ("reflection" in source ? [source.reflection] : []));
}

/**
 * One channel for each RPC upstream of the configuration, by name. Nothing connects before it is needed.
 * @param observe makes the observer of an upstream's calls, by its name
 * @throws LoadError naming each upstream whose certificates or keys cannot be used
 */
export function createChannels(
  { config, locate }: UsableConfig,
  observe: (upstream: string) => UpstreamObserver | undefined,
): Map<string, Channel> {
  const channels = new Map<string, Channel>();
  const problems: Diagnostic[] = [];
  for (const [name, upstream] of Object.entries(config.upstreams)) {
    const protocol = rpcProtocol(upstream.protocol);
    if (protocol === undefined) continue;
    try {
      const options = { ...channelOptions(name, upstream), ...protocol.options(upstream) };
      channels.set(name, createChannel(options, observe(name)));
    } catch (error) {
      const message = errorMessage(error);
      problems.push({
        severity: "error",
        message,
        position: locate(["upstreams", name, "tls"]),
        path: `upstreams.${name}`,
      });
    }
  }
  if (problems.length === 0) return channels;
  for (const channel of channels.values()) void channel.close();
  throw new LoadError(problems);
}

function channelOptions(name: string, upstream: UpstreamConfig): Omit<ChannelOptions, "transport"> {
  const { retry, compression } = upstream;
  const tls = readClientTls(upstream.tls);
  return {
    name,
    targets: upstream.targets,
    balancing: upstream.balancing,
    maxMessageSize: upstream.max_message_size,
    userAgent: `protogate/${version}`,
    ...(tls === undefined ? {} : { tls }),
    ...(compression?.encoding === "gzip" && { compressFrom: compression.min_size }),
    ...(upstream.keepalive === undefined ? {} : { keepalive: upstream.keepalive }),
    ...(upstream.health === undefined ? {} : { health: upstream.health }),
    ...(retry === undefined
      ? {}
      : {
          retry: {
            attempts: retry.attempts,
            on: retry.on.map(code => Code[code]),
            backoff: retry.backoff,
            maxBackoff: retry.max_backoff,
            budget: retry.budget,
          },
        }),
  };
}

function observer(upstream: string, config: GatewayConfig, metrics: Runtime["metrics"]): UpstreamObserver {
  const { protocol } = config.upstreams[upstream] as UpstreamConfig;
  const of = metrics.upstreamCalls(upstream, protocol);
  const codes = new ListedCodes(statusCodesOf(config, upstream));
  return {
    started: path => of(path).started(),
    finished: (path, code, seconds, businessCode, traceId) => {
      const label = businessCode === undefined ? undefined : codes.labelOf(businessCode);
      of(path).handled(code, seconds, label, traceId);
    },
    retried: (path, code) => of(path).retried(code),
    resent: (path, why) => of(path).resent(why),
  };
}

/** The status codes of all services of an upstream. */
function statusCodesOf(
  { services, service_defaults: defaults }: GatewayConfig,
  upstream: string,
): Readonly<Record<string, number>>[] {
  const own = services.filter(service => service.upstream === upstream);
  const methods = own.flatMap(service => Object.values(service.methods));
  return [...methods, ...own, defaults].map(each => each.status_codes ?? {});
}
