/** Releases a permit. */
export type Permit = () => void;

/** Counts the requests under way by key. */
export interface ConcurrencyLimiter {
  /** Acquires a permit and returns its release, to be called once; undefined where all permits of the key are held. */
  acquire(key: string): Permit | undefined | Promise<Permit | undefined>;
}

/** @param maxPermits of one key. Keys without a request are not kept. */
export function createConcurrencyLimiter(maxPermits: number): ConcurrencyLimiter {
  const held = new Map<string, number>();
  return {
    acquire(key) {
      const count = held.get(key) ?? 0;
      if (count >= maxPermits) return undefined;
      held.set(key, count + 1);
      let released = false;
      return () => {
        if (released) return;
        released = true;
        const left = (held.get(key) as number) - 1;
        if (left === 0) held.delete(key);
        else held.set(key, left);
      };
    },
  };
}
