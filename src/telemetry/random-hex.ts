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
