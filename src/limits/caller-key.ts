import { createHash } from "node:crypto";
import { isIPv4, isIPv6 } from "node:net";
import type { LimitKey } from "../config/rate-limit-key.js";
import type { Limited } from "./limiter.js";

/** Longest value that is a key as it is; longer ones would let a caller fill the memory. */
const longest = 64;

/** What requests of one caller are counted by. Nobody's name counts as their address. */
export function callerKey(key: LimitKey): (caller: Limited, subject: string | undefined) => string {
  switch (key.kind) {
    case "global":
      return () => "";
    case "ip":
      return caller => `ip:${addressKey(caller.clientAddress)}`;
    case "subject":
      return (caller, subject) =>
        subject === undefined ? `ip:${addressKey(caller.clientAddress)}` : `sub:${short(subject)}`;
    case "header": {
      const { name } = key;
      // Headers may hold credentials, which are not to lie about in a store.
      return caller => `hdr:${digest(caller.header(name) ?? "")}`;
    }
  }
}

/** IPv4 as it is, IPv6 by its first 64 bits, which is what one subscriber has. */
export function addressKey(address: string): string {
  if (isIPv4(address) || !isIPv6(address)) return short(address);
  const groups = groupsOf(address);
  const [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0, g = 0, h = 0] = groups;
  if ((a | b | c | d | e) === 0 && f === 0xffff) return `${g >> 8}.${g & 255}.${h >> 8}.${h & 255}`;
  return [a, b, c, d].map(group => group.toString(16)).join(":");
}

/** The eight groups of a valid address. */
function groupsOf(address: string): readonly number[] {
  const bare = address.replace(/%.*$/, "");
  const hex = bare.replace(/(\d+)\.(\d+)\.(\d+)\.(\d+)$/, (_, a, b, c, d) => {
    const pair = (high: string, low: string): string => (Number(high) * 256 + Number(low)).toString(16);
    return `${pair(a, b)}:${pair(c, d)}`;
  });
  const [left = "", right] = hex.split("::");
  const numbers = (text: string): number[] =>
    text === "" ? [] : text.split(":").map(group => Number.parseInt(group, 16));
  if (right === undefined) return numbers(left);
  const [before, after] = [numbers(left), numbers(right)];
  return [...before, ...new Array<number>(8 - before.length - after.length).fill(0), ...after];
}

function short(value: string): string {
  return value.length <= longest ? value : digest(value);
}

function digest(value: string): string {
  return createHash("sha256").update(value).digest("base64url").slice(0, 22);
}
