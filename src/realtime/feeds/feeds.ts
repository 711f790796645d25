import type { Channel } from "../../upstream/channel.js";
import type { LocalHub } from "../rooms/local-hub.js";
import type { RoomFollower } from "../rooms/memberships.js";
import type { FeedPlan } from "./compile-feeds.js";
import { FedRoom, type FedRoomOwner } from "./fed-room.js";
import type { FeedMetrics } from "./feed-metrics.js";

/** The parts of one loaded configuration that feeds use. */
export interface FeedTarget {
  /** By the index of the entry in `realtime.rooms`. */
  readonly plans: ReadonlyMap<number, FeedPlan>;
  /** By the names of upstreams; closed by their owner, which waits for the streams on them. */
  readonly channels: ReadonlyMap<string, Channel>;
  /** Streams that this process may have. */
  readonly streams: number;
}

interface Fed {
  readonly room: FedRoom;
  /** Until it is stopped, after its last member here has left. */
  lingering: NodeJS.Timeout | undefined;
}

/** The rooms of this node that are fed by streams of backends. Each reload replaces plans and channels. */
export class Feeds implements RoomFollower, FedRoomOwner {
  readonly hub: LocalHub;
  readonly metrics: FeedMetrics;
  readonly #rooms = new Map<string, Fed>();
  /** Those that have stopped, and release their leases. */
  readonly #ending = new Set<Promise<void>>();
  #target: FeedTarget | undefined;
  #taken = 0;
  /** Rooms that need one of the streams, all of which are taken. */
  readonly #waiting = new Set<FedRoom>();
  #refused = false;
  #closed = false;

  constructor(hub: LocalHub, metrics: FeedMetrics) {
    this.hub = hub;
    this.metrics = metrics;
    hub.follower = this;
  }

  /** After the hub has the kinds of rooms of the same configuration. A stream goes on where nothing that it depends on has changed. */
  use(target: FeedTarget): void {
    this.#target = target;
    for (const [name, { room }] of [...this.#rooms]) {
      const plan = this.#planOf(name);
      if (plan === undefined) this.#stop(name);
      else room.plan = plan;
    }
    for (const { name, opening } of this.hub.rooms()) if (opening === undefined) this.opened(name);
  }

  opened(name: string): void {
    const fed = this.#rooms.get(name);
    if (fed !== undefined) {
      clearTimeout(fed.lingering);
      fed.lingering = undefined;
      return;
    }
    const plan = this.#planOf(name);
    if (plan === undefined || this.#closed) return;
    this.#rooms.set(name, { room: new FedRoom(this, name, plan), lingering: undefined });
  }

  closed(name: string): void {
    const fed = this.#rooms.get(name);
    if (fed === undefined) return;
    clearTimeout(fed.lingering);
    fed.lingering = setTimeout(() => this.#stop(name), fed.room.plan.linger);
    fed.lingering.unref();
  }

  vacated(name: string): void {
    this.#rooms.get(name)?.room.vacated();
  }

  channel(upstream: string): Channel | undefined {
    return this.#target?.channels.get(upstream);
  }

  parts(room: string): ReadonlyMap<string, string> {
    const { kinds } = this.hub;
    const parts = Array.from(kinds.names, name => [name, kinds.part(room, name)] as const);
    return new Map(parts.filter((part): part is [string, string] => part[1] !== undefined));
  }

  take(room: FedRoom): boolean {
    this.#waiting.delete(room);
    if (this.#taken < (this.#target?.streams ?? 0)) {
      this.#taken++;
      return true;
    }
    this.#waiting.add(room);
    if (!this.#refused)
      this.hub.logger?.warn(
        { streams: this.#taken },
        "this process feeds as many rooms as realtime.feeds.streams lets it; others wait",
      );
    this.#refused = true;
    return false;
  }

  give(): void {
    this.#taken--;
    const [next] = this.#waiting;
    if (next === undefined) this.#refused = false;
    else next.proceed();
  }

  /** Ends all streams and releases their leases: other nodes with members go on at once. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const name of [...this.#rooms.keys()]) this.#stop(name);
    await Promise.all(this.#ending);
  }

  #planOf(name: string): FeedPlan | undefined {
    const index = this.hub.kinds.entryOf(name);
    return index === undefined ? undefined : this.#target?.plans.get(index);
  }

  #stop(name: string): void {
    const fed = this.#rooms.get(name);
    if (fed === undefined) return;
    clearTimeout(fed.lingering);
    this.#rooms.delete(name);
    this.#waiting.delete(fed.room);
    fed.room.stop();
    const ended = fed.room.ended.finally(() => this.#ending.delete(ended));
    this.#ending.add(ended);
  }
}
