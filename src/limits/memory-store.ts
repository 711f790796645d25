import { type Decision, decide, type Rate } from "./rate.js";

/** Where the buckets of one limit are. */
export interface Store {
  /** Takes a request out of the key's bucket if it has one left. Rejects where a store elsewhere does not answer. */
  take(key: string): Decision | Promise<Decision>;
}

/** Most keys of one limit; about 100 bytes each. */
const mostKeys = 100_000;

/**
 * Buckets in this process. A full bucket is as good as none, so that only keys are kept whose bucket is not full;
 * beyond `most` keys the one that was admitted longest ago starts anew.
 * @param now ticks of a monotonic clock
 */
export function createMemoryStore(rate: Rate, now: () => number, most = mostKeys): MemoryStore {
  /** By key, when the bucket is full; in the order of the last admission. */
  const full = new Map<string, number>();
  return {
    get keys() {
      return full.size;
    },
    take(key) {
      const time = now();
      const until = full.get(key);
      const decision = decide(rate, until === undefined ? 0 : Math.max(0, until - time));
      if (!decision.admitted) return decision;
      if (until !== undefined) full.delete(key);
      else makeRoom(full, time, most);
      full.set(key, time + decision.debt);
      return decision;
    },
  };
}

export interface MemoryStore extends Store {
  /** How many are kept. */
  readonly keys: number;
  take(key: string): Decision;
}

/** Two old keys go for each new one where their buckets are full, so that what is not needed is soon gone. */
function makeRoom(full: Map<string, number>, time: number, most: number): void {
  let looked = 0;
  for (const [key, until] of full) {
    if (until > time && full.size < most) return;
    full.delete(key);
    if (++looked === 2) return;
  }
}
