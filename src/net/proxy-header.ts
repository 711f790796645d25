import { isIPv4, isIPv6, SocketAddress } from "node:net";
import { plainAddress } from "./peer-address.js";

/** The PROXY protocol header of a connection, as far as it has been read. */
export type ProxyHeader =
  | { readonly kind: "incomplete" }
  | { readonly kind: "malformed" }
  | {
      readonly kind: "header";
      /** How many bytes it has. */
      readonly length: number;
      /** The client of the proxy; undefined for connections of the proxy itself, or where it knows no IP address. */
      readonly source: string | undefined;
    };

const incomplete: ProxyHeader = { kind: "incomplete" };
const malformed: ProxyHeader = { kind: "malformed" };

const start1 = Buffer.from("PROXY ", "latin1");
const start2 = Buffer.from("\r\n\r\n\0\r\nQUIT\n", "latin1");

/** Bytes of a line of version 1, with its end. */
const maxLine = 107;

/** Bytes of version 2 after its first 16: addresses and further fields. */
const maxLength = 4096;

/**
 * Reads the header that a proxy sends before the bytes of its client: version 1 or 2 of the PROXY protocol
 * (https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt).
 */
export function readProxyHeader(data: Buffer): ProxyHeader {
  if (begins(data, start2)) return data.length < 16 ? incomplete : version2(data);
  if (begins(data, start1)) return version1(data);
  return malformed;
}

/** Whether data is, as far as it goes, that beginning. */
function begins(data: Buffer, beginning: Buffer): boolean {
  const size = Math.min(data.length, beginning.length);
  return beginning.compare(data, 0, size, 0, size) === 0;
}

function version1(data: Buffer): ProxyHeader {
  const end = data.subarray(0, maxLine).indexOf("\r\n", 0, "latin1");
  if (end < 0) return data.length < maxLine ? incomplete : malformed;
  const line = data.toString("latin1", 0, end);
  const length = end + 2;
  if (line === "PROXY UNKNOWN" || line.startsWith("PROXY UNKNOWN ")) {
    return { kind: "header", length, source: undefined };
  }
  const [, family, source = "", destination = "", ...ports] =
    /^PROXY TCP([46]) ([0-9A-Fa-f:.]+) ([0-9A-Fa-f:.]+) (0|[1-9]\d{0,4}) (0|[1-9]\d{0,4})$/.exec(line) ?? [];
  if (family === undefined || ports.some(port => Number(port) > 65535)) return malformed;
  const isAddress = family === "4" ? isIPv4 : isIPv6;
  if (!isAddress(source) || !isAddress(destination)) return malformed;
  return { kind: "header", length, source: family === "4" ? source : ipv6(source) };
}

function version2(data: Buffer): ProxyHeader {
  const command = data[12];
  const length = data.readUInt16BE(14);
  if ((command !== 0x20 && command !== 0x21) || length > maxLength) return malformed;
  const family = data[13] ?? 0;
  const addresses = command === 0x20 ? 0 : addressBytes.get(family);
  if (addresses === undefined || length < addresses) return malformed;
  if (data.length < 16 + length) return incomplete;
  const source = command === 0x20 ? undefined : sourceOf(family, data.subarray(16));
  return { kind: "header", length: 16 + length, source };
}

/** By family and transport: nothing that is known, TCP over IPv4 and IPv6, streams of Unix. */
const addressBytes: ReadonlyMap<number, number> = new Map([
  [0x00, 0],
  [0x11, 12],
  [0x21, 36],
  [0x31, 216],
]);

function sourceOf(family: number, addresses: Buffer): string | undefined {
  if (family === 0x11) return addresses.subarray(0, 4).join(".");
  if (family !== 0x21) return undefined;
  const groups = Array.from({ length: 8 }, (_, index) => addresses.readUInt16BE(index * 2).toString(16));
  return ipv6(groups.join(":"));
}

/** In the one spelling that limits and logs compare. */
function ipv6(text: string): string {
  return plainAddress(new SocketAddress({ address: text, family: "ipv6" }).address);
}
