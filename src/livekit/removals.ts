import type { ProcessChannel } from "../workers/channel.js";
import type { WorkerPool } from "../workers/pool.js";
import { topic } from "../workers/topic.js";

/** Bytes that LiveKit takes for names of rooms and participants by default. */
export const maxNameBytes = 256;
/** Removals that are remembered at once; the oldest is forgotten first. */
const maxRemovals = 10_000;

/** A participant was removed from a room, and gets no token for so many seconds. */
export interface Removal {
  /** A name of `livekit.projects`; undefined: the section's own server. */
  readonly project: string | undefined;
  readonly room: string;
  readonly identity: string;
  readonly seconds: number;
}

/**
 * The participants removed from each room, for as long as an earlier token may still be valid. One a process, in
 * memory: it outlives reloads, neither restarts nor is it known to other gateways. Workers share it.
 */
export class Removals {
  readonly #ends = new Map<string, number>();
  readonly #limit: number;
  readonly #now: () => number;
  #maxTtlSeconds = 0;
  /** Shares an added removal with the other workers. */
  share: (removal: Removal) => void = () => undefined;

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
  add(project: string | undefined, room: string, identity: string, ttl: number): void {
    // No token is given out for longer names.
    if (Buffer.byteLength(room) > maxNameBytes || Buffer.byteLength(identity) > maxNameBytes) return;
    const seconds = Math.max(ttl, this.#maxTtlSeconds);
    const removal = { project, room, identity, seconds };
    this.learn(removal);
    this.share(removal);
  }

  /** Another worker has added it. */
  learn({ project, room, identity, seconds }: Removal): void {
    const key = keyOf(project, room, identity);
    this.#ends.delete(key);
    if (this.#ends.size >= this.#limit) this.#makeRoom();
    this.#ends.set(key, this.#now() + 1000 * Math.max(seconds, this.#maxTtlSeconds));
  }

  /** Those that still hold. */
  all(): Removal[] {
    const now = this.#now();
    return [...this.#ends].flatMap(([key, end]) => {
      const [project, room, identity] = JSON.parse(key) as [string | null, string, string];
      const seconds = Math.ceil((end - now) / 1000);
      return end <= now ? [] : [{ project: project ?? undefined, room, identity, seconds }];
    });
  }

  /** Whole seconds for which the identity gets no token for the room; 0: it may have one. */
  secondsLeft(project: string | undefined, room: string, identity: string): number {
    if (this.#ends.size === 0) return 0;
    const key = keyOf(project, room, identity);
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

function keyOf(project: string | undefined, room: string, identity: string): string {
  return JSON.stringify([project ?? null, room, identity]);
}

const removed = topic<Removal>("livekit.removed");

/** In a worker: shares removals with the others. */
export function shareRemovals(removals: Removals, channel: ProcessChannel): void {
  removals.share = removal => void channel.send(removed, removal);
  channel.onMessage(removed, removal => removals.learn(removal));
}

/** In the primary: passes removals on, also to workers that join later. */
export function relayRemovals(pool: WorkerPool): void {
  const known = new Removals();
  pool.onForked(worker => {
    worker.channel.onMessage(removed, removal => {
      known.learn(removal);
      pool.broadcast(removed, removal, worker);
    });
  });
  pool.onJoined(({ channel }) => {
    for (const removal of known.all()) channel.send(removed, removal);
  });
}
