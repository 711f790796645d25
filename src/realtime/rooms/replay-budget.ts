/** Bytes that a socket may have replayed at once, and each second after that. */
export const replayBurst = 4 * 1024 ** 2;
export const replayPerSecond = 1024 ** 2;

/** Bytes that a budget which was used up must have again, so that history is read in slices worth their work. */
const replayQuantum = 64 * 1024;

/** Bytes that a message costs at least: short ones are not for nothing. */
const minCostBytes = 256;

/**
 * The replay that a socket may still request by `since`. A frame of a hundred bytes can request megabytes,
 * and its sender can leave the room and request again: messages beyond the budget come later, when it has grown again.
 */
export class ReplayBudget {
  #left = replayBurst;
  #usedUp = false;
  #at: number;

  /** @param now milliseconds, of a clock that never goes back */
  constructor(now: number) {
    this.#at = now;
  }

  /** Whether one more message may be replayed now. */
  open(now: number): boolean {
    this.#left = Math.min(replayBurst, this.#left + ((now - this.#at) * replayPerSecond) / 1000);
    this.#at = now;
    this.#usedUp = this.#left < (this.#usedUp ? replayQuantum : 1);
    return !this.#usedUp;
  }

  /** A message has been replayed. */
  spend(bytes: number): void {
    this.#left -= Math.max(bytes, minCostBytes);
  }
}
