import { type Decision, decide, type Rate } from "./rate.js";

/** Where the buckets of one limit are. */
export interface Store {
  /** Takes a request out of the key's bucket if it has one left. Rejects where a store elsewhere does not answer. */
  take(key: string): Decision | Promise<Decision>;
}

/** Most keys of one limit; about 100 bytes each. */
const mostKeys = 100_000;

/** When the bucket of a key is full, and its neighbours in the order of the last admission. */
interface Bucket {
  readonly key: string;
  until: number;
  earlier: Bucket | undefined;
  later: Bucket | undefined;
}

/**
 * Buckets in this process. A full bucket is as good as none, so that only keys are kept whose bucket is not full;
 * beyond `most` keys the one that was admitted longest ago starts anew. Their order is a ring of its own: to delete and
 * set a key of a Map again at each request would make the Map outgrow table after table.
 * @param now ticks of a monotonic clock
 */
export function createMemoryStore(rate: Rate, now: () => number, most = mostKeys): MemoryStore {
  const buckets = new Map<string, Bucket>();
  const ring = bucketOf("");
  ring.earlier = ring;
  ring.later = ring;

  /** Two old keys go for each new one where their buckets are full, so that what is not needed is soon gone. */
  const makeRoom = (time: number): void => {
    for (let looked = 0; looked < 2; looked++) {
      const oldest = ring.later as Bucket;
      if (oldest === ring || (oldest.until > time && buckets.size < most)) return;
      buckets.delete(oldest.key);
      unlink(oldest);
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
        bucket = bucketOf(key);
        buckets.set(key, bucket);
        link(bucket, ring);
      } else if (bucket.later !== ring) {
        unlink(bucket);
        link(bucket, ring);
      }
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

function bucketOf(key: string): Bucket {
  return { key, until: 0, earlier: undefined, later: undefined };
}

/** As the latest. */
function link(bucket: Bucket, ring: Bucket): void {
  const latest = ring.earlier as Bucket;
  bucket.earlier = latest;
  bucket.later = ring;
  latest.later = bucket;
  ring.earlier = bucket;
}

/** Its own links go, too: it must hold nothing once it is old. */
function unlink(bucket: Bucket): void {
  const { earlier, later } = bucket;
  if (earlier === undefined || later === undefined) return;
  earlier.later = later;
  later.earlier = earlier;
  bucket.earlier = undefined;
  bucket.later = undefined;
}
