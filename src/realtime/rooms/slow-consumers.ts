import { type Broker, type Replay, startOf } from "../brokers/broker.js";
import { CloseCode } from "../chat/frames.js";
import type { RealtimeMetrics } from "../metrics.js";
import { Backlog } from "./backlog.js";
import { CatchUp } from "./catch-up.js";
import type { Deferral } from "./fan-out.js";
import { ReplayBudget } from "./replay-budget.js";
import { costOf, writeCost } from "./room-pacer.js";
import type { Lag, Room, Socket } from "./socket.js";
import { ThrottledCloser } from "./throttled-closer.js";

/** The treatment of a client that reads more slowly than its rooms send. */
export interface SlowPolicy {
  /** Bytes that may wait for one client. */
  readonly max: number;
  /** `close` with 4008, or `drop` the messages it misses and notify it of the gap. */
  readonly policy: "close" | "drop";
}

/** Ends sockets. */
export interface SlowOwner {
  /** Takes the socket out of everything; it is closed with that code once its client has read the frames sent. */
  end(socket: Socket, code: number, reason: string): void;
  log(error: unknown, what: string): void;
}

/**
 * Keeps every member exactly informed: it gets each message of its room in order, or a gap that names those it never
 * gets. A member with more than a little in its own buffer is behind: it is taken off its topic and keeps its position
 * in the room's backlog, so that frames that wait for many exist once. If too much waits for a member, the policy
 * decides: its socket is closed, or it gives up its position, and is sent the missed messages from history as far as
 * that reaches.
 */
export class SlowConsumers implements Deferral {
  #max = 0;
  /** Bytes in its own buffer above which a socket is behind. */
  #maxOwnBytes = 0;
  #policy: "close" | "drop" = "close";
  /** Sockets that are behind. */
  readonly #behind = new Set<Socket>();
  /** Those of them that wait for their budgets of replay. */
  readonly #paced = new Set<Socket>();
  readonly #closer: ThrottledCloser;
  readonly #catchUp: CatchUp;

  constructor(
    readonly broker: Broker,
    readonly metrics: RealtimeMetrics,
    readonly owner: SlowOwner,
  ) {
    this.#closer = new ThrottledCloser(socket => this.end(socket));
    this.#catchUp = new CatchUp(broker, metrics, this);
  }

  set policy({ max, policy }: SlowPolicy) {
    this.#max = max;
    this.#maxOwnBytes = Math.min(maxOwnBytes, max >> 1);
    this.#policy = policy;
    this.#catchUp.low = this.#maxOwnBytes >> 1;
    if (policy === "close") return;
    for (const socket of this.#closer) {
      this.#closer.delete(socket);
      this.metrics.slow.drop.inc();
      this.drained(socket);
    }
  }

  /** Sockets that are behind. */
  get size(): number {
    return this.#behind.size;
  }

  /** Sockets that are to be ended soon. */
  get due(): number {
    return this.#closer.size;
  }

  /** Checks the bytes that wait for each of the room's members. */
  sweep(room: Room): void {
    let found: Socket[] | undefined;
    for (const socket of room.members.keys()) {
      const slow = socket.lag?.has(room) ? waiting(socket) > this.#max : socket.buffered > this.#maxOwnBytes;
      if (!slow) continue;
      found ??= [];
      found.push(socket);
    }
    for (const socket of found ?? []) {
      if (socket.lag?.has(room)) this.#giveUp(socket);
      else this.#keepPositions(socket);
    }
    // Afterwards, because closing one notifies the others, which may be swept again by that.
    this.#closer.closeSome();
  }

  /**
   * Lets members wait for the next frame of the room, until `resume`: they are treated as lagging, which keeps
   * their order and the exact account of their losses.
   */
  defer(room: Room, seq: number, first: number): readonly Socket[] {
    const next = seq === 0 ? room.seq + 1 : seq;
    const deferred: Socket[] = [];
    let kept = 0;
    for (const socket of room.members.keys()) {
      if (socket.lag?.has(room) || kept++ < first) continue;
      room.backlog ??= new Backlog();
      room.backlog.holders++;
      const position = room.backlog.last;
      this.#fallBehind(socket, room, { next, position, reading: false, charged: 0, deferred: true });
      deferred.push(socket);
    }
    return deferred;
  }

  resume(socket: Socket, room: Room): number | undefined {
    const lag = socket.lag?.get(room);
    if (lag?.deferred !== true) return undefined;
    lag.deferred = false;
    let cost = writeCost;
    for (let entry = lag.position?.next; entry !== undefined; entry = entry.next)
      cost += costOf(1, entry.bytes);
    this.#catchUp.run(socket, room);
    if (socket.lag?.get(room) === lag) this.#behind.add(socket);
    return cost;
  }

  /**
   * The member is to be sent everything from that message on, and then new messages.
   * @param replay some of it, where the broker has returned it already
   * @param charged the last message that the client has requested itself; 0 for none
   */
  follow(socket: Socket, room: Room, from: number, replay?: Replay, charged = 0): void {
    const lag: Lag = { next: from, position: undefined, reading: false, charged, deferred: false };
    if (charged > 0) socket.replay ??= new ReplayBudget(performance.now());
    this.#fallBehind(socket, room, lag);
    if (replay === undefined) this.#catchUp.run(socket, room);
    else this.#catchUp.resume(socket, room, lag, replay);
  }

  /** Messages from that one on did not come from the broker, and are only in its history, if anywhere. */
  missed(socket: Socket, room: Room, from: number): void {
    const lag = socket.lag?.get(room);
    if (lag === undefined) {
      this.follow(socket, room, from);
      return;
    }
    leavePosition(room, lag);
    lag.next = Math.min(lag.next, from);
  }

  /** The room's messages are lost, and it counts anew: its members never get the messages they still waited for. */
  restart(room: Room, epoch: string): void {
    const behind = [...room.members.keys()].filter(socket => socket.lag?.has(room));
    const before = { name: room.name, epoch: room.epoch };
    const last = room.seq;
    room.epoch = epoch;
    room.seq = startOf(epoch);
    for (const socket of behind) {
      const lag = socket.lag?.get(room);
      if (lag === undefined) continue;
      if (lag.next <= last) this.#catchUp.gap(socket, before, lag.next, last);
      this.follow(socket, room, room.seq + 1);
    }
  }

  /** The client has read some of the waiting bytes. */
  drained(socket: Socket): void {
    if (socket.lag === undefined || socket.buffered > this.#catchUp.low || this.#closer.has(socket)) return;
    for (const room of [...socket.lag.keys()]) this.#catchUp.run(socket, room);
  }

  /** The socket has used its budget up: it is sent more at a later tick. */
  paced(socket: Socket): void {
    this.#paced.add(socket);
  }

  /** Time has passed, and budgets have grown. */
  tick(): void {
    const paced = [...this.#paced];
    this.#paced.clear();
    for (const socket of paced) this.drained(socket);
  }

  /** The socket is not in the room any more. */
  left(socket: Socket, room: Room): void {
    const lag = socket.lag?.get(room);
    if (lag === undefined) return;
    leavePosition(room, lag);
    socket.lag?.delete(room);
    room.lagging--;
    if (socket.lag?.size !== 0) return;
    socket.lag = undefined;
    this.#behind.delete(socket);
    this.#paced.delete(socket);
    this.#closer.delete(socket);
  }

  log(error: unknown, what: string): void {
    this.owner.log(error, what);
  }

  /** Closes it, under any policy. */
  end(socket: Socket): void {
    if (socket.closed) return;
    this.metrics.slow.close.inc();
    this.owner.end(socket, CloseCode.slow, slowReason);
  }

  /** Too much waits for the client: until its turn to be ended comes, nothing is kept for it either. */
  #giveUp(socket: Socket): void {
    for (const [room, lag] of socket.lag ?? []) leavePosition(room, lag);
    if (this.#policy === "close") this.#closer.add(socket);
    else this.metrics.slow.drop.inc();
  }

  /** In all its rooms: each could send it something more before it is looked at. */
  #keepPositions(socket: Socket): void {
    for (const room of socket.rooms.values()) {
      if (socket.lag?.has(room)) continue;
      room.backlog ??= new Backlog();
      room.backlog.holders++;
      this.#fallBehind(socket, room, {
        next: room.seq + 1,
        position: room.backlog.last,
        reading: false,
        charged: 0,
        deferred: false,
      });
    }
  }

  #fallBehind(socket: Socket, room: Room, lag: Lag): void {
    // The frames just sent may have ended it.
    if (socket.closed || socket.rooms.get(room.name) !== room) {
      leavePosition(room, lag);
      return;
    }
    socket.unsubscribe(room.topic);
    socket.lag ??= new Map();
    const before = socket.lag.get(room);
    if (before === undefined) room.lagging++;
    else leavePosition(room, before);
    socket.lag.set(room, lag);
    if (!lag.deferred) this.#behind.add(socket);
  }
}

/** Further messages are read from history. */
function leavePosition(room: Room, lag: Lag): void {
  const { backlog } = room;
  if (lag.position === undefined || backlog === undefined) return;
  lag.position = undefined;
  if (--backlog.holders === 0) room.backlog = undefined;
}

/** Bytes that wait for the socket in the backlogs of its rooms. */
function waiting(socket: Socket): number {
  let bytes = 0;
  for (const [{ backlog }, { position, deferred }] of socket.lag ?? []) {
    // Deferred frames are not the fault of the client.
    if (position !== undefined && backlog !== undefined && !deferred) bytes += backlog.since(position);
  }
  return bytes;
}

/** Bytes. */
const maxOwnBytes = 16_384;
const slowReason = '{"reason":"SLOW_CONSUMER","resume":"since"}';
