import { Backlog } from "./backlog.js";
import type { Broker, Replay } from "./broker.js";
import { CloseCode } from "./close-code.js";
import { count, type RealtimeMetrics } from "./metrics.js";
import { gap } from "./notices.js";
import { PacedEndings } from "./paced-endings.js";
import type { Room } from "./room.js";
import type { Lag, Socket } from "./socket.js";

/** What is done about a client that reads more slowly than its rooms speak. */
export interface SlowPolicy {
  /** Bytes that may wait for one client. */
  readonly max: number;
  /** `close` with 4008, or `drop` what it misses and tell it what that was. */
  readonly policy: "close" | "drop";
}

/** What becomes of a socket that is to be ended. */
export interface SlowOwner {
  /** Takes the socket out of everything; it is closed with that code once its client has read what was sent. */
  end(socket: Socket, code: number, reason: string): void;
  log(error: unknown, what: string): void;
}

/**
 * Keeps every member exactly informed: it gets each message of its room in order, or a gap that names those it never
 * gets. Who has more than a little in its own buffer is behind: it is taken off its topic and keeps its place in the
 * room's backlog, so that what waits for many is there once. For whom too much waits, the policy decides: its socket
 * is closed, or it gives up its place, and is sent what it missed from history as far as that reaches.
 */
export class SlowConsumers {
  #max = 0;
  /** Bytes in its own buffer above which a socket is behind. */
  #most = 0;
  #policy: "close" | "drop" = "close";
  /** Sockets that are behind. */
  readonly #behind = new Set<Socket>();
  readonly #endings: PacedEndings;

  constructor(
    readonly broker: Broker,
    readonly metrics: RealtimeMetrics,
    readonly owner: SlowOwner,
  ) {
    this.#endings = new PacedEndings(socket => this.end(socket));
  }

  set policy({ max, policy }: SlowPolicy) {
    this.#max = max;
    this.#most = Math.min(mostOwn, max >> 1);
    this.#policy = policy;
    if (policy === "close") return;
    for (const socket of this.#endings) {
      this.#endings.delete(socket);
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
    return this.#endings.size;
  }

  /** Looks at what waits for each of the room's members. */
  sweep(room: Room): void {
    let found: Socket[] | undefined;
    for (const socket of room.members.keys()) {
      const slow = socket.lag?.has(room) ? waiting(socket) > this.#max : socket.buffered > this.#most;
      if (!slow) continue;
      found ??= [];
      found.push(socket);
    }
    for (const socket of found ?? []) {
      if (socket.lag?.has(room)) this.#giveUp(socket);
      else this.#keepPlaces(socket);
    }
    // Afterwards, because ending one tells the others, who may be swept again by that.
    this.#endings.some();
  }

  /**
   * The member is to be sent everything from that message on, and then what comes.
   * @param replay some of it, where the broker has been asked already
   */
  follow(socket: Socket, room: Room, from: number, replay?: Replay): void {
    const lag: Lag = { next: from, place: undefined, asked: false };
    this.#fallBehind(socket, room, lag);
    if (replay !== undefined && replay.position.seq >= from && this.#ready(socket, room, lag))
      this.#send(socket, room, lag, replay);
    this.#catchUp(socket, room);
  }

  /** Messages from that one on did not come from the broker, and are only in its history, if anywhere. */
  missed(socket: Socket, room: Room, from: number): void {
    const lag = socket.lag?.get(room);
    if (lag === undefined) {
      this.follow(socket, room, from);
      return;
    }
    leavePlace(room, lag);
    lag.next = Math.min(lag.next, from);
  }

  /** The room's messages are lost, and it counts anew: what its members were still to be sent they never get. */
  restart(room: Room, epoch: string): void {
    const behind = [...room.members.keys()].filter(socket => socket.lag?.has(room));
    const before = { name: room.name, epoch: room.epoch };
    const last = room.seq;
    room.epoch = epoch;
    room.seq = 0;
    for (const socket of behind) {
      const lag = socket.lag?.get(room);
      if (lag === undefined) continue;
      if (lag.next <= last) this.#gap(socket, before, lag.next, last);
      this.follow(socket, room, 1);
    }
  }

  /** The client has read some of what waited for it. */
  drained(socket: Socket): void {
    if (socket.lag === undefined || socket.buffered > this.#low || this.#endings.has(socket)) return;
    for (const room of [...socket.lag.keys()]) this.#catchUp(socket, room);
  }

  /** The socket is not in the room any more. */
  left(socket: Socket, room: Room): void {
    const lag = socket.lag?.get(room);
    if (lag === undefined) return;
    leavePlace(room, lag);
    socket.lag?.delete(room);
    room.lagging--;
    if (socket.lag?.size !== 0) return;
    socket.lag = undefined;
    this.#behind.delete(socket);
    this.#endings.delete(socket);
  }

  get #low(): number {
    return this.#most >> 1;
  }

  /** Closes it, whatever the policy. */
  end(socket: Socket): void {
    if (socket.closed) return;
    this.metrics.slow.close.inc();
    this.owner.end(socket, CloseCode.slow, slowReason);
  }

  /** Too much waits for the client: until its turn to be ended comes, nothing is kept for it either. */
  #giveUp(socket: Socket): void {
    for (const [room, lag] of socket.lag ?? []) leavePlace(room, lag);
    if (this.#policy === "close") this.#endings.add(socket);
    else this.metrics.slow.drop.inc();
  }

  /** In all its rooms: each could send it something more before it is looked at. */
  #keepPlaces(socket: Socket): void {
    for (const room of socket.rooms.values()) {
      if (socket.lag?.has(room)) continue;
      room.backlog ??= new Backlog();
      room.backlog.holders++;
      this.#fallBehind(socket, room, { next: room.seq + 1, place: room.backlog.last, asked: false });
    }
  }

  #fallBehind(socket: Socket, room: Room, lag: Lag): void {
    // What it has just been sent may have ended it.
    if (socket.closed || socket.rooms.get(room.name) !== room) {
      leavePlace(room, lag);
      return;
    }
    socket.unsubscribe(room.topic);
    socket.lag ??= new Map();
    const before = socket.lag.get(room);
    if (before === undefined) room.lagging++;
    else leavePlace(room, before);
    socket.lag.set(room, lag);
    this.#behind.add(socket);
  }

  #catchUp(socket: Socket, room: Room): void {
    while (!socket.closed) {
      const lag = socket.lag?.get(room);
      if (lag === undefined || lag.asked) return;
      const { place } = lag;
      if (place === undefined ? lag.next > room.seq : place.next === undefined) {
        this.left(socket, room);
        socket.subscribe(room.topic);
        return;
      }
      if (socket.buffered > this.#low) return;
      if (place !== undefined) {
        this.#sendBacklog(socket, lag);
        continue;
      }
      if (isAsking(socket)) return;
      const replay = this.#read(room, lag.next);
      if (replay instanceof Promise) {
        this.#catchUpLater(socket, room, lag, replay);
        return;
      }
      this.#send(socket, room, lag, replay);
    }
  }

  /** Whether it is behind by that still, and can be sent something. */
  #ready(socket: Socket, room: Room, lag: Lag): boolean {
    return !socket.closed && socket.lag?.get(room) === lag && socket.buffered <= this.#low;
  }

  /** Members of one room that have all missed the same are given one answer. */
  #read(room: Room, next: number): Replay | Promise<Replay> {
    const { epoch, reading } = room;
    if (reading?.next === next && reading.epoch === epoch) return reading.answer;
    const answer = this.broker.since(room.name, { epoch, seq: next - 1 }, replayLimit, replaySlice);
    if (!(answer instanceof Promise)) return answer;
    room.reading = { epoch, next, answer };
    const done = (): void => {
      if (room.reading?.answer === answer) room.reading = undefined;
    };
    answer.then(done, (error: unknown) => {
      done();
      this.owner.log(error, "the history of a room could not be read");
    });
    return answer;
  }

  /** Until the answer is here the socket asks nothing else: what it can hold in answers is one. */
  #catchUpLater(socket: Socket, room: Room, lag: Lag, answer: Promise<Replay>): void {
    lag.asked = true;
    const resume = (replay: Replay): void => {
      lag.asked = false;
      // Else what other rooms have sent meanwhile must be read first, and the broker be asked again.
      if (this.#ready(socket, room, lag)) this.#send(socket, room, lag, replay);
      if (!socket.closed) this.drained(socket);
    };
    answer.then(resume, () => resume({ position: room, recovered: false, messages: [] }));
  }

  /** Sends from its place on as much as there is room for. */
  #sendBacklog(socket: Socket, lag: Lag): void {
    const low = this.#low;
    socket.corked(() => {
      for (let said = lag.place?.next; said !== undefined; said = said.next) {
        if (said.except !== socket) {
          if (socket.buffered > low || !socket.send(said.text)) return;
          count(this.metrics.sent[said.type], 1, said.bytes);
        }
        lag.place = said;
        if (said.seq > 0) lag.next = said.seq + 1;
      }
    });
  }

  /** Sends from `lag.next` on as much as there is room for; what is not there any more is a gap. */
  #send(socket: Socket, room: Room, lag: Lag, { position, messages, more }: Replay): void {
    const { next } = lag;
    // What has come since the broker was asked is asked for anew; what it does not know of any more is lost.
    const known = position.epoch === room.epoch && position.seq >= next;
    const reach = more ? (messages.at(-1)?.seq ?? 0) : position.seq;
    const end = known ? Math.min(reach, room.seq) : room.seq;
    const low = this.#low;
    let at = next;
    socket.corked(() => {
      for (const message of messages) {
        // What the room's other members have not been sent yet comes by the topic.
        if (message.seq < at || message.seq > end || message.epoch !== room.epoch) continue;
        if (message.seq > at) this.#gap(socket, room, at, message.seq - 1);
        if (!socket.send(message.text)) return;
        at = message.seq + 1;
        count(this.metrics.sent["receive-message"], 1, Buffer.byteLength(message.text));
        this.metrics.replayed.inc();
        if (socket.buffered > low) return;
      }
      if (at <= end) this.#gap(socket, room, at, end);
      at = Math.max(at, end + 1);
    });
    lag.next = at;
  }

  #gap(socket: Socket, room: Pick<Room, "name" | "epoch">, from: number, to: number): void {
    const text = gap(room.name, room.epoch, from, to);
    socket.send(text);
    count(this.metrics.sent.gap, 1, text.length);
    this.metrics.dropped.slow_consumer.value += to - from + 1;
  }
}

/** What follows is read from history. */
function leavePlace(room: Room, lag: Lag): void {
  const { backlog } = room;
  if (lag.place === undefined || backlog === undefined) return;
  lag.place = undefined;
  if (--backlog.holders === 0) room.backlog = undefined;
}

function isAsking({ lag }: Socket): boolean {
  for (const { asked } of lag?.values() ?? []) if (asked) return true;
  return false;
}

/** Bytes that wait for the socket in the backlogs of its rooms. */
function waiting(socket: Socket): number {
  let bytes = 0;
  for (const [{ backlog }, { place }] of socket.lag ?? []) {
    if (place !== undefined && backlog !== undefined) bytes += backlog.since(place);
  }
  return bytes;
}

/** Bytes. */
const mostOwn = 16_384;
/** Messages that are replayed at most to who has missed them. */
export const replayLimit = 10_000;
/** How many of them are read at once: about what one client takes in a turn. */
export const replaySlice = 32;
const slowReason = '{"reason":"SLOW_CONSUMER","resume":"since"}';
