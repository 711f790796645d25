import { createHash } from "node:crypto";
import { isIPv4, isIPv6 } from "node:net";
import type { Limited } from "./limiter.js";

/** Longest value that is a key as it is; longer ones would let a caller fill the memory. */
const longest = 64;

/** The key by which requests of one caller are counted. Callers without a subject are counted by their address. */
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

/** IPv4 unchanged, IPv6 by its first 64 bits, the usual size of one subscriber's network. */
function addressKey(address: string): string {
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

/** The property by which requests are counted together. */
export type LimitKey =
  | { readonly kind: "ip" | "subject" | "global" }
  /** `name` is in lower case. */
  | { readonly kind: "header"; readonly name: string };

/** The key that a text of the configuration names; undefined where it names none. */
export function limitKey(text: string): LimitKey | undefined {
  switch (text) {
    case "ip":
    case "subject":
    case "global":
      return { kind: text };
    // An API key is identified by its subject.
    case "api_key":
      return { kind: "subject" };
    default: {
      const name = /^header:([A-Za-z0-9_.-]{1,128})$/.exec(text)?.[1];
      return name === undefined ? undefined : { kind: "header", name: name.toLowerCase() };
    }
  }
}
