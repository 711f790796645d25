import { whenReady } from "../../net/when-ready.js";
import { gatewayError } from "../../status/failure.js";
import type { Broker, Member, Replay, RoomDraft, RoomPosition } from "../brokers/broker.js";
import { notice } from "../chat/frames.js";
import type { RealtimeMetrics } from "../metrics.js";
import { maxReplayed, replaySlice } from "./catch-up.js";
import type { SlowConsumers } from "./slow-consumers.js";
import { Room, type Socket } from "./socket.js";

/** The position of a socket in a room that it has just joined. */
export interface Joined extends RoomPosition {
  /** Whether everything since the requested position follows; undefined where none was. */
  readonly recovered: boolean | undefined;
}

export interface MembershipsOwner {
  /** How many rooms a socket may be in. */
  readonly roomLimit: number;
  log(error: unknown, what: string): void;
}

/** The rooms of this node, each from the first socket that joins it to the last that leaves, and who is in them. */
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
   * @returns a promise only where the broker must be asked
   * @throws GatewayError TOO_MANY_ROOMS, CLIENT_CLOSED, or what the broker throws; it is no member then, unless it was
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
    const enter = (replay: Replay | undefined): void => {
      room.joining--;
      this.#enter(socket, room, from);
      this.#begin(socket, room, since, replay, onJoined);
    };
    const failed = (error: unknown): never => {
      room.joining--;
      this.#close(room);
      throw error;
    };
    let replay: Replay | undefined | Promise<Replay | undefined>;
    try {
      replay = room.opening?.then(() => this.#missed(room, since)) ?? this.#missed(room, since);
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
    room = new Room(name, String(this.#topics++));
    const position = this.broker.subscribe(name);
    this.#rooms.set(name, room);
    room.opening = whenReady(position, known => this.#opened(room, known)) ?? undefined;
    return room;
  }

  #opened(room: Room, { epoch, seq }: RoomPosition): void {
    room.opening = undefined;
    // What was received meanwhile is further than where the broker began.
    if (room.epoch !== "") return;
    room.epoch = epoch;
    room.seq = seq;
  }

  #close(room: Room): void {
    if (!room.unused || this.#rooms.get(room.name) !== room) return;
    this.#rooms.delete(room.name);
    room.releaseSenders(true);
    this.broker.unsubscribe(room.name);
  }

  /** What has followed the position that a client knows; undefined where it knows none. */
  #missed(room: Room, since: RoomPosition | undefined): Replay | undefined | Promise<Replay> {
    return since === undefined ? undefined : this.broker.since(room.name, since, maxReplayed, replaySlice);
  }

  #enter(socket: Socket, room: Room, from: string): void {
    try {
      if (socket.closed) throw gatewayError("CLIENT_CLOSED", "the socket is over");
      // Others may have been joined while the broker was asked.
      this.requireRoom(socket);
    } catch (error) {
      this.#close(room);
      throw error;
    }
    room.members.set(socket, from);
    socket.rooms.set(room.name, room);
    this.#size++;
    this.metrics.joined(room.members.size);
    // A member already: to notify the others is to look at their buffers, and whoever is too slow may be ended by that,
    // the room's last other member or this one.
    const { presence } = this.broker;
    if (presence !== undefined) presence.enter(room.name, { session: socket.id, from });
    else if (room.nameEntered(from)) this.#notify(room.name, notice("join-room", room.name, from), socket.id);
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
    if (since === undefined || replay === undefined) {
      const lag = socket.lag?.get(room);
      onJoined({ epoch, seq: lag === undefined ? seq : lag.next - 1, recovered: undefined });
      if (socket.lag?.has(room) !== true && !socket.closed) socket.subscribe(room.topic);
      return;
    }
    // Of another epoch nothing can be missed by number: the room goes on from here.
    const same = since.epoch === epoch;
    onJoined({ epoch, seq, recovered: replay.recovered && same });
    this.slow.follow(socket, room, same ? Math.min(since.seq, seq) + 1 : seq + 1, replay, seq);
  }

  #exit(socket: Socket, room: Room): void {
    const from = room.members.get(socket) ?? "";
    this.slow.left(socket, room);
    socket.unsubscribe(room.topic);
    room.members.delete(socket);
    socket.rooms.delete(room.name);
    this.#size--;
    const { presence } = this.broker;
    if (presence !== undefined) presence.exit(room.name, { session: socket.id, from });
    else if (room.nameLeft(from)) this.#notify(room.name, notice("leave-room", room.name, from), socket.id);
    this.#close(room);
  }

  #notify(room: string, frame: string, except: string): void {
    const draft: RoomDraft = { frame, kept: false, key: undefined, except, at: Date.now() };
    try {
      const published = this.broker.publish(room, draft);
      if (published instanceof Promise) published.catch((error: unknown) => this.#notNotified(error));
    } catch (error) {
      this.#notNotified(error);
    }
  }

  /** A notice is no message: it has no sender who waits for it. */
  #notNotified(error: unknown): void {
    this.metrics.brokerFailures.inc();
    this.owner.log(error, "members could not be notified of a join or leave");
  }
}

/** Who is in a room, as far as members are shown. */
export interface RoomOccupants {
  /** Sessions. */
  readonly count: number;
  /** Each once, and not all of them where they are many. */
  readonly names: ReadonlySet<string>;
}

/** @param most names */
export function presentOf(count: number, all: Iterable<string>, most: number): RoomOccupants {
  const names = new Set<string>();
  for (const name of all) {
    if (names.size === most) break;
    names.add(name);
  }
  return { count, names };
}

/** Who the members are, by their names. */
export function* namesOf(members: readonly Member[]): Iterable<string> {
  for (const { from } of members) yield from;
}
