import { whenReady } from "../../net/when-ready.js";
import { randomHex } from "../../telemetry/ids.js";
import type { Logger } from "../../telemetry/logger.js";
import type {
  Broker,
  LostSession,
  Member,
  MemberChange,
  Message,
  Notice,
  Published,
  Receiver,
  RoomDraft,
  RoomPosition,
} from "../brokers/broker.js";
import { signalText } from "../brokers/signals.js";
import { direct } from "../chat/frames.js";
import type { RealtimeMetrics } from "../metrics.js";
import { Bans } from "./bans.js";
import type { Command } from "./command.js";
import { type Content, contentMembers, requireSize } from "./content.js";
import { Delivery, requireTurn } from "./delivery.js";
import { FanOut } from "./fan-out.js";
import {
  type Joined,
  Memberships,
  namesOf,
  presentOf,
  type RoomFollower,
  type RoomMembers,
} from "./memberships.js";
import { Notices } from "./notices.js";
import { type DisconnectRequest, OpenSockets } from "./open-sockets.js";
import { plainRooms, type RoomEvent, type RoomKind, type RoomKinds } from "./room-kinds.js";
import { RoomPacer } from "./room-pacer.js";
import type { ParentSpan } from "./room-traces.js";
import { SessionClasses, type SessionRule } from "./session-classes.js";
import { SlowConsumers, type SlowPolicy } from "./slow-consumers.js";
import type { Socket, SocketOwner } from "./socket.js";
import { messageHead, type Room } from "./socket.js";

export interface HubLimits {
  /** How many rooms a socket may be in. */
  readonly rooms: number;
  readonly backpressure: SlowPolicy;
  /** Bytes of a message: more would make every member of its room too slow at once. */
  readonly message: number;
  readonly sentAt: "seconds" | "milliseconds";
  /** Left out, all names are rooms of one kind. */
  readonly kinds?: RoomKinds;
  /** How many sockets a user may have. */
  readonly sessions?: readonly SessionRule[];
}

/** How a message is published. */
export interface Sending {
  /** Of two messages with the same key in one room the second is not published. */
  readonly key?: string | undefined;
  /** The socket that sends it: it is charged until its message is delivered. */
  readonly by?: Socket | undefined;
  /** It gets no number and is not kept, and its sender does not get it. */
  readonly ephemeral?: boolean | undefined;
  readonly parent?: ParentSpan;
}

/** The rooms and sockets of this node, between sockets on one side and the broker on the other. */
export class LocalHub implements Receiver, SocketOwner {
  readonly fanOut: FanOut;
  readonly slow: SlowConsumers;
  /** From their opening to their end. */
  readonly open: OpenSockets;
  readonly #members: Memberships;
  readonly #delivery: Delivery;
  readonly #rooms: ReadonlyMap<string, Room>;
  readonly #notices: Notices;
  readonly #sessions: SessionClasses;
  #limits: HubLimits;
  #kinds = plainRooms;
  /** Sessions of another node that died: backends must be notified of their end. */
  onLost: ((sessions: ReadonlyMap<string, LostSession>) => void) | undefined = undefined;
  /** Executes a command of a server on sockets. @returns how many sockets it concerns */
  onCommand: ((command: Command) => number) | undefined = undefined;
  readonly bans = new Bans();
  follower: RoomFollower | undefined = undefined;
  /** Other nodes have announced the end of this node's sessions. */
  onEvicted: (() => void) | undefined = undefined;

  constructor(
    readonly broker: Broker,
    readonly metrics: RealtimeMetrics,
    readonly logger: Logger | undefined,
    limits: HubLimits,
  ) {
    this.#sessions = new SessionClasses(this);
    const leaveAll = (socket: Socket) => this.#members.leaveAll(socket);
    this.open = new OpenSockets(leaveAll, broker.presence, this.#sessions);
    const pacer = new RoomPacer(this);
    this.slow = new SlowConsumers(broker, metrics, this);
    this.fanOut = new FanOut(metrics, pacer, this.slow);
    this.#delivery = new Delivery(pacer, this);
    this.#members = new Memberships(broker, metrics, this.slow, this);
    this.#rooms = this.#members.rooms;
    this.#notices = new Notices(this);
    this.#limits = limits;
    this.limits = limits;
  }

  set limits(limits: HubLimits) {
    this.#limits = limits;
    this.#kinds = limits.kinds ?? plainRooms;
    this.#sessions.rules = limits.sessions ?? [];
    for (const room of this.#rooms.values()) {
      // Members were counted by the kind that the room had when they joined.
      const { presence, notices } = room.kind;
      const kind = this.#kinds.find(room.name);
      if (kind !== undefined) room.kind = presence === kind.presence ? kind : { ...kind, presence, notices };
    }
    this.slow.policy = limits.backpressure;
    this.fanOut.limits = { max: limits.backpressure.max, rooms: limits.rooms };
  }

  /** How many rooms a socket may be in. */
  get roomLimit(): number {
    return this.#limits.rooms;
  }

  /** @throws GatewayError NO_SUCH_ROOM */
  kindOf(name: string): RoomKind {
    return this.#rooms.get(name)?.kind ?? this.#kinds.of(name);
  }

  get kinds(): RoomKinds {
    return this.#kinds;
  }

  /** Whether backends are notified of it. */
  isBridged(event: RoomEvent, name: string): boolean {
    const kind = this.#rooms.get(name)?.kind ?? this.#kinds.find(name);
    return kind?.events.has(event) ?? true;
  }

  get sendLimit(): number {
    const { max, policy } = this.#limits.backpressure;
    return policy === "close" ? max : 2 * max;
  }

  /** Memberships of all rooms. */
  get memberships(): number {
    return this.#members.size;
  }

  get openRooms(): number {
    return this.#rooms.size;
  }

  tooSlow(socket: Socket): void {
    this.slow.end(socket);
  }

  drained(socket: Socket): void {
    if (socket.pendingClose === undefined) this.slow.drained(socket);
    else if (socket.buffered === 0) socket.end(socket.pendingClose.code, socket.pendingClose.reason);
  }

  end(socket: Socket, code: number, reason: string): void {
    this.open.end(socket, code, reason);
  }

  log(error: unknown, what: string): void {
    this.logger?.error({ err: error }, what);
  }

  /** For the pacer: whether it has members still. */
  isOpen(room: Room): boolean {
    return this.#rooms.get(room.name) === room;
  }

  /** As `Memberships.join`; TOO_MANY_PENDING where the room cannot notify its members of another one now. */
  join(
    socket: Socket,
    name: string,
    from: string,
    since: RoomPosition | undefined,
    onJoined: (joined: Joined) => void,
  ): void | Promise<void> {
    if (!socket.rooms.has(name)) requireTurn(this.#rooms.get(name), socket);
    return this.#members.join(socket, name, from, since, onJoined);
  }

  /** @throws GatewayError TOO_MANY_ROOMS where the socket can be in no other room */
  requireRoom(socket: Socket): void {
    this.#members.requireRoom(socket);
  }

  /** @returns whether the socket was a member */
  leave(socket: Socket, name: string): boolean {
    return this.#members.leave(socket, name);
  }

  room(name: string): Room | undefined {
    return this.#rooms.get(name);
  }

  /**
   * Publishes a message whose sender has been checked.
   * @param sender JSON text
   * @returns undefined for an ephemeral one
   * @throws GatewayError NO_SUCH_ROOM; BODY_TOO_LARGE; TOO_MANY_PENDING where its members are still to be sent too much
   */
  send(
    name: string,
    sender: string,
    content: Content,
    { key, by, ephemeral = false, parent }: Sending = {},
  ): Published | undefined | Promise<Published | undefined> {
    const room = this.#rooms.get(name);
    if (room === undefined) this.#kinds.of(name);
    requireTurn(room, by);
    const draft = this.draft(name, sender, content, key);
    if (ephemeral)
      return this.#publish(name, { ...draft, kept: false, key: undefined, except: by?.id }, parent);
    const published = this.#publish(name, draft, parent) as Published | Promise<Published>;
    if (by !== undefined) this.#charge(by, name, published, draft.frame.length);
    return published;
  }

  /** A message that is kept. @param sender JSON text. @throws GatewayError BODY_TOO_LARGE */
  draft(name: string, sender: string, content: Content, key?: string): RoomDraft {
    requireSize(content, this.#limits.message);
    const head = this.#rooms.get(name)?.messageHead ?? messageHead(name);
    const at = Date.now();
    const frame = `${head}${sender},${contentMembers(content)},"sent_at":${this.#sentAt(at)}}`;
    return { frame, kept: true, key, except: undefined, at };
  }

  #publish(name: string, draft: RoomDraft, parent: ParentSpan): ReturnType<Broker["publish"]> {
    const { traces } = this.fanOut;
    if (traces === undefined) return this.broker.publish(name, draft);
    return traces.publish(name, parent, () => this.broker.publish(name, draft));
  }

  /** @throws GatewayError BODY_TOO_LARGE */
  directFrame(from: string, content: Content): string {
    requireSize(content, this.#limits.message);
    return direct(from, contentMembers(content), this.#sentAt(Date.now()));
  }

  #sentAt(at: number): number {
    return this.#limits.sentAt === "seconds" ? at / 1000 : at;
  }

  #charge(by: Socket, name: string, published: Published | Promise<Published>, bytes: number): void {
    if (!(published instanceof Promise)) {
      this.#rooms.get(name)?.charge(by, published, bytes);
      return;
    }
    by.heldFrames++;
    by.heldBytes += bytes;
    const release = (): void => {
      by.heldFrames--;
      by.heldBytes -= bytes;
    };
    published.then(position => {
      release();
      this.#rooms.get(name)?.charge(by, position, bytes);
    }, release);
  }

  /** Members of a room on all nodes. */
  members(name: string): readonly Member[] | Promise<readonly Member[]> {
    if (this.broker.presence !== undefined) return this.broker.presence.members(name);
    const members = this.#rooms.get(name)?.members ?? [];
    return Array.from(members, ([{ id }, from]) => ({ session: id, from }));
  }

  /** How many sessions are in a room on all nodes, and at most `most` of their names, each once. */
  present(name: string, most: number): RoomMembers | Promise<RoomMembers> {
    if (this.kindOf(name).presence === "sockets") {
      return whenReady(this.members(name), all => ({ count: all.length, members: all.slice(0, most) }));
    }
    const { presence } = this.broker;
    if (presence !== undefined) {
      return presence.members(name).then(all => presentOf(all.length, namesOf(all), most));
    }
    const members = this.#rooms.get(name)?.members ?? new Map<Socket, string>();
    return presentOf(members.size, members.values(), most);
  }

  /** The rooms that have members here. */
  rooms(): IterableIterator<Room> {
    return this.#rooms.values();
  }

  // Deliveries of the broker.

  message(name: string, message: Message): void {
    const room = this.#rooms.get(name);
    if (room !== undefined) this.#delivery.message(room, message);
  }

  notice(name: string, notice: Notice): void {
    const room = this.#rooms.get(name);
    if (room !== undefined) this.#delivery.notice(room, notice);
  }

  member(name: string, change: MemberChange): void {
    const room = this.#rooms.get(name);
    if (room !== undefined) this.#notices.member(room, change);
  }

  announcesSockets(name: string): boolean {
    return this.kindOf(name).presence === "sockets";
  }

  announce(room: Room, member: Member, entered: boolean): void {
    this.#notices.announce(room, member, entered);
  }

  lost(sessions: ReadonlyMap<string, LostSession>): void {
    this.onLost?.(sessions);
  }

  evicted(): void {
    this.onEvicted?.();
  }

  vacated(name: string): void {
    this.follower?.vacated(name);
  }

  gap(name: string, epoch: string, from: number, to: number): void {
    const room = this.#rooms.get(name);
    if (room !== undefined) this.#delivery.gap(room, epoch, from, to);
  }

  signal(text: string): void {
    try {
      const signalled = JSON.parse(signalText(text)) as DisconnectRequest | { readonly command: Command };
      if ("command" in signalled) this.onCommand?.(signalled.command);
      else this.open.disconnect(signalled);
    } catch (error) {
      this.log(error, "invalid control message from another node");
    }
  }
}

/** Unique among all nodes. */
export function newSession(): string {
  return randomHex(9);
}
