import { randomFillSync } from "node:crypto";

/**
 * Random bytes are drawn in batches, since each draw is a system call. A caller takes its bytes and moves `next` at once:
 * no await between.
 */
const pool = Buffer.allocUnsafeSlow(4096);
let next = pool.length;

/** Lower-case hex of that many random bytes (1..64), twice as many characters. */
export function randomHex(bytes: number): string {
  if (next + bytes > pool.length) {
    randomFillSync(pool);
    next = 0;
  }
  const start = next;
  next += bytes;
  return pool.toString("hex", start, next);
}
