import { randomHex } from "./random-hex.js";

const acceptable = /^[\x21-\x7e]{1,128}$/;

/**
 * The id of a request: what the client sent in `x-request-id` when that is 1 to 128 visible ASCII characters,
 * else 128 random bits in hex.
 */
export function requestIdOf(header: string | undefined): string {
  return header !== undefined && acceptable.test(header) ? header : randomHex(16);
}
