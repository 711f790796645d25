import { whenReady } from "../../net/when-ready.js";
import { gatewayError } from "../../status/failure.js";
import { type Broker, type Member, type Replay, type RoomPosition, startOf } from "../brokers/broker.js";
import type { RealtimeMetrics } from "../metrics.js";
import { maxReplayed, replaySlice } from "./catch-up.js";
import type { RoomKind } from "./room-kinds.js";
import type { SlowConsumers } from "./slow-consumers.js";
import { Room, type Socket } from "./socket.js";

/** The position of a socket in a room that it has just joined. */
export interface Joined extends RoomPosition {
  /** Whether everything since the requested position follows; undefined where none was. */
  readonly recovered: boolean | undefined;
}

/** Follows which rooms have members on this node. */
export interface RoomFollower {
  /** This node receives the room: it has members here, or sockets that join it. */
  opened(room: string): void;
  /** It has none any more. */
  closed(room: string): void;
  /** The lease of a room that this node receives was released. */
  vacated(room: string): void;
}

export interface MembershipsOwner {
  readonly follower: RoomFollower | undefined;
  /** How many rooms a socket may be in. */
  readonly roomLimit: number;
  /** @throws GatewayError NO_SUCH_ROOM */
  kindOf(room: string): RoomKind;
  /** A member came or left, where this process is the only node. */
  announce(room: Room, member: Member, entered: boolean): void;
  log(error: unknown, what: string): void;
}

/** The rooms of this node, each from the first socket that joins it to the last that leaves, and their members. */
export class Memberships {
  readonly #rooms = new Map<string, Room>();
  #topics = 0;
  #size = 0;

  constructor(
    readonly broker: Broker,
    readonly metrics: RealtimeMetrics,
    readonly slow: SlowConsumers,
    readonly owner: MembershipsOwner,
  ) {}

  /** Memberships of all rooms. */
  get size(): number {
    return this.#size;
  }

  get rooms(): ReadonlyMap<string, Room> {
    return this.#rooms;
  }

  /**
   * Makes the socket a member. Once it is, and before anything of the room is sent to it, `onJoined` is called.
   * @returns a promise only where the broker has to be called
   * @throws GatewayError TOO_MANY_ROOMS, CLIENT_CLOSED, or the broker's error; it is no member then, unless it was
   */
  join(
    socket: Socket,
    name: string,
    from: string,
    since: RoomPosition | undefined,
    onJoined: (joined: Joined) => void,
  ): void | Promise<void> {
    const present = socket.rooms.get(name);
    if (present !== undefined) {
      return whenReady(this.#missed(present, since), replay =>
        this.#begin(socket, present, since, replay, onJoined),
      );
    }
    this.requireRoom(socket);
    const room = this.#open(name);
    room.joining++;
    let others: readonly Member[] | undefined;
    const enter = (replay: Replay | undefined): void => {
      room.joining--;
      this.#enter(socket, room, from, others);
      this.#begin(socket, room, since, replay, onJoined);
    };
    const failed = (error: unknown): never => {
      room.joining--;
      this.#close(room);
      throw error;
    };
    let replay: Replay | undefined | Promise<Replay | undefined>;
    try {
      const read = () => this.#missed(room, since ?? cachedPosition(room));
      replay = room.opening?.then(read) ?? read();
      const { presence } = this.broker;
      if (room.kind.maxMembers !== Number.POSITIVE_INFINITY && presence !== undefined) {
        const counted = Promise.all([replay, presence.members(name)]);
        replay = counted.then(([found, members]) => {
          others = members;
          return found;
        });
      }
    } catch (error) {
      return failed(error);
    }
    return replay instanceof Promise ? replay.then(enter, failed) : enter(replay);
  }

  /** @throws GatewayError TOO_MANY_ROOMS where the socket can be in no other room */
  requireRoom(socket: Socket): void {
    const { roomLimit } = this.owner;
    if (socket.rooms.size < roomLimit) return;
    throw gatewayError("TOO_MANY_ROOMS", `a socket can be in ${roomLimit} rooms at once`);
  }

  /** @returns whether the socket was a member */
  leave(socket: Socket, name: string): boolean {
    const room = socket.rooms.get(name);
    if (room === undefined) return false;
    this.#exit(socket, room);
    return true;
  }

  /** @returns the rooms that it was in, with its name in each */
  leaveAll(socket: Socket): ReadonlyMap<string, string> {
    const left = new Map(
      Array.from(socket.rooms.values(), room => [room.name, room.members.get(socket) ?? ""]),
    );
    for (const room of [...socket.rooms.values()]) this.#exit(socket, room);
    return left;
  }

  #open(name: string): Room {
    let room = this.#rooms.get(name);
    if (room !== undefined) return room;
    room = new Room(name, String(this.#topics++), this.owner.kindOf(name));
    const position = this.broker.subscribe(name);
    this.#rooms.set(name, room);
    room.opening = whenReady(position, known => this.#opened(room, known)) ?? undefined;
    return room;
  }

  #opened(room: Room, { epoch, seq }: RoomPosition): void {
    room.opening = undefined;
    if (this.#rooms.get(room.name) === room) this.owner.follower?.opened(room.name);
    // Messages received meanwhile are beyond the broker's first position.
    if (room.epoch !== "") return;
    room.epoch = epoch;
    room.seq = seq;
  }

  #close(room: Room): void {
    if (!room.unused || this.#rooms.get(room.name) !== room) return;
    this.#rooms.delete(room.name);
    room.releaseSenders(true);
    this.broker.unsubscribe(room.name);
    this.owner.follower?.closed(room.name);
  }

  /** The messages after the position that a client knows; undefined where it knows none. */
  #missed(room: Room, since: RoomPosition | undefined): Replay | undefined | Promise<Replay> {
    return since === undefined ? undefined : this.broker.since(room.name, since, maxReplayed, replaySlice);
  }

  /** @param others the members of the room on all nodes, where their number counts */
  #enter(socket: Socket, room: Room, from: string, others: readonly Member[] = []): void {
    try {
      if (socket.closed) throw gatewayError("CLIENT_CLOSED", "the socket is closed");
      // Other rooms may have been joined while the broker was called.
      this.requireRoom(socket);
      requireCapacity(room, others);
    } catch (error) {
      this.#close(room);
      throw error;
    }
    room.members.set(socket, from);
    socket.rooms.set(room.name, room);
    this.#size++;
    this.metrics.joined(room.members.size);
    // A member already: notifying the others checks their buffers, and a member that is too slow may be ended by that,
    // the room's last other member or this one.
    if (room.kind.presence === "off") return;
    const { presence } = this.broker;
    const member = { session: socket.id, from };
    if (presence !== undefined) presence.enter(room.name, member);
    else if (room.nameEntered(from) || room.kind.presence === "sockets")
      this.owner.announce(room, member, true);
  }

  #begin(
    socket: Socket,
    room: Room,
    since: RoomPosition | undefined,
    replay: Replay | undefined,
    onJoined: (joined: Joined) => void,
  ): void {
    if (socket.closed || socket.rooms.get(room.name) !== room) return;
    const { epoch, seq } = room;
    const first = replay?.messages[0];
    if (since === undefined && first?.epoch === epoch && first.seq <= seq) {
      // The last message follows, with those that came meanwhile.
      onJoined({ epoch, seq: first.seq - 1, recovered: undefined });
      this.slow.follow(socket, room, first.seq, replay, seq);
      return;
    }
    if (since === undefined || replay === undefined) {
      const lag = socket.lag?.get(room);
      onJoined({ epoch, seq: lag === undefined ? seq : lag.next - 1, recovered: undefined });
      if (socket.lag?.has(room) !== true && !socket.closed) socket.subscribe(room.topic);
      return;
    }
    // Of another epoch nothing can be missed by number: the room goes on from here.
    const same = since.epoch === epoch;
    onJoined({ epoch, seq, recovered: replay.recovered && same });
    const last = same ? Math.max(startOf(epoch), Math.min(since.seq, seq)) : seq;
    this.slow.follow(socket, room, last + 1, replay, seq);
  }

  #exit(socket: Socket, room: Room): void {
    const from = room.members.get(socket) ?? "";
    this.slow.left(socket, room);
    socket.unsubscribe(room.topic);
    room.members.delete(socket);
    socket.rooms.delete(room.name);
    socket.roomTokens?.delete(room.name);
    this.#size--;
    const { presence } = this.broker;
    const member = { session: socket.id, from };
    if (room.kind.presence !== "off") {
      if (presence !== undefined) presence.exit(room.name, member);
      else if (room.nameLeft(from) || room.kind.presence === "sockets")
        this.owner.announce(room, member, false);
    }
    this.#close(room);
  }
}

/** The first position for a new member of a room that sends its last message to new members. */
function cachedPosition({ kind, epoch, seq }: Room): RoomPosition | undefined {
  return kind.cache && seq > 0 ? { epoch, seq: seq - 1 } : undefined;
}

/** @throws GatewayError ROOM_FULL */
function requireCapacity({ members, kind: { maxMembers } }: Room, others: readonly Member[]): void {
  if (members.size < maxMembers && others.length === 0) return;
  const here = new Set(Array.from(members.keys(), ({ id }) => id));
  for (const { session } of others) here.add(session);
  if (here.size >= maxMembers)
    throw gatewayError("ROOM_FULL", `the room has ${maxMembers} members, its maximum`);
}

/** The members of a room, as far as they are shown. */
export interface RoomMembers {
  /** Sessions. */
  readonly count: number;
  /** Names, each once, or sessions; not all of them where they are many. */
  readonly members: Iterable<string | Member>;
}

/** @param most names */
export function presentOf(count: number, all: Iterable<string>, most: number): RoomMembers {
  const names = new Set<string>();
  for (const name of all) {
    if (names.size === most) break;
    names.add(name);
  }
  return { count, members: names };
}

/** The names of the members. */
export function* namesOf(members: readonly Member[]): Iterable<string> {
  for (const { from } of members) yield from;
}
