import type { Broker, Member, MemberChange, RoomDraft } from "../brokers/broker.js";
import { digest, notice } from "../chat/frames.js";
import type { RealtimeMetrics } from "../metrics.js";
import type { RoomKind } from "./room-kinds.js";
import { areTooMany } from "./room-pacer.js";
import type { Room } from "./socket.js";

/** Milliseconds in which a digest gathers joins and leaves. */
const intervalMs = 1000;
/** Most names in one digest of members that joined, and of those that left. */
const maxNamed = 100;
/** Names that are remembered of either meanwhile. */
const maxGathered = 10_000;

interface Gathered {
  readonly joined: Set<string>;
  readonly left: Set<string>;
  /** There were more than are remembered. */
  more: boolean;
  /** Joins and leaves. */
  changes: number;
}

export interface NoticesOwner {
  readonly broker: Broker;
  readonly metrics: RealtimeMetrics;
  notice(room: string, notice: { text: string; except: string | undefined; at: number }): void;
  log(error: unknown, what: string): void;
}

/** Notifies members of joins and leaves, as the room's kind demands: of each, or of many at once. */
export class Notices {
  readonly #owner: NoticesOwner;
  readonly #gathered = new Map<Room, Gathered>();
  #timer: NodeJS.Timeout | undefined;

  constructor(owner: NoticesOwner) {
    this.#owner = owner;
  }

  /** A member came or left, on any node: the members that are here are notified. */
  member(room: Room, { from, session, entered, at }: MemberChange): void {
    const notices = this.#noticesOf(room);
    if (notices === "digest") this.#gather(room, from, entered);
    else if (notices === "each") {
      const text = noticeOf(room, { session, from }, entered);
      this.#owner.notice(room.name, { text, except: session, at });
    }
  }

  /** A member came or left where this process is the only node. */
  announce(room: Room, member: Member, entered: boolean): void {
    const notices = this.#noticesOf(room);
    if (notices === "digest") this.#gather(room, member.from, entered);
    if (notices !== "each") return;
    const frame = noticeOf(room, member, entered);
    const draft: RoomDraft = { frame, kept: false, key: undefined, except: member.session, at: Date.now() };
    try {
      const published = this.#owner.broker.publish(room.name, draft);
      if (published instanceof Promise) published.catch((error: unknown) => this.#notNotified(error));
    } catch (error) {
      this.#notNotified(error);
    }
  }

  /** More than can be sent one by one become a digest, and so do those after them until they are fewer again. */
  #noticesOf(room: Room): RoomKind["notices"] {
    const { kind, heldNotices } = room;
    if (kind.notices !== "each") return kind.notices;
    return this.#gathered.has(room) || areTooMany(heldNotices.length, room) ? "digest" : "each";
  }

  #gather(room: Room, from: string, entered: boolean): void {
    const gathered = this.#gathered.get(room) ?? this.#begin(room);
    gathered.changes++;
    const [to, other] = entered ? [gathered.joined, gathered.left] : [gathered.left, gathered.joined];
    // A member that comes and goes within a digest is in neither list.
    if (!other.delete(from)) {
      if (to.size < maxGathered) to.add(from);
      else gathered.more = true;
    }
  }

  #begin(room: Room): Gathered {
    const gathered = { joined: new Set<string>(), left: new Set<string>(), more: false, changes: 0 };
    this.#gathered.set(room, gathered);
    this.#timer ??= setTimeout(() => this.#flush(), intervalMs).unref();
    return gathered;
  }

  #flush(): void {
    this.#timer = undefined;
    const rooms = [...this.#gathered];
    this.#gathered.clear();
    const { presence } = this.#owner.broker;
    for (const [room, { joined, left, more, changes }] of rooms) {
      if (areTooMany(changes, room)) this.#begin(room);
      if (joined.size === 0 && left.size === 0 && !more) continue;
      const count = presence?.count(room.name) ?? room.members.size;
      const named = [joined, left].map(names => [...names].slice(0, maxNamed));
      const unnamed = more || joined.size > maxNamed || left.size > maxNamed;
      const text = digest(room.name, named[0] ?? [], named[1] ?? [], count, unnamed);
      this.#owner.notice(room.name, { text, except: undefined, at: Date.now() });
    }
  }

  /** A notice is no message: it has no sender that waits for it. */
  #notNotified(error: unknown): void {
    this.#owner.metrics.brokerFailures.inc();
    this.#owner.log(error, "members could not be notified of a join or leave");
  }
}

function noticeOf({ name, kind }: Room, { session, from }: Member, entered: boolean): string {
  const type = entered ? "join-room" : "leave-room";
  return notice(type, name, from, kind.presence === "sockets" ? session : undefined);
}
