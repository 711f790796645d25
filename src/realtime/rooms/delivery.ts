import { gatewayError } from "../../status/failure.js";
import type { Message, Notice } from "../brokers/broker.js";
import type { RealtimeMetrics } from "../metrics.js";
import type { FanOut } from "./fan-out.js";
import type { HeldDelivery } from "./held-delivery.js";
import type { OpenSockets } from "./open-sockets.js";
import { hasFullShare, isFull, isOverfull, isOverfullOfNotices, type RoomPacer } from "./room-pacer.js";
import type { SlowConsumers } from "./slow-consumers.js";
import type { Room, Socket } from "./socket.js";

export interface DeliveryOwner {
  readonly metrics: RealtimeMetrics;
  readonly fanOut: FanOut;
  readonly slow: SlowConsumers;
  readonly open: OpenSockets;
}

/**
 * Delivers to members of this node the messages of the broker for their room: at once, or when it is the room's turn.
 * Messages are in its order, and so are notices; a message may overtake waiting notices. Beyond the limit of waiting
 * items, messages become a gap, and notices are dropped.
 */
export class Delivery {
  readonly #pacer: RoomPacer;
  readonly #owner: DeliveryOwner;

  constructor(pacer: RoomPacer, owner: DeliveryOwner) {
    this.#pacer = pacer;
    this.#owner = owner;
  }

  message(room: Room, message: Message): void {
    const mustWait = (): boolean => message.epoch !== room.epoch;
    if (this.#pacer.isFree(room, mustWait())) this.#message(room, message);
    else if (isOverfull(room)) this.#holdGap(room, message.epoch, message.seq, message.seq);
    else
      this.#pacer.hold(room, {
        byteLength: message.text.length,
        deliver: () => this.#message(room, message),
        mustWait,
      });
  }

  notice(room: Room, notice: Notice): void {
    if (this.#pacer.isFreeOfNotices(room)) this.#notice(room, notice);
    // It is no message: it is never requested again.
    else if (isOverfullOfNotices(room)) this.#owner.metrics.dropped.refused.inc();
    else this.#holdNotice(room, notice);
  }

  /** Messages of that epoch, from one to another, are not known to this node. */
  gap(room: Room, epoch: string, from: number, to: number): void {
    if (this.#pacer.isFree(room, true)) this.#gap(room, epoch, from, to);
    else this.#holdGap(room, epoch, from, to);
  }

  #message(room: Room, message: Message): void {
    const { slow, metrics, fanOut } = this.#owner;
    if (room.epoch !== message.epoch) slow.restart(room, message.epoch);
    room.seq = message.seq;
    room.releaseSenders();
    metrics.delivered(Date.now() - message.at);
    fanOut.publish(room, "receive-message", message.text, message.seq);
  }

  #notice(room: Room, { text, except }: Notice): void {
    const socket = except === undefined ? undefined : this.#owner.open.get(except);
    this.#owner.fanOut.publish(room, "notice", text, 0, socket);
  }

  #gap(room: Room, epoch: string, from: number, to: number): void {
    const { slow } = this.#owner;
    if (room.epoch !== epoch) slow.restart(room, epoch);
    room.seq = Math.max(room.seq, to);
    room.releaseSenders();
    for (const socket of [...room.members.keys()]) slow.missed(socket, room, from);
  }

  /** A socket that joins or leaves is charged for it until its members have been notified. */
  #holdNotice(room: Room, notice: Notice): void {
    const by = notice.except === undefined ? undefined : this.#owner.open.get(notice.except);
    const release = (): void => {
      if (by !== undefined) by.heldFrames--;
    };
    if (by !== undefined) by.heldFrames++;
    const deliver = (): void => {
      release();
      this.#notice(room, notice);
    };
    this.#pacer.holdNotice(room, { byteLength: notice.text.length, deliver, drop: release });
  }

  /** Members read the missing messages from history when its turn comes; adjacent gaps are joined. */
  #holdGap(room: Room, epoch: string, from: number, to: number): void {
    const last = room.held.at(-1);
    if (last instanceof HeldGap && last.epoch === epoch) last.to = to;
    else this.#pacer.hold(room, new HeldGap(epoch, from, to, gap => this.#gap(room, epoch, from, gap.to)));
  }
}

/** Messages that members get a gap for, or read from history, when it is the room's turn. */
class HeldGap implements HeldDelivery {
  readonly byteLength = 0;

  constructor(
    readonly epoch: string,
    readonly from: number,
    public to: number,
    readonly apply: (gap: HeldGap) => void,
  ) {}

  deliver(): void {
    this.apply(this);
  }

  mustWait(): boolean {
    return true;
  }
}

/**
 * @param room undefined where it has no members here
 * @param by is refused where it has more to deliver than its share
 * @throws GatewayError TOO_MANY_PENDING where the room has too much to deliver already
 */
export function requireTurn(room: Room | undefined, by: Socket | undefined): void {
  if (by !== undefined && hasFullShare(by)) {
    const message = "too many messages of this socket wait to be delivered";
    throw gatewayError("TOO_MANY_PENDING", message, [], { retryAfter: 1 });
  }
  if (room === undefined || !isFull(room)) return;
  const message = "too many messages of the room wait to be delivered";
  throw gatewayError("TOO_MANY_PENDING", message, [], { retryAfter: 1 });
}
