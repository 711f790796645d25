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

/** Work that stops after every small step, and yields the units that the step took. */
export type Steps<Result = void> = Generator<number, Result>;

/** Units for stopping and resuming, beside the units of the step. */
const unitsPerStep = 0.5;

/** Does the work in as many turns as it needs. */
export async function inTurns<Result>(pace: Pace, steps: Steps<Result>): Promise<Result> {
  for (let step = steps.next(); ; step = steps.next()) {
    if (step.done) return step.value;
    if (pace.spent(step.value + unitsPerStep)) await pace.nextTurn();
  }
}

let lastLarge: Promise<unknown> = Promise.resolve();

/** Large works of requests are done one after the other, so that each turn of the event loop has a part of one of them. */
export function inLine<Result>(work: () => Promise<Result>): Promise<Result> {
  const done = lastLarge.then(work);
  lastLarge = done.catch(() => undefined);
  return done;
}

/** Does work of a request at once where one turn is enough for it; the rest waits in line with that of others. */
export function withinTurns<Result>(steps: Steps<Result>, pace = createPace()): Result | Promise<Result> {
  for (let step = steps.next(); ; step = steps.next()) {
    if (step.done) return step.value;
    if (!pace.spent(step.value + unitsPerStep)) continue;
    return inLine(async () => {
      await pace.nextTurn();
      return inTurns(pace, steps);
    });
  }
}

/** Does the work at once, where it is known to be small. */
export function atOnce<Result>(steps: Steps<Result>): Result {
  for (let step = steps.next(); ; step = steps.next()) if (step.done) return step.value;
}
