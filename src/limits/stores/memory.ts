import { Linked, Ring } from "../../net/ring.js";
import { type Decision, decide, type Rate } from "../rate.js";
import type { Store, StoreType } from "./store.js";

/** Most keys of one limit; about 100 bytes each. */
const maxKeysOfLimit = 100_000;

class Bucket extends Linked {
  /** When it is full. */
  until = 0;

  constructor(readonly key: string) {
    super();
  }
}

/**
 * Buckets in this process. A full bucket is as good as none, so that only keys are kept whose bucket is not full;
 * beyond `maxKeys` the one that was admitted longest ago starts anew. Their order is a ring of its own: to delete and
 * set a key of the Map again at each request would make it outgrow table after table.
 * @param now ticks of a monotonic clock
 */
export function createMemoryStore(rate: Rate, now: () => number, maxKeys = maxKeysOfLimit): MemoryStore {
  const buckets = new Map<string, Bucket>();
  const ring = new Ring<Bucket>();

  /** Two old keys are removed for each new one where their buckets are full, so that unused ones are soon gone. */
  const makeRoom = (time: number): void => {
    for (let looked = 0; looked < 2; looked++) {
      const oldest = ring.first;
      if (oldest === undefined || (oldest.until > time && buckets.size < maxKeys)) return;
      buckets.delete(oldest.key);
      ring.remove(oldest);
    }
  };

  return {
    get keys() {
      return buckets.size;
    },
    take(key) {
      const time = now();
      let bucket = buckets.get(key);
      const decision = decide(rate, bucket === undefined ? 0 : Math.max(0, bucket.until - time));
      if (!decision.admitted) return decision;
      if (bucket === undefined) {
        makeRoom(time);
        bucket = new Bucket(key);
        buckets.set(key, bucket);
      } else ring.remove(bucket);
      ring.add(bucket);
      bucket.until = time + decision.debt;
      return decision;
    },
  };
}

export interface MemoryStore extends Store {
  /** How many are kept. */
  readonly keys: number;
  take(key: string): Decision;
}

/** Counts of this process, or of all workers. */
export const memory = {
  open: (_, { now, borrower }) => ({
    store: (limit, rate) => borrower?.store(limit, rate) ?? createMemoryStore(rate, now),
    retain: () => {},
    release: () => {},
  }),
} satisfies StoreType<undefined>;
