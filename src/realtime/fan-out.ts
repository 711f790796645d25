import type { UwsApp } from "../net/uws-addon.js";
import { count, type RealtimeMetrics, type SentType } from "./metrics.js";
import type { Room } from "./room.js";
import type { Socket } from "./socket.js";

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
 * buffers of their members are looked at: a socket holds twice `max` at most, and up to 32 messages that uWebSockets.js
 * hands over at the end of the turn.
 */
export class FanOut {
  readonly #apps: { readonly app: UwsApp; readonly deflate: boolean }[] = [];
  #quota = 0;
  #max = 0;

  /** @param tooSlow is told of each member that has more than `max` bytes waiting */
  constructor(
    readonly metrics: RealtimeMetrics,
    readonly tooSlow: (socket: Socket) => void,
  ) {}

  set limits({ max, rooms }: FanOutLimits) {
    this.#max = max;
    this.#quota = Math.max(1, Math.floor(max / rooms));
  }

  /** Sockets of this app are reached from now on. @param deflate whether it compresses */
  attach(app: UwsApp, deflate: boolean): void {
    this.#apps.push({ app, deflate });
  }

  /** @param except does not get it */
  publish(room: Room, type: SentType, text: string, except?: Socket): void {
    const recipients = room.members.size - room.lagging;
    if (recipients === 0) return;
    const started = performance.now();
    const skipped = except?.unsubscribe(room.topic) === true;
    for (const { app, deflate } of this.#apps) app.publish(room.topic, text, false, deflate);
    if (skipped) except.subscribe(room.topic);
    const bytes = Buffer.byteLength(text);
    count(this.metrics.sent[type], recipients, bytes);
    this.metrics.fannedOut(recipients, performance.now() - started);
    room.unswept += bytes;
    if (room.unswept >= this.#quota) this.#sweep(room);
  }

  #sweep(room: Room): void {
    room.unswept = 0;
    const max = this.#max;
    let slow: Socket[] | undefined;
    for (const socket of room.members.keys()) {
      if (socket.buffered <= max || socket.lag?.has(room) === true) continue;
      slow ??= [];
      slow.push(socket);
    }
    // Afterwards, because ending one tells the others, who may be swept again by that.
    if (slow !== undefined) for (const socket of slow) this.tooSlow(socket);
  }
}
