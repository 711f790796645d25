import { isIPv6, SocketAddress } from "node:net";

/** Headers whose value is remembered; beyond that all are forgotten. */
const maxKept = 256;

/**
 * Values by host: `api.example.com`, `*.example.com` for all names below, or `*` for every other host. An exact name
 * goes before a wildcard, a longer wildcard before a shorter one.
 */
export class HostTable<T> {
  readonly #exact = new Map<string, T>();
  /** By the text behind the star: `.example.com`. */
  readonly #families = new Map<string, T>();
  readonly #others: T | undefined;
  /** By header as it was sent: clients of one host all send the same. */
  readonly #kept = new Map<string, T | undefined>();

  /** @param entries hosts in the form of `readHostPattern`, each once */
  constructor(entries: Iterable<readonly [pattern: string, value: T]>) {
    for (const [pattern, value] of entries) {
      if (pattern === "*") this.#others = value;
      else if (pattern.startsWith("*")) this.#families.set(pattern.slice(1), value);
      else this.#exact.set(pattern, value);
    }
  }

  /** @param header the Host header or `:authority`, which is a host (`isHostHeader`); undefined where there is none */
  find(header: string | undefined): T | undefined {
    if (header === undefined || header === "") return this.#others;
    if (this.#kept.has(header)) return this.#kept.get(header);
    const value = this.#look(hostName(header));
    if (this.#kept.size >= maxKept) this.#kept.clear();
    this.#kept.set(header, value);
    return value;
  }

  #look(host: string): T | undefined {
    const exact = this.#exact.get(host);
    if (exact !== undefined) return exact;
    for (let dot = host.indexOf(".", 1); dot > 0; dot = host.indexOf(".", dot + 1)) {
      const value = this.#families.get(host.slice(dot));
      if (value !== undefined) return value;
    }
    return this.#others;
  }
}

/** Whether every host of the second pattern is one of the first; both in the form of `readHostPattern`. */
export function coversHosts(pattern: string, other: string): boolean {
  if (pattern === "*" || pattern === other) return true;
  return pattern.startsWith("*") && other.endsWith(pattern.slice(1));
}

/**
 * The entries of a table that has a value for the hosts of a list alone, and the same value there as one of `entries`.
 * @param hosts in the form of `readHostPattern`
 */
export function entriesAt<T>(
  hosts: readonly string[],
  entries: readonly (readonly [pattern: string, value: T])[],
): (readonly [pattern: string, value: T])[] {
  const within = entries.filter(([pattern]) => hosts.some(host => coversHosts(host, pattern)));
  const all = new Map(within);
  const byLength = [...entries].sort(([one], [other]) => other.length - one.length);
  for (const host of hosts) {
    if (all.has(host)) continue;
    // Of the wildcards that cover one pattern, the longest is the narrowest.
    const covering = byLength.find(([pattern]) => coversHosts(pattern, host));
    if (covering !== undefined) all.set(host, covering[1]);
  }
  return [...all];
}

/** The host of a Host header as names are compared: without port and final dot, in lower case. */
export function hostName(header: string): string {
  const name = header.replace(/:\d{0,5}$/, "").toLowerCase();
  if (name.startsWith("[")) return bracketed(name);
  return name.endsWith(".") ? name.slice(0, -1) : name;
}

/**
 * A host of the configuration as names are compared: a name, an IP address (of IPv6 in brackets), `*.example.com` or
 * `*`. Undefined where the text is none of them.
 */
export function readHostPattern(text: string): string | undefined {
  if (text === "*") return text;
  const pattern = text.toLowerCase();
  if (pattern.startsWith("["))
    return isIPv6(pattern.slice(1, -1)) && pattern.endsWith("]") ? bracketed(pattern) : undefined;
  const name = pattern.startsWith("*.") ? pattern.slice(2) : pattern;
  if (pattern.length > 253 || !dnsName.test(name)) return undefined;
  return pattern.endsWith(".") ? pattern.slice(0, -1) : pattern;
}

const dnsName = /^(?!-)[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*\.?$/;

/** One spelling for each address of IPv6. */
function bracketed(host: string): string {
  const address = host.slice(1, -1);
  return isIPv6(address) ? `[${new SocketAddress({ address, family: "ipv6" }).address}]` : host;
}
