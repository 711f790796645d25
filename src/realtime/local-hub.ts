import { GatewayError, gatewayFailure } from "../status/failure.js";
import type { Logger } from "../telemetry/logger.js";
import { randomHex } from "../telemetry/random-hex.js";
import type {
  Broker,
  Draft,
  Member,
  Message,
  Notice,
  Position,
  Published,
  Receiver,
  Replay,
} from "./broker.js";
import { FanOut } from "./fan-out.js";
import type { Disconnection } from "./hub.js";
import type { RealtimeMetrics } from "./metrics.js";
import { notice } from "./notices.js";
import { OpenSockets } from "./open-sockets.js";
import { namesOf, type Present, presentOf } from "./present.js";
import { messageHead, Room } from "./room.js";
import { SlowConsumers, type SlowPolicy } from "./slow-consumers.js";
import type { Socket, SocketOwner } from "./socket.js";

/** Where a socket stands in a room that it has just joined. */
export interface Joined extends Position {
  /** Whether everything since the place that was asked for follows; undefined where none was. */
  readonly recovered: boolean | undefined;
}

export interface HubLimits {
  /** How many rooms a socket may be in. */
  readonly rooms: number;
  readonly backpressure: SlowPolicy;
  /** Bytes of a message: more would make every member of its room too slow at once. */
  readonly message: number;
  readonly sentAt: "seconds" | "milliseconds";
}

/** Messages that are replayed at most to who comes back. */
const replayLimit = 10_000;

/** The rooms and sockets of this node, between sockets on one side and the broker on the other. */
export class LocalHub implements Receiver, SocketOwner {
  readonly fanOut: FanOut;
  readonly slow: SlowConsumers;
  /** From their opening to their end. */
  readonly open: OpenSockets;
  readonly #rooms = new Map<string, Room>();
  #limits: HubLimits;
  #topics = 0;
  #members = 0;

  constructor(
    readonly broker: Broker,
    readonly metrics: RealtimeMetrics,
    readonly logger: Logger | undefined,
    limits: HubLimits,
  ) {
    this.open = new OpenSockets(socket => this.#leaveAll(socket));
    this.fanOut = new FanOut(metrics, room => this.slow.sweep(room));
    this.slow = new SlowConsumers(broker, metrics, this);
    this.#limits = limits;
    this.limits = limits;
  }

  set limits(limits: HubLimits) {
    this.#limits = limits;
    this.slow.policy = limits.backpressure;
    this.fanOut.limits = { max: limits.backpressure.max, rooms: limits.rooms };
  }

  get sendLimit(): number {
    const { max, policy } = this.#limits.backpressure;
    return policy === "close" ? max : 2 * max;
  }

  /** Memberships of all rooms. */
  get memberships(): number {
    return this.#members;
  }

  get openRooms(): number {
    return this.#rooms.size;
  }

  tooSlow(socket: Socket): void {
    this.slow.end(socket);
  }

  drained(socket: Socket): void {
    if (socket.ending === undefined) this.slow.drained(socket);
    else if (socket.buffered === 0) socket.end(socket.ending.code, socket.ending.reason);
  }

  end(socket: Socket, code: number, reason: string): void {
    this.open.end(socket, code, reason);
  }

  log(error: unknown, what: string): void {
    this.logger?.error({ err: error }, what);
  }

  /**
   * Makes the socket a member. Once it is, and before anything of the room is sent to it, `told` is called.
   * @returns a promise only where the broker must be asked
   * @throws GatewayError TOO_MANY_ROOMS, CLIENT_CLOSED, or what the broker throws; it is no member then, unless it was
   */
  join(
    socket: Socket,
    name: string,
    from: string,
    since: Position | undefined,
    told: (joined: Joined) => void,
  ): void | Promise<void> {
    const present = socket.rooms.get(name);
    if (present !== undefined) return this.#begin(socket, present, since, told);
    this.requireRoom(socket);
    const room = this.#open(name);
    if (room.opening === undefined) return this.#enter(socket, room, from, since, told);
    room.joining++;
    return room.opening.then(
      () => {
        room.joining--;
        return this.#enter(socket, room, from, since, told);
      },
      (error: unknown) => {
        room.joining--;
        this.#close(room);
        throw error;
      },
    );
  }

  /** @throws GatewayError TOO_MANY_ROOMS where the socket can be in no other room */
  requireRoom(socket: Socket): void {
    const { rooms } = this.#limits;
    if (socket.rooms.size < rooms) return;
    throw new GatewayError(gatewayFailure("TOO_MANY_ROOMS", `a socket can be in ${rooms} rooms at once`));
  }

  /** @returns whether the socket was a member */
  leave(socket: Socket, name: string): boolean {
    const room = socket.rooms.get(name);
    if (room === undefined) return false;
    this.#exit(socket, room);
    return true;
  }

  room(name: string): Room | undefined {
    return this.#rooms.get(name);
  }

  /**
   * Publishes a message whose room and sender have been checked.
   * @param sender JSON text
   * @throws GatewayError BODY_TOO_LARGE
   */
  send(name: string, sender: string, message: string, key?: string): Published | Promise<Published> {
    const { message: limit } = this.#limits;
    if (message.length * 3 > limit && Buffer.byteLength(message) > limit) {
      throw new GatewayError(gatewayFailure("BODY_TOO_LARGE", `a message may have ${limit} bytes`));
    }
    const head = this.#rooms.get(name)?.messageHead ?? messageHead(name);
    const at = Date.now();
    const sentAt = this.#limits.sentAt === "seconds" ? at / 1000 : at;
    const frame = `${head}${sender},"message":${JSON.stringify(message)},"sent_at":${sentAt}}`;
    return this.broker.publish(name, { frame, kept: true, key, except: undefined, at }) as
      | Published
      | Promise<Published>;
  }

  /** Members of a room on all nodes. */
  members(name: string): readonly Member[] | Promise<readonly Member[]> {
    if (this.broker.presence !== undefined) return this.broker.presence.members(name);
    const members = this.#rooms.get(name)?.members ?? [];
    return Array.from(members, ([{ id }, from]) => ({ session: id, from }));
  }

  /** How many sessions are in a room on all nodes, and at most `most` of their names, each once. */
  present(name: string, most: number): Present | Promise<Present> {
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

  // What the broker tells.

  message(name: string, message: Message): void {
    const room = this.#rooms.get(name);
    if (room === undefined) return;
    if (room.epoch !== message.epoch) this.slow.restart(room, message.epoch);
    room.seq = message.seq;
    this.metrics.delivered(Date.now() - message.at);
    this.fanOut.publish(room, "receive-message", message.text, message.seq);
  }

  notice(name: string, { text, except }: Notice): void {
    const room = this.#rooms.get(name);
    if (room === undefined) return;
    const socket = except === undefined ? undefined : this.open.get(except);
    this.fanOut.publish(room, "notice", text, 0, socket);
  }

  gap(name: string, epoch: string, from: number, to: number): void {
    const room = this.#rooms.get(name);
    if (room === undefined) return;
    if (room.epoch !== epoch) this.slow.restart(room, epoch);
    room.seq = Math.max(room.seq, to);
    for (const socket of [...room.members.keys()]) this.slow.missed(socket, room, from);
  }

  signal(text: string): void {
    try {
      this.open.disconnect(JSON.parse(text) as Disconnection);
    } catch (error) {
      this.log(error, "a node said what this one does not understand");
    }
  }

  // Rooms.

  #open(name: string): Room {
    let room = this.#rooms.get(name);
    if (room !== undefined) return room;
    room = new Room(name, String(this.#topics++));
    const position = this.broker.subscribe(name);
    this.#rooms.set(name, room);
    if (position instanceof Promise) room.opening = position.then(known => this.#opened(room, known));
    else this.#opened(room, position);
    return room;
  }

  #opened(room: Room, { epoch, seq }: Position): void {
    room.opening = undefined;
    // What was received meanwhile is further than where the broker began.
    if (room.epoch !== "") return;
    room.epoch = epoch;
    room.seq = seq;
  }

  #close(room: Room): void {
    if (!room.unused || this.#rooms.get(room.name) !== room) return;
    this.#rooms.delete(room.name);
    this.broker.unsubscribe(room.name);
  }

  #enter(
    socket: Socket,
    room: Room,
    from: string,
    since: Position | undefined,
    told: (joined: Joined) => void,
  ): void | Promise<void> {
    try {
      if (socket.closed) throw new GatewayError(gatewayFailure("CLIENT_CLOSED", "the socket is over"));
      // Others may have been joined while the broker was asked.
      this.requireRoom(socket);
    } catch (error) {
      this.#close(room);
      throw error;
    }
    // Before it is a member: whoever joins is not told of it.
    this.#tell(room.name, notice("join-room", room.name, from), socket.id);
    room.members.set(socket, from);
    socket.rooms.set(room.name, room);
    this.#members++;
    this.metrics.joined(room.members.size);
    this.broker.presence?.enter(room.name, { session: socket.id, from });
    const begun = this.#begin(socket, room, since, told);
    // What was missed cannot be read: it is as if it had not joined, and may try again.
    return begun?.catch((error: unknown) => {
      if (socket.rooms.get(room.name) === room) this.#exit(socket, room);
      throw error;
    });
  }

  #begin(
    socket: Socket,
    room: Room,
    since: Position | undefined,
    told: (joined: Joined) => void,
  ): void | Promise<void> {
    if (since === undefined) {
      told({ epoch: room.epoch, seq: room.seq, recovered: undefined });
      if (socket.lag?.has(room) !== true && !socket.closed) socket.subscribe(room.topic);
      return;
    }
    const replay = this.broker.since(room.name, since, replayLimit);
    if (!(replay instanceof Promise)) return this.#resume(socket, room, since, replay, told);
    return replay.then(known => this.#resume(socket, room, since, known, told));
  }

  #resume(
    socket: Socket,
    room: Room,
    since: Position,
    { recovered }: Replay,
    told: (joined: Joined) => void,
  ): void {
    if (socket.closed || socket.rooms.get(room.name) !== room) return;
    const { epoch, seq } = room;
    told({ epoch, seq, recovered });
    // Of another epoch nothing can be missed by number: the room goes on from here.
    this.slow.follow(socket, room, since.epoch === epoch ? Math.min(since.seq, seq) + 1 : seq + 1);
  }

  /** @returns the rooms that it was in, with its name in each */
  #leaveAll(socket: Socket): ReadonlyMap<string, string> {
    const left = new Map(
      Array.from(socket.rooms.values(), room => [room.name, room.members.get(socket) ?? ""]),
    );
    for (const room of [...socket.rooms.values()]) this.#exit(socket, room);
    return left;
  }

  #exit(socket: Socket, room: Room): void {
    const from = room.members.get(socket) ?? "";
    this.slow.left(socket, room);
    socket.unsubscribe(room.topic);
    room.members.delete(socket);
    socket.rooms.delete(room.name);
    this.#members--;
    this.broker.presence?.exit(room.name, { session: socket.id, from });
    this.#tell(room.name, notice("leave-room", room.name, from), socket.id);
    this.#close(room);
  }

  #tell(room: string, frame: string, except: string): void {
    const draft: Draft = { frame, kept: false, key: undefined, except, at: Date.now() };
    try {
      const told = this.broker.publish(room, draft);
      if (told instanceof Promise) told.catch((error: unknown) => this.#untold(error));
    } catch (error) {
      this.#untold(error);
    }
  }

  /** A notice is no message: nobody waits for it. */
  #untold(error: unknown): void {
    this.metrics.brokerFailures.inc();
    this.log(error, "members could not be told of a join or leave");
  }
}

/** Unique among all nodes. */
export function newSession(): string {
  return randomHex(9);
}
