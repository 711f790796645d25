import { lookup } from "node:dns/promises";
import { isIPv4, isIPv6 } from "node:net";
import { parseTarget as parseConfigured } from "../../config/address.js";
import { errorMessage } from "../../net/error-text.js";
import { Backoff } from "../backoff.js";

/** One address that can be connected to. */
export interface EndpointAddress {
  /** `ipv4:10.0.0.7:50051`, `ipv6:[::1]:50051` or `unix:/run/x.sock`. */
  readonly uri: string;
  /** `10.0.0.7:50051`, `[::1]:50051` or `unix:/run/x.sock`. */
  readonly text: string;
}

/** A configured target: a name to be resolved, or the one address that it already is. */
export type UpstreamTarget = {
  /** The authority of calls: the target as configured, independent of its addresses. */
  readonly authority: string;
} & (
  | { readonly kind: "name"; readonly host: string; readonly port: number }
  | { readonly kind: "address"; readonly address: EndpointAddress }
);

/**
 * Parses `dns:///host:port`, `host:port`, `[v6]:port`, `ipv4:a.b.c.d:port`, `ipv6:[v6]:port`, `unix:/path`
 * and `unix:///path` (https://github.com/grpc/grpc/blob/master/doc/naming.md).
 * @throws Error naming the target where it is none of them
 */
export function parseTarget(text: string): UpstreamTarget {
  const [, family, rest] = /^(ipv[46]):(.*)$/.exec(text) ?? [];
  const parsed = parseConfigured(rest ?? text);
  if (parsed === undefined) throw unknownForm(text);
  if (parsed.kind === "unix") {
    const uri = `unix:${parsed.path}`;
    return { kind: "address", address: { uri, text: uri }, authority: "localhost" };
  }
  const { host, port } = parsed;
  const literal = isIPv4(host) ? "ipv4" : isIPv6(host) ? "ipv6" : undefined;
  if (family !== undefined && (family !== literal || parsed.kind === "dns")) throw unknownForm(text);
  if (literal === undefined) return { kind: "name", host, port, authority: `${host}:${port}` };
  const address = addressOf(host, port);
  return { kind: "address", address, authority: address.text };
}

/** `host` is an IPv4 or IPv6 address without brackets. */
function addressOf(host: string, port: number): EndpointAddress {
  if (isIPv6(host)) return { uri: `ipv6:[${host}]:${port}`, text: `[${host}]:${port}` };
  return { uri: `ipv4:${host}:${port}`, text: `${host}:${port}` };
}

function unknownForm(text: string): Error {
  return new Error(
    `expected a target such as dns:///host:50051, host:50051, [::1]:50051, ipv4:10.0.0.7:50051 or unix:/path, found "${text}"`,
  );
}

/** Milliseconds between two resolutions of a name that resolves. */
const intervalMs = 30_000;
/** Least milliseconds between two resolutions, for all triggers. */
const minIntervalMs = 2_000;
/** A name that resolves to more addresses than this is cut. */
const maxAddresses = 1_000;

/** The addresses of a host name, IPv4 and IPv6, in order of preference. Rejects where there are none. */
export type HostLookup = (host: string) => Promise<readonly { readonly address: string }[]>;

/** As every other program on the machine resolves: hosts file, search domains and all. */
const systemLookup: HostLookup = host => lookup(host, { all: true, verbatim: true });

/**
 * Resolves one host name, again and again. The addresses of the last success stay in force while DNS fails.
 * Its timers do not keep the process alive.
 */
export class NameResolver {
  readonly #host: string;
  readonly #port: number;
  readonly #onChange: () => void;
  readonly #lookup: HostLookup;
  readonly #backoff = new Backoff(minIntervalMs, intervalMs);
  #addresses: readonly EndpointAddress[] = [];
  #failure: string | undefined;
  #timer: NodeJS.Timeout | undefined;
  /** `performance.now()` when the last resolution ended. */
  #ended = Number.NEGATIVE_INFINITY;
  #running: Promise<void> | undefined;
  #stopped = false;

  /** Starts at once. `onChange` is called when the addresses are no longer those from before. */
  constructor(host: string, port: number, onChange: () => void, lookup = systemLookup) {
    this.#host = host;
    this.#port = port;
    this.#onChange = onChange;
    this.#lookup = lookup;
    this.#run();
  }

  /** In the order of the system's resolver; empty until the name has resolved once. */
  get addresses(): readonly EndpointAddress[] {
    return this.#addresses;
  }

  /** Why the last resolution failed; undefined where it did not. */
  get failure(): string | undefined {
    return this.#failure;
  }

  /** The resolution under way. Never rejects. */
  get running(): Promise<void> | undefined {
    return this.#running;
  }

  /** Resolves again as soon as the minimal interval allows. */
  refresh(): void {
    if (this.#stopped || this.#running !== undefined) return;
    const wait = this.#ended + minIntervalMs - performance.now();
    if (wait <= 0) this.#run();
    else this.#schedule(wait);
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
  }

  #schedule(wait: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#run(), wait).unref();
  }

  #run(): void {
    clearTimeout(this.#timer);
    this.#running = this.#resolve().then(wait => {
      this.#running = undefined;
      this.#ended = performance.now();
      if (!this.#stopped) this.#schedule(wait);
    });
  }

  /** Milliseconds until the next resolution. */
  async #resolve(): Promise<number> {
    try {
      const records = await this.#lookup(this.#host);
      const addresses = records.slice(0, maxAddresses).map(({ address }) => addressOf(address, this.#port));
      this.#failure = undefined;
      this.#backoff.reset();
      if (!this.#stopped) this.#accept(addresses);
      return intervalMs;
    } catch (error) {
      this.#failure = `"${this.#host}" does not resolve: ${errorMessage(error)}`;
      return this.#backoff.next();
    }
  }

  #accept(addresses: readonly EndpointAddress[]): void {
    const before = this.#addresses;
    this.#addresses = addresses;
    const same =
      before.length === addresses.length && before.every(({ uri }, index) => uri === addresses[index]?.uri);
    if (!same) this.#onChange();
  }
}
