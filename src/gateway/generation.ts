import type { Snapshot } from "../bindings/snapshot.js";
import { createPace } from "../net/pace.js";
import type { Channel, EndpointState } from "../upstream/channel.js";
import type { UpstreamObserver } from "../upstream/create-channel.js";
import type { PassThrough } from "../upstream/pass-through.js";
import { watchDescriptors } from "../upstream/reflection/reflection.js";
import { type Compiled, compile, type UsableConfig } from "./compile.js";
import { reflectedUpstreams } from "./descriptors.js";
import { ErrorDetails } from "./error-details.js";
import { Leases } from "./leases.js";
import { passThroughOf } from "./pass-through.js";
import { createProtection, type Protection } from "./protection.js";
import type { RealtimeParts } from "./realtime.js";
import { realtimeSnapshot } from "./realtime-snapshot.js";
import type { Runtime } from "./runtime.js";
import { createSnapshot } from "./snapshot.js";
import { createChannels } from "./upstreams.js";

export interface GenerationEvents {
  /** A new snapshot takes over. */
  snapshot(snapshot: Snapshot, parts: RealtimeParts): void;
  /** Before a snapshot that was compiled so takes over. */
  prepare(compiled: Compiled): Promise<void>;
  /** Of the snapshot that serves now. */
  protection(): Protection | undefined;
  /** Something has failed elsewhere, and is tried again by itself. */
  retrying(what: string, error: Error): void;
  /** Something went wrong that does not end the generation. */
  failed(what: string, error: unknown): void;
}

export interface UpstreamHealth {
  readonly upstream: string;
  readonly ok: boolean;
  readonly message: string;
}

/**
 * One loading of the configuration while it lives: its channels, what their reflection tells, and the snapshots made
 * from them. A reload replaces the generation; reflection that changes replaces only the snapshot.
 */
export class Generation {
  readonly #loaded: UsableConfig;
  readonly #runtime: Runtime;
  readonly #events: GenerationEvents;
  readonly #channels: Map<string, Channel>;
  readonly #leases = new Leases();
  readonly #reflected = new Map<string, readonly Uint8Array[]>();
  readonly #missing: Set<string>;
  readonly #stops: (() => void)[] = [];
  readonly #ended = new AbortController();
  #passThrough: PassThrough | undefined;
  /** Of the snapshot that serves. */
  #protection: Protection | undefined;
  #abandon: (() => void) | undefined;
  #building: Promise<void> = Promise.resolve();
  #retired = false;

  constructor(loaded: UsableConfig, runtime: Runtime, events: GenerationEvents) {
    this.#loaded = loaded;
    this.#runtime = runtime;
    this.#events = events;
    this.#channels = createChannels(loaded, name => observer(name, runtime.metrics));
    this.#missing = new Set(reflectedUpstreams(loaded.config));
  }

  /**
   * Resolves when the first snapshot is there; waits for every upstream whose reflection is asked.
   * @throws LoadError where descriptors or routes have errors; Error where it is retired before
   */
  async start(): Promise<void> {
    if (this.#missing.size > 0) await this.#reflect();
    this.#passThrough = await passThroughOf(this.#loaded.config);
    await this.#build();
  }

  /** Stops watching, waits for the requests that hold the channels and for WebSockets, closes what they used. */
  async retire(): Promise<void> {
    this.#retired = true;
    this.#abandon?.();
    for (const stop of this.#stops) stop();
    this.#ended.abort();
    await this.#leases.free();
    this.#protection?.close();
    await Promise.all([...this.#channels.values()].map(channel => channel.close()));
    await this.#passThrough?.quiet();
    await this.#passThrough?.close();
  }

  /** Ends the WebSockets that `retire` waits for. */
  async end(): Promise<void> {
    await this.#passThrough?.close();
  }

  /** What start waits for, for /readyz; undefined where it waits for nothing. */
  waitingFor(): string | undefined {
    if (this.#missing.size === 0) return undefined;
    return `waiting for the reflection of ${[...this.#missing].join(", ")}`;
  }

  endpoints(): (readonly [upstream: string, endpoints: readonly EndpointState[]])[] {
    return [...this.#channels].map(([upstream, channel]) => [upstream, channel.state()]);
  }

  /** One entry for each upstream whose health is asked. */
  health(): UpstreamHealth[] {
    return this.endpoints().flatMap(([upstream, endpoints]) => {
      if (this.#loaded.config.upstreams[upstream]?.health === undefined) return [];
      const usable = endpoints.filter(({ state }) => state !== "unhealthy" && state !== "failing").length;
      return [{ upstream, ok: usable > 0, message: `${usable} of ${endpoints.length} endpoints usable` }];
    });
  }

  #reflect(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#abandon = () => reject(overtaken());
      for (const source of this.#loaded.config.descriptors) {
        if (!("reflection" in source)) continue;
        const upstream = source.reflection;
        const stop = watchDescriptors(this.#channels.get(upstream) as Channel, {
          ...(source.refresh !== undefined && { refresh: source.refresh }),
          onChange: ({ files }) => {
            this.#reflected.set(upstream, files);
            if (this.#missing.delete(upstream)) {
              if (this.#missing.size === 0) resolve();
            } else {
              this.#rebuild(upstream);
            }
          },
          onError: error =>
            this.#events.retrying(`reflection of upstream "${upstream}" failed; trying again`, error),
        });
        this.#stops.push(stop);
      }
    });
  }

  #rebuild(upstream: string): void {
    this.#building = this.#building.then(async () => {
      if (this.#retired) return;
      try {
        await this.#build();
      } catch (error) {
        if (this.#retired) return;
        this.#runtime.metrics.reloadFailed();
        this.#events.failed(
          `the new descriptors of upstream "${upstream}" cannot be used; those from before stay`,
          error,
        );
      }
    });
  }

  async #build(): Promise<void> {
    const pace = createPace();
    const compiled = await compile(this.#loaded, this.#reflected, {
      pace,
      runtime: this.#runtime,
      // Loading has checked that the upstream exists.
      channel: name => this.#channels.get(name) as Channel,
    });
    await this.#events.prepare(compiled);
    if (this.#retired) throw overtaken();
    const previous = this.#protection ?? this.#events.protection();
    const protection = createProtection(compiled, this.#channels, this.#runtime, previous);
    try {
      const parts = {
        channels: this.#channels,
        passThrough: this.#passThrough,
        protection,
        leases: this.#leases,
        details: this.#details(compiled),
      };
      const snapshot = await createSnapshot(compiled, parts, this.#runtime, pace);
      const { realtime } = this.#loaded.config;
      const socketListener =
        realtime && (await realtimeSnapshot(compiled, realtime, parts, this.#runtime, pace));
      if (this.#retired) throw overtaken();
      this.#events.snapshot(snapshot, { ...parts, compiled, socketListener });
    } catch (error) {
      protection.close();
      throw error;
    }
    this.#protection?.close();
    this.#protection = protection;
  }

  #details({ model }: Compiled): Map<string, ErrorDetails> {
    const { config } = this.#loaded;
    const { signal } = this.#ended;
    const details = new Map<string, ErrorDetails>();
    for (const upstream of reflectedUpstreams(config)) {
      const channel = this.#channels.get(upstream) as Channel;
      details.set(
        upstream,
        new ErrorDetails(model, { upstream, channel, signal, depth: config.http.limits.depth }),
      );
    }
    return details;
  }
}

function overtaken(): Error {
  return new Error("overtaken by a newer configuration, or by the end of the gateway");
}

function observer(upstream: string, metrics: Runtime["metrics"]): UpstreamObserver {
  return {
    started: path => metrics.upstream(upstream, path).started(),
    finished: (path, code, seconds) => metrics.upstream(upstream, path).handled(code, seconds),
    retried: (path, code) => metrics.upstream(upstream, path).retried(code),
    resent: (path, why) => metrics.upstream(upstream, path).resent(why),
  };
}
