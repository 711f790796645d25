import { SocketAddress } from "node:net";

/** A connection that gives the address of its peer: 4 bytes of IPv4 or 16 of IPv6 in network order. */
export interface PeerConnection {
  getRemoteAddress(): ArrayBuffer;
}

/** Addresses that are kept as text; beyond that all are forgotten. */
const maxKept = 4096;

/**
 * The addresses of the peers of a listener as text. Reading the address of a connection is a system call, which
 * uWebSockets.js makes each time; while all open connections come from one peer, as behind a proxy, none is needed.
 */
export class PeerAddresses {
  readonly #kept = new Map<number, string>();
  #open = 0;
  /** The peer of all open connections, undefined where they are not known to have the same. */
  #common: string | undefined;

  /** @param change 1 for a connection that has opened, -1 for one that has closed */
  counted(connection: PeerConnection, change: number): void {
    this.#open += change;
    if (change < 0) return;
    const address = this.#read(connection);
    if (this.#open === 1) this.#common = address;
    else if (address !== this.#common) this.#common = undefined;
  }

  addressOf(connection: PeerConnection): string {
    return this.#common ?? this.#read(connection);
  }

  #read(connection: PeerConnection): string {
    const bytes = new Uint8Array(connection.getRemoteAddress());
    if (bytes.length === 16) return ipv6(bytes);
    // A connection that is already gone has no peer.
    if (bytes.length !== 4) return "";
    const key = bytes.reduce((number, byte) => number * 256 + byte, 0);
    let text = this.#kept.get(key);
    if (text === undefined) {
      if (this.#kept.size >= maxKept) this.#kept.clear();
      text = bytes.join(".");
      this.#kept.set(key, text);
    }
    return text;
  }
}

/** In the canonical form of RFC 5952, as Node.js writes it. */
function ipv6(bytes: Uint8Array): string {
  const groups = Array.from({ length: 8 }, (_, index) =>
    (((bytes[index * 2] ?? 0) << 8) | (bytes[index * 2 + 1] ?? 0)).toString(16),
  );
  return plainAddress(new SocketAddress({ address: groups.join(":"), family: "ipv6" }).address);
}

/** IPv4 peers of a dual-stack socket in their plain form. */
export function plainAddress(address: string): string {
  return address.startsWith("::ffff:") ? address.slice(7) : address;
}
