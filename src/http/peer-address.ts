import { SocketAddress } from "node:net";
import { plainAddress } from "./engine.js";

/** Addresses that are kept as text; beyond that all are forgotten. */
const maxKept = 4096;

/** Turns the addresses of peers into text, the usual few of them once. */
export class PeerAddresses {
  readonly #kept = new Map<number, string>();

  /** @param bytes 4 of IPv4 or 16 of IPv6 in network order; anything else gives the empty text */
  textOf(bytes: ArrayBuffer): string {
    const view = new Uint8Array(bytes);
    const [a = 0, b = 0, c = 0, d = 0] = view;
    if (view.length === 16) return ipv6(view);
    if (view.length !== 4) return "";
    const key = a * 0x1000000 + b * 0x10000 + c * 0x100 + d;
    let text = this.#kept.get(key);
    if (text === undefined) {
      if (this.#kept.size >= maxKept) this.#kept.clear();
      text = `${a}.${b}.${c}.${d}`;
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
