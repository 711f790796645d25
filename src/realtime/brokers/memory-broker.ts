import {
  type Broker,
  defaultLeaseMs,
  type HistoryLimits,
  type Message,
  type Published,
  type Receiver,
  type Replay,
  type RoomDraft,
  type RoomPosition,
  stamped,
} from "./broker.js";
import { History } from "./history.js";
import { MemoryLeases } from "./memory-leases.js";

/** Milliseconds between two searches for expired messages. */
const expiryInterval = 10_000;

/** The broker of a gateway that is one process: all methods are synchronous. */
export class MemoryBroker implements Broker {
  readonly presence = undefined;
  readonly leases: MemoryLeases;
  readonly ready = true;
  readonly #history: History;
  readonly #ttl: number;
  readonly #timer: NodeJS.Timeout;
  #receiver: Receiver | undefined;

  constructor(limits: HistoryLimits, leaseMs = defaultLeaseMs) {
    this.leases = new MemoryLeases(
      leaseMs,
      (room, draft) => this.publish(room, draft),
      room => {
        if (this.#history.find(room)?.held === true) this.#receiver?.vacated(room);
      },
    );
    this.#history = new History(limits);
    this.#ttl = limits.ttl;
    this.#timer = setInterval(() => this.#expire(), expiryInterval);
    this.#timer.unref();
  }

  /** Of all messages that are kept, about. */
  get bytes(): number {
    return this.#history.bytes;
  }

  /** Rooms that are remembered. */
  get size(): number {
    return this.#history.size;
  }

  start(receiver: Receiver): void {
    this.#receiver = receiver;
  }

  publish(room: string, draft: RoomDraft): Published | undefined {
    const { frame, kept, key, except, at } = draft;
    if (!kept) {
      if (this.#history.find(room)?.held === true) this.#receiver?.notice(room, { text: frame, except, at });
      return undefined;
    }
    const timeline = this.#history.open(room);
    const first = key === undefined ? undefined : timeline.keys?.get(key);
    if (first !== undefined) return first;
    const { epoch } = timeline;
    const seq = ++timeline.seq;
    const text = stamped(frame, epoch, seq);
    // Kept first: members that are behind get it from there.
    this.#history.add(timeline, text, at, key);
    if (timeline.held) this.#receiver?.message(room, { epoch, seq, text, at });
    return { epoch, seq, duplicate: false };
  }

  subscribe(room: string): RoomPosition {
    const { epoch, seq } = this.#history.hold(room, true);
    return { epoch, seq };
  }

  unsubscribe(room: string): void {
    if (this.#history.find(room) !== undefined) this.#history.hold(room, false, Date.now());
  }

  since(room: string, { epoch, seq }: RoomPosition, limit: number, first?: number): Replay {
    this.#expire(room);
    return this.#history.since(room, epoch, seq, limit, first);
  }

  history(room: string, limit: number, before?: number): readonly Message[] {
    this.#expire(room);
    return this.#history.latest(room, limit, before);
  }

  rooms(limit: number): readonly string[] {
    this.#expire();
    return this.#history.names(limit, Date.now());
  }

  signal(): void {}

  async close(): Promise<void> {
    clearInterval(this.#timer);
  }

  #expire(room?: string): void {
    const now = Date.now();
    this.#history.expire(now - this.#ttl);
    if (room !== undefined) this.#history.expireIn(room, now);
  }
}
