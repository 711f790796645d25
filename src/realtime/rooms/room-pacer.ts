import type { HeldDelivery } from "./held-delivery.js";
import type { DeferredFanOut, Room, Socket } from "./socket.js";

/**
 * The budget of deliveries of one turn of the event loop, in units of `costOf`, about a microsecond each. Less would
 * cost more: all frames of a turn for one socket are one write.
 */
export const turnBudget = 32_768;
/** Bytes that cost as much as one delivery more. */
const unitBytes = 1024;
/** The share of the budget that may be spent over several turns, which then need no timer. */
const minScheduledCost = turnBudget / 8;
/** Most frames that may wait in one room for later turns, and their bytes. Beyond it messages are refused. */
const maxHeld = 4096;
const maxHeldBytes = 16 * 1024 ** 2;
/** Most frames that are sent before all members have the first of them. */
const maxTogether = 32;
/** Most cost of notices of one room that are not a digest, while they wait or in a second: about 0.4 seconds of work. */
const maxNoticeCost = 400_000;
/** The cost of a write, which takes all frames of a turn for one socket. */
export const writeCost = 8;

export interface PacerOwner {
  /** False for a room that its last member has left: its waiting frames are dropped. */
  isOpen(room: Room): boolean;
  log(error: unknown, what: string): void;
}

/**
 * Bounds the work for rooms in one turn of the event loop, however many frames have come in one packet: a
 * room that has used its share continues in the next turn, behind other rooms that wait. Messages are sent in order,
 * and before waiting notices: in a room that thousands join at once each message would else wait for all of these.
 */
export class RoomPacer {
  #spent = 0;
  #scheduled = false;
  readonly #waiting = new Set<Room>();
  readonly #owner: PacerOwner;

  constructor(owner: PacerOwner) {
    this.#owner = owner;
  }

  /** Whether the room can send a message now. @param last all members must have the last message before */
  isFree(room: Room, last = false): boolean {
    return room.held.length === 0 && !isBlocked(room, last) && this.#spent < turnBudget;
  }

  /** Whether the room can send a notice now. */
  isFreeOfNotices(room: Room): boolean {
    return room.heldNotices.length === 0 && this.isFree(room);
  }

  /** Delivers a message in a later turn, behind the messages that the room holds already. */
  hold(room: Room, held: HeldDelivery): void {
    this.#hold(room, room.held, held);
  }

  /** Delivers a notice in a later turn, behind all that the room holds already. */
  holdNotice(room: Room, held: HeldDelivery): void {
    this.#hold(room, room.heldNotices, held);
  }

  #hold(room: Room, queue: HeldDelivery[], held: HeldDelivery): void {
    queue.push(held);
    room.heldBytes += held.byteLength;
    this.#waiting.add(room);
    this.#schedule();
  }

  /** The room's last message goes to more members in turns to come. */
  begin(room: Room, deferredFanOut: DeferredFanOut): void {
    room.deferredFanOut = deferredFanOut;
    this.#waiting.add(room);
    this.#schedule();
  }

  /** Charges the turn for deliveries. @param cost in units of its budget */
  spend(room: Room, cost: number): void {
    room.spent += cost;
    this.#spent += cost;
    if (this.#spent > minScheduledCost) this.#schedule();
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => this.#nextTurn());
  }

  #nextTurn(): void {
    this.#scheduled = false;
    this.#spent = 0;
    const rooms = [...this.#waiting];
    const share = turnBudget / rooms.length;
    for (const room of rooms) {
      if (this.#spent >= turnBudget) break;
      // Behind the others, if it is not done.
      this.#waiting.delete(room);
      if (!this.#owner.isOpen(room)) {
        for (const queue of [room.held, room.heldNotices]) for (const held of queue.splice(0)) held.drop?.();
        continue;
      }
      this.#resume(room, share);
      if (room.held.length > 0 || room.heldNotices.length > 0 || room.deferredFanOut !== undefined)
        this.#waiting.add(room);
    }
    if (this.#waiting.size > 0) this.#schedule();
  }

  #resume(room: Room, share: number): void {
    room.spent = 0;
    // First to members who have the last message: the others get this one with it, in one write.
    if (room.deferredFanOut !== undefined) this.#deliver(room, room.held, share / 2);
    while (room.deferredFanOut !== undefined && room.spent < share) {
      if (!this.#attempt(() => room.deferredFanOut?.advance() === true)) room.deferredFanOut = undefined;
    }
    this.#deliver(room, room.held, share);
    if (room.held.length === 0) this.#deliver(room, room.heldNotices, share);
  }

  #deliver(room: Room, queue: HeldDelivery[], share: number): void {
    let delivered = 0;
    for (; delivered < queue.length && room.spent < share; delivered++) {
      const held = queue[delivered] as HeldDelivery;
      if (isBlocked(room, held.mustWait?.() === true)) break;
      room.heldBytes -= held.byteLength;
      this.#attempt(() => held.deliver());
    }
    queue.splice(0, delivered);
  }

  #attempt<T>(act: () => T): T | undefined {
    try {
      return act();
    } catch (error) {
      this.#owner.log(error, "a delivery to the members of a room failed");
      return undefined;
    }
  }
}

/** Whether members who wait for a message must get it before the room sends another. */
function isBlocked({ deferredFanOut }: Room, last: boolean): boolean {
  return deferredFanOut !== undefined && (last || deferredFanOut.frames >= maxTogether);
}

/** Whether so much waits in the room that further messages are refused. */
export function isFull({ held, heldBytes }: Room): boolean {
  return held.length >= maxHeld || heldBytes >= maxHeldBytes;
}

/** Whether so much waits that further frames are dropped; leaves and frames of other nodes have a reserve. */
export function isOverfull({ held, heldBytes }: Room): boolean {
  return held.length >= 2 * maxHeld || heldBytes >= 2 * maxHeldBytes;
}

/** Whether so many notices at once, for so many members, are to be a digest. */
export function areTooMany(notices: number, { members: { size } }: Room): boolean {
  // The larger the room, the fewer notices of a turn share a write; above half a budget each needs one of its own.
  const cost = size * (noticeCost + Math.min(writeCost, (writeCost * noticeCost * size) / turnBudget));
  return notices * cost > maxNoticeCost || notices >= maxHeld;
}

/** Whether so many notices wait that further ones are dropped. */
export function isOverfullOfNotices(room: Room): boolean {
  return room.heldNotices.length >= 2 * maxHeld || isOverfull(room);
}

/** Whether the socket's frames waiting in rooms have reached its share: a quarter of what one room holds. */
export function hasFullShare({ heldFrames, heldBytes }: Socket): boolean {
  return heldFrames >= maxHeld / 4 || heldBytes >= maxHeldBytes / 4;
}

/** A join or leave changes what uWebSockets.js has gathered for one write to each member: its notice costs more. */
export const noticeCost = 2;

/** The cost of delivering one frame, in units of the budget of a turn. */
export function costOf(recipients: number, bytes: number): number {
  return recipients * (1 + Math.floor(bytes / unitBytes));
}
