import { lookup } from "node:dns/promises";
import { Backoff } from "../backoff.js";
import { addressOf, type EndpointAddress } from "./target.js";

/** Milliseconds between two resolutions of a name that resolves. */
const interval = 30_000;
/** Milliseconds between two resolutions at least, whatever asks for them. */
const minInterval = 2_000;
/** A name that resolves to more addresses than this is cut. */
const maxAddresses = 1_000;

/** The addresses of a host name, IPv4 and IPv6, in order of preference. Rejects where there are none. */
export type HostLookup = (host: string) => Promise<readonly { readonly address: string }[]>;

/** As every other program on the machine resolves: hosts file, search domains and all. */
const systemLookup: HostLookup = host => lookup(host, { all: true, verbatim: true });

/**
 * Resolves one host name, again and again. The last good answer stays in force while DNS fails.
 * Its timers do not keep the process alive.
 */
export class NameResolver {
  readonly #host: string;
  readonly #port: number;
  readonly #onChange: () => void;
  readonly #lookup: HostLookup;
  readonly #backoff = new Backoff(minInterval, interval);
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
    const wait = this.#ended + minInterval - performance.now();
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
      return interval;
    } catch (error) {
      this.#failure = `"${this.#host}" does not resolve: ${error instanceof Error ? error.message : error}`;
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
