/** Bytes that LiveKit takes for names of rooms and participants by default. */
export const maxNameBytes = 256;
/** Removals that are remembered at once; the oldest is forgotten first. */
const maxRemovals = 10_000;

/**
 * Who was removed from which room, for as long as an earlier token may still be valid. One a process, in memory: it
 * outlives reloads, neither restarts nor is it known to other gateways.
 */
export class Removals {
  readonly #ends = new Map<string, number>();
  readonly #limit: number;
  readonly #now: () => number;
  #maxTtlSeconds = 0;

  /** `now`: a clock in milliseconds since 1970. */
  constructor(limit = maxRemovals, now: () => number = Date.now) {
    this.#limit = limit;
    this.#now = now;
  }

  /** A token that is good for so many seconds was given out. */
  issued(seconds: number): void {
    if (seconds > this.#maxTtlSeconds) this.#maxTtlSeconds = seconds;
  }

  /** `ttl`: seconds that a token given out by now may be good for, where none was given out by this process. */
  add(room: string, identity: string, ttl: number): void {
    // No token is given out for longer names.
    if (Buffer.byteLength(room) > maxNameBytes || Buffer.byteLength(identity) > maxNameBytes) return;
    const key = keyOf(room, identity);
    this.#ends.delete(key);
    if (this.#ends.size >= this.#limit) this.#makeRoom();
    this.#ends.set(key, this.#now() + 1000 * Math.max(ttl, this.#maxTtlSeconds));
  }

  /** Whole seconds for which the identity gets no token for the room; 0: it may have one. */
  secondsLeft(room: string, identity: string): number {
    if (this.#ends.size === 0) return 0;
    const key = keyOf(room, identity);
    const end = this.#ends.get(key);
    if (end === undefined) return 0;
    const left = end - this.#now();
    if (left <= 0) this.#ends.delete(key);
    return Math.max(0, Math.ceil(left / 1000));
  }

  #makeRoom(): void {
    const now = this.#now();
    for (const [key, end] of this.#ends) if (end <= now) this.#ends.delete(key);
    for (const key of this.#ends.keys()) {
      if (this.#ends.size < this.#limit) return;
      this.#ends.delete(key);
    }
  }
}

function keyOf(room: string, identity: string): string {
  return JSON.stringify([room, identity]);
}
