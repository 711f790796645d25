import { stateChanged } from "../../net/state-changes.js";
import type { EndpointState } from "../channel.js";
import type { Transport } from "../transport.js";
import { type EndpointAddress, NameResolver, parseTarget, type UpstreamTarget } from "./target.js";

/** One address that calls are balanced over. */
export class Endpoint {
  /** `host:port` as resolved. */
  readonly address: string;
  readonly transport: Transport;
  /** Reported by the health protocol; true without health checks. */
  healthy = true;
  #pending = 0;
  #retired = false;

  constructor(address: string, transport: Transport) {
    this.address = address;
    this.transport = transport;
  }

  /** Calls under way. */
  get pending(): number {
    return this.#pending;
  }

  get state(): EndpointState["state"] {
    const { state } = this.transport;
    return this.healthy || state === "failing" ? state : "unhealthy";
  }

  /** Counts a call that begins here. */
  acquire(): void {
    this.#pending++;
  }

  /** Counts a call that is over. */
  release(): void {
    this.#pending--;
    if (this.#retired && this.#pending === 0) this.transport.close();
  }

  /** Takes no more calls; closes the connection once those under way are over. */
  retire(): void {
    if (this.#retired) return;
    this.#retired = true;
    if (this.#pending === 0) this.transport.close();
  }
}

interface Source {
  readonly target: UpstreamTarget;
  /** Undefined for a target that is an address. */
  readonly resolver: NameResolver | undefined;
}

interface EndpointSetOptions {
  /** See `parseTarget`. */
  readonly targets: readonly string[];
  connect(address: EndpointAddress, target: UpstreamTarget): Transport;
  onAdded(endpoint: Endpoint): void;
  onRemoved(endpoint: Endpoint): void;
}

/** The endpoints of an upstream, kept in step with the addresses that its targets resolve to. */
export class EndpointSet {
  readonly #options: EndpointSetOptions;
  readonly #sources: readonly Source[];
  #byKey = new Map<string, Endpoint>();
  #list: readonly Endpoint[] = [];
  #closed = false;

  /** @throws Error naming the target that cannot be parsed */
  constructor(options: EndpointSetOptions) {
    this.#options = options;
    const targets = options.targets.map(parseTarget);
    this.#sources = targets.map(target => ({
      target,
      resolver:
        target.kind === "name" ? new NameResolver(target.host, target.port, () => this.#update()) : undefined,
    }));
    this.#update();
  }

  /** In the order of the targets and of their records. */
  get list(): readonly Endpoint[] {
    return this.#list;
  }

  /** Resolves when a resolution that is under way has ended; undefined where none is. Never rejects. */
  get resolving(): Promise<unknown> | undefined {
    const running = this.#sources.flatMap(({ resolver }) => resolver?.running ?? []);
    return running.length === 0 ? undefined : Promise.race(running);
  }

  /** Why there are no endpoints. */
  get failure(): string {
    const failures = this.#sources.flatMap(({ resolver }) => resolver?.failure ?? []);
    return failures.length === 0 ? "no target resolves to any address" : failures.join("; ");
  }

  /** Resolves the names again, as soon as the resolvers find it right. */
  refresh(): void {
    for (const { resolver } of this.#sources) resolver?.refresh();
  }

  close(): void {
    this.#closed = true;
    for (const { resolver } of this.#sources) resolver?.stop();
    for (const endpoint of this.#list) this.#remove(endpoint);
  }

  #update(): void {
    if (this.#closed) return;
    const next = new Map<string, Endpoint>();
    for (const { target, resolver } of this.#sources) {
      const addresses = target.kind === "name" ? (resolver?.addresses ?? []) : [target.address];
      for (const address of addresses) {
        const key = `${address.uri} ${target.authority}`;
        if (!next.has(key)) next.set(key, this.#byKey.get(key) ?? this.#add(address, target));
      }
    }
    const before = this.#byKey;
    this.#byKey = next;
    this.#list = [...next.values()];
    stateChanged();
    for (const [key, endpoint] of before) if (!next.has(key)) this.#remove(endpoint);
  }

  #add(address: EndpointAddress, target: UpstreamTarget): Endpoint {
    const endpoint = new Endpoint(address.text, this.#options.connect(address, target));
    this.#options.onAdded(endpoint);
    return endpoint;
  }

  #remove(endpoint: Endpoint): void {
    this.#options.onRemoved(endpoint);
    endpoint.retire();
  }
}
