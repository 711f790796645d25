import type { Broker, Replay } from "../brokers/broker.js";
import { gap as gapText } from "../chat/frames.js";
import { count, type RealtimeMetrics } from "../metrics.js";
import type { Lag, Room, Socket } from "./socket.js";

export interface CatchUpOwner {
  /** The socket is not behind in the room any more. */
  left(socket: Socket, room: Room): void;
  /** The socket may be sent more when its budget has grown. */
  paced(socket: Socket): void;
  /** The socket may be sent more. */
  drained(socket: Socket): void;
  log(error: unknown, what: string): void;
}

/** Sends members that are behind the frames after their position: from the room's backlog, or from history. */
export class CatchUp {
  /** Bytes in its own buffer up to which a socket is sent more. */
  low = 0;

  constructor(
    readonly broker: Broker,
    readonly metrics: RealtimeMetrics,
    readonly owner: CatchUpOwner,
  ) {}

  /** Sends as much as the socket can take; after the last of it the socket is back on its topic. */
  run(socket: Socket, room: Room): void {
    while (!socket.closed) {
      const lag = socket.lag?.get(room);
      if (lag === undefined || lag.reading) return;
      const { position } = lag;
      if (position === undefined ? lag.next > room.seq : position.next === undefined) {
        this.owner.left(socket, room);
        socket.subscribe(room.topic);
        return;
      }
      if (socket.buffered > this.low) return;
      if (position !== undefined) {
        this.#sendBacklog(socket, lag);
        continue;
      }
      if (isReading(socket)) return;
      if (!affordable(socket, lag)) {
        this.owner.paced(socket);
        return;
      }
      const replay = this.#read(room, lag.next);
      if (replay instanceof Promise) {
        this.#catchUpLater(socket, room, lag, replay);
        return;
      }
      this.#send(socket, room, lag, replay);
    }
  }

  /** Begins with the replay that the broker has returned already. */
  resume(socket: Socket, room: Room, lag: Lag, replay: Replay): void {
    if (replay.position.seq >= lag.next && this.#ready(socket, room, lag) && affordable(socket, lag))
      this.#send(socket, room, lag, replay);
    this.run(socket, room);
  }

  /** Whether it is behind by that still, and can be sent something. */
  #ready(socket: Socket, room: Room, lag: Lag): boolean {
    return !socket.closed && socket.lag?.get(room) === lag && socket.buffered <= this.low;
  }

  /** Members of one room that have all missed the same share one replay. */
  #read(room: Room, next: number): Replay | Promise<Replay> {
    const { epoch, reading } = room;
    if (reading?.next === next && reading.epoch === epoch) return reading.replay;
    const replay = this.broker.since(room.name, { epoch, seq: next - 1 }, maxReplayed, replaySlice);
    if (!(replay instanceof Promise)) return replay;
    room.reading = { epoch, next, replay };
    const done = (): void => {
      if (room.reading?.replay === replay) room.reading = undefined;
    };
    replay.then(done, (error: unknown) => {
      done();
      this.owner.log(error, "the history of a room could not be read");
    });
    return replay;
  }

  /** Until the replay is here the socket requests no other: it holds one at most. */
  #catchUpLater(socket: Socket, room: Room, lag: Lag, replay: Promise<Replay>): void {
    lag.reading = true;
    const resume = (replay: Replay): void => {
      lag.reading = false;
      // Else the client must first read the frames of other rooms, and the broker is called again.
      if (this.#ready(socket, room, lag)) this.#send(socket, room, lag, replay);
      if (!socket.closed) this.owner.drained(socket);
    };
    replay.then(resume, () => resume({ position: room, recovered: false, messages: [] }));
  }

  /** Sends from its position on as much as there is room for. */
  #sendBacklog(socket: Socket, lag: Lag): void {
    const low = this.low;
    socket.corked(() => {
      for (let entry = lag.position?.next; entry !== undefined; entry = entry.next) {
        if (entry.except !== socket) {
          if (socket.buffered > low || !socket.send(entry.text)) return;
          count(this.metrics.sent[entry.type], 1, entry.bytes);
        }
        lag.position = entry;
        if (entry.seq > 0) lag.next = entry.seq + 1;
      }
    });
  }

  /** Sends from `lag.next` on as much as the socket can take; messages that are not kept any more are a gap. */
  #send(socket: Socket, room: Room, lag: Lag, { position, messages, more }: Replay): void {
    const { next } = lag;
    // Messages that came after the call of the broker need another call; those that it does not know any more are lost.
    const known = position.epoch === room.epoch && position.seq >= next;
    const reach = more ? (messages.at(-1)?.seq ?? 0) : position.seq;
    const end = known ? Math.min(reach, room.seq) : room.seq;
    const low = this.low;
    let at = next;
    socket.corked(() => {
      for (const message of messages) {
        // Messages that the room's other members have not been sent yet come by the topic.
        if (message.seq < at || message.seq > end || message.epoch !== room.epoch) continue;
        if (message.seq > at) this.gap(socket, room, at, message.seq - 1);
        if (!socket.send(message.text)) return;
        at = message.seq + 1;
        const bytes = Buffer.byteLength(message.text);
        count(this.metrics.sent["receive-message"], 1, bytes);
        this.metrics.replayed.inc();
        if (message.seq <= lag.charged) socket.replay?.spend(bytes);
        if (socket.buffered > low || !affordable(socket, { next: at, charged: lag.charged })) return;
      }
      if (at <= end) this.gap(socket, room, at, end);
      at = Math.max(at, end + 1);
    });
    lag.next = at;
  }

  /** The client is never sent these. */
  gap(socket: Socket, room: Pick<Room, "name" | "epoch">, from: number, to: number): void {
    const text = gapText(room.name, room.epoch, from, to);
    socket.send(text);
    count(this.metrics.sent.gap, 1, text.length);
    this.metrics.dropped.slow_consumer.value += to - from + 1;
  }
}

/** Whether the next message is one that the client has not requested itself, or that its budget pays for. */
function affordable({ replay }: Socket, { next, charged }: Pick<Lag, "next" | "charged">): boolean {
  return next > charged || replay === undefined || replay.open(performance.now());
}

function isReading({ lag }: Socket): boolean {
  for (const { reading } of lag?.values() ?? []) if (reading) return true;
  return false;
}

/** Most messages that are replayed to a member that has missed them. */
export const maxReplayed = 10_000;
/** How many of them are read at once: about as much as one client takes in a turn. */
export const replaySlice = 32;
