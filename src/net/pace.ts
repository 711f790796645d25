import { setImmediate } from "node:timers/promises";

/**
 * Bounds the work that loading does in one turn of the event loop. A unit is about a microsecond of work.
 * Use: `if (pace.spent(units)) await pace.nextTurn();`, so that nothing is awaited while the turn has room.
 */
export interface Pace {
  /** Counts work that was done. True: this turn has done its share, the next one has to go on. */
  spent(units: number): boolean;
  nextTurn(): Promise<void>;
}

/** Units of one turn: about 5 ms. */
export const unitsPerTurn = 5_000;

export function createPace(maxUnits = unitsPerTurn): Pace {
  let units = 0;
  return {
    spent(more) {
      units += more;
      return units >= maxUnits;
    },
    async nextTurn() {
      units = 0;
      await setImmediate();
    },
  };
}
