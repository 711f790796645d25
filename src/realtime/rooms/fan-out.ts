import { count, type RealtimeMetrics, type SentType } from "../metrics.js";
import type { RoomPacer } from "./room-pacer.js";
import type { Publisher, Room, Socket } from "./socket.js";

/** Bytes. */
export interface FanOutLimits {
  /** What may wait for one client before it is too slow. */
  readonly max: number;
  /** How many rooms a socket may be in. */
  readonly rooms: number;
}

/**
 * Sends to all members of a room at once.
 *
 * uWebSockets.js would drop, without saying so to whom, what a socket cannot take. It is given no limit, so that it
 * never drops; the limit is ours. Before the rooms of one socket can have sent it another `max` bytes unseen, the
 * buffers of their members are looked at.
 */
export class FanOut {
  readonly #publishers: Publisher[] = [];
  #quota = 0;
  #rooms = 1;

  /** @param sweep looks at the buffers of a room's members */
  constructor(
    readonly metrics: RealtimeMetrics,
    readonly pacer: RoomPacer,
    readonly sweep: (room: Room) => void,
  ) {}

  set limits({ max, rooms }: FanOutLimits) {
    // Who joined more rooms than a socket may be in now is in them still.
    this.#rooms = Math.max(this.#rooms, rooms);
    this.#quota = Math.max(1, Math.floor(max / this.#rooms));
  }

  /** Its sockets are reached from now on. */
  attach(publisher: Publisher): void {
    this.#publishers.push(publisher);
  }

  /**
   * @param seq 0 for what has none
   * @param except does not get it
   */
  publish(room: Room, type: SentType, text: string, seq: number, except?: Socket): void {
    const bytes = Buffer.byteLength(text);
    room.backlog?.add(type, text, bytes, seq, except);
    const skipped = except?.unsubscribe(room.topic) === true;
    let recipients = room.members.size - room.lagging;
    if (except?.rooms.get(room.name) === room && except.lag?.has(room) !== true) recipients--;
    if (recipients > 0) {
      const started = performance.now();
      for (const publisher of this.#publishers) publisher.publish(room.topic, text);
      count(this.metrics.sent[type], recipients, bytes);
      // Who joins or leaves changes what uWebSockets.js has gathered for one write to each: its notice costs twice as much.
      this.pacer.spend(room, seq === 0 ? 2 * recipients : recipients, bytes);
      this.metrics.fannedOut(recipients, performance.now() - started);
    }
    if (skipped) except.subscribe(room.topic);
    room.bytesSinceSweep += bytes;
    if (room.bytesSinceSweep < this.#quota) return;
    room.bytesSinceSweep = 0;
    this.sweep(room);
  }
}
