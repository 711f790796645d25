import { count, type RealtimeMetrics, type SentType } from "../metrics.js";
import type { Publisher } from "./connection.js";
import { costOf, noticeCost, type RoomPacer, turnBudget, writeCost } from "./room-pacer.js";
import type { RoomTraces } from "./room-traces.js";
import type { Room, Socket } from "./socket.js";

/** Bytes. */
export interface FanOutLimits {
  /** Bytes that may wait for one client before it is too slow. */
  readonly max: number;
  /** How many rooms a socket may be in. */
  readonly rooms: number;
}

/** Defers frames for members. */
export interface Deferral {
  /** Looks at the buffers of a room's members. */
  sweep(room: Room): void;
  /**
   * Lets all members but the `first` so many wait for the frame that the room sends next.
   * @param seq of that frame; 0 for a notice
   * @returns those that wait
   */
  defer(room: Room, seq: number, first: number): readonly Socket[];
  /** @returns the cost of what waited for it, in units of the budget of a turn; undefined where it no longer waits */
  resume(socket: Socket, room: Room): number | undefined;
}

/** Most cost of a message in one turn; beyond it some members get it in later turns. */
const maxTurnCost = 2 * turnBudget;
/** Members between two checks of the cost so far. */
const membersPerStep = 16;

/**
 * Sends to all members of a room at once.
 *
 * uWebSockets.js would drop frames that a socket cannot take, without a report. It is given no limit, so that it
 * never drops; the limit is ours. Before the rooms of one socket can have sent it another `max` bytes unseen, the
 * buffers of their members are checked.
 */
export class FanOut {
  readonly #publishers: Publisher[] = [];
  /** Undefined where no traces are recorded. */
  traces: RoomTraces | undefined;
  #quota = 0;
  #rooms = 1;

  constructor(
    readonly metrics: RealtimeMetrics,
    readonly pacer: RoomPacer,
    readonly deferral: Deferral,
  ) {}

  set limits({ max, rooms }: FanOutLimits) {
    // A member of more rooms than the new limit is still in all of them.
    this.#rooms = Math.max(this.#rooms, rooms);
    this.#quota = Math.max(1, Math.floor(max / this.#rooms));
  }

  /** Its sockets are reached from now on. */
  attach(publisher: Publisher): void {
    this.#publishers.push(publisher);
  }

  /**
   * @param seq 0 for frames without a number
   * @param except does not get it
   */
  publish(room: Room, type: SentType, text: string, seq: number, except?: Socket): void {
    const bytes = Buffer.byteLength(text);
    const span = seq === 0 ? undefined : this.traces?.delivery(room.name);
    const perMember = costOf(1, bytes);
    const memberCost = perMember + writeCost;
    const exceedsTurn = (room.members.size - room.lagging) * memberCost > maxTurnCost;
    const deferred = exceedsTurn
      ? this.deferral.defer(room, seq, Math.ceil(turnBudget / memberCost))
      : undefined;
    room.backlog?.add(type, text, bytes, seq, except);
    if (room.deferredFanOut !== undefined) room.deferredFanOut.frames++;
    const skipped = except?.unsubscribe(room.topic) === true;
    let recipients = room.members.size - room.lagging;
    if (except?.rooms.get(room.name) === room && except.lag?.has(room) !== true) recipients--;
    if (recipients > 0) {
      const started = performance.now();
      for (const publisher of this.#publishers) publisher.publish(room.topic, text);
      count(this.metrics.sent[type], recipients, bytes);
      this.pacer.spend(room, costOf(seq === 0 ? noticeCost * recipients : recipients, bytes));
      this.metrics.fannedOut(recipients + (deferred?.length ?? 0), performance.now() - started);
    }
    if (span !== undefined) {
      span.set("protogate.members", recipients);
      span.set("protogate.members_deferred", deferred?.length ?? 0);
      span.set("protogate.members_behind", room.lagging);
      span.set("messaging.message.body.size", bytes);
      span.end();
    }
    if (deferred !== undefined) this.#advanceLater(room, deferred);
    if (skipped) except.subscribe(room.topic);
    room.bytesSinceSweep += bytes;
    if (room.bytesSinceSweep < this.#quota) return;
    room.bytesSinceSweep = 0;
    this.deferral.sweep(room);
  }

  /** Members that are behind by several messages then get them in one write. */
  #advanceLater(room: Room, members: readonly Socket[]): void {
    const { deferredFanOut } = room;
    if (deferredFanOut !== undefined) {
      for (const member of members) deferredFanOut.members.push(member);
      return;
    }
    const waiting = [...members];
    this.pacer.begin(room, {
      members: waiting,
      frames: 1,
      advance: () => {
        for (const member of waiting.splice(0, membersPerStep)) {
          this.pacer.spend(room, this.deferral.resume(member, room) ?? 0);
        }
        return waiting.length > 0;
      },
    });
  }
}
