import { BlockList, isIP } from "node:net";

/** An address and how many of its first bits are those of the network; undefined where the text is no network. */
function parseNetwork(text: string): readonly [address: string, bits: number, version: 4 | 6] | undefined {
  const [, address = "", prefix] = /^([^/]+)(?:\/(\d{1,3}))?$/.exec(text) ?? [];
  const version = isIP(address);
  if (version === 0 || address.includes("%")) return undefined;
  const most = version === 4 ? 32 : 128;
  const bits = prefix === undefined ? most : Number(prefix);
  return bits > most ? undefined : [address, bits, version as 4 | 6];
}

export function isNetwork(text: string): boolean {
  return parseNetwork(text) !== undefined;
}

/** Whether an address belongs to one of those networks. @param networks such as `10.0.0.0/8` or `::1` */
export function networkMatcher(networks: readonly string[]): (address: string) => boolean {
  const list = new BlockList();
  for (const network of networks) {
    const [address, bits, version] = parseNetwork(network) ?? [];
    if (address !== undefined && bits !== undefined)
      list.addSubnet(address, bits, version === 4 ? "ipv4" : "ipv6");
  }
  return address => {
    const version = isIP(address);
    return version !== 0 && list.check(address, version === 4 ? "ipv4" : "ipv6");
  };
}
