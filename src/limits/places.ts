/** How many requests of each key are under way. */
export interface Places {
  /** Takes a place and gives what returns it, once; undefined where all are taken. */
  take(key: string): (() => void) | undefined;
}

/** @param most places of one key. Keys without a request are not kept. */
export function createPlaces(most: number): Places {
  const taken = new Map<string, number>();
  return {
    take(key) {
      const count = taken.get(key) ?? 0;
      if (count >= most) return undefined;
      taken.set(key, count + 1);
      let held = true;
      return () => {
        if (!held) return;
        held = false;
        const left = (taken.get(key) as number) - 1;
        if (left === 0) taken.delete(key);
        else taken.set(key, left);
      };
    },
  };
}
