import type { JSONWebKeySet, JWK } from "jose";
import { isRecord } from "./claims.js";

/** Bytes of a key set. */
export const jwkSetLimit = 256 * 1024;
const mostKeys = 100;

/**
 * Reads a JWK set (RFC 7517 §5). Only public keys are kept: a symmetric or private key has no place in one.
 * @throws Error that says what is wrong with it
 */
export function parseJwkSet(text: string): JSONWebKeySet {
  const set: unknown = parsed(text);
  if (!isRecord(set) || !Array.isArray(set.keys))
    throw new Error('is no JWK set: expected an object with "keys"');
  if (set.keys.length > mostKeys) throw new Error(`has more than ${mostKeys} keys`);
  const keys = set.keys.filter((key): key is JWK => isRecord(key) && typeof key.kty === "string");
  return { keys: keys.filter(key => key.kty !== "oct" && !("d" in key)) };
}

/** The keys as texts, to tell two sets apart. */
export function keyTexts(set: JSONWebKeySet): ReadonlySet<string> {
  return new Set(set.keys.map(key => JSON.stringify(key)));
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new Error("is not JSON");
  }
}
