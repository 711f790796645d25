import { randomBytes } from "node:crypto";

/** Random bytes are drawn in batches and printed once, since each draw is a system call, and each print a native one. */
const batchBytes = 4096;
let digits = "";
let next = 0;

/** Lower-case hex of that many random bytes (1..64), twice as many characters. */
export function randomHex(bytes: number): string {
  const length = 2 * bytes;
  if (next + length > digits.length) {
    digits = randomBytes(batchBytes).toString("hex");
    next = 0;
  }
  const start = next;
  next += length;
  return digits.slice(start, next);
}

const acceptable = /^[\x21-\x7e]{1,128}$/;

/**
 * The id of a request: the client's `x-request-id` when that is 1 to 128 visible ASCII characters,
 * else 128 random bits in hex.
 */
export function requestIdOf(header: string | undefined): string {
  return header !== undefined && acceptable.test(header) ? header : randomHex(16);
}
