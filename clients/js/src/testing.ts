import type { ClientFrame, FeedState, Json, Message, Position, ServerFrame } from "./frames.js";
import type { Carrier, Transport, TransportEvents, TransportRequest } from "./transport.js";

type CallHandler = (body: Json, connection: FakeConnection) => Json | AsyncIterable<Json> | Promise<Json>;

interface FakeRoom {
  epoch: string;
  seq: number;
  readonly messages: Message[];
  readonly members: Map<FakeConnection, string>;
  readonly keys: Map<string, Position>;
}

/** A frame that a test refuses, or responds to itself. */
export interface Refusal {
  readonly reason: string;
  readonly message?: string;
  readonly retry_after?: number;
}

/**
 * A gateway in the memory of a test: rooms with history, presence and resuming, and calls that the test handles.
 * `new Client({ url: "ws://test", transports: [server.transport] })` connects to it.
 */
export class FakeServer {
  readonly connections = new Set<FakeConnection>();
  /** All frames that clients have sent. */
  readonly received: ClientFrame[] = [];
  /** Tokens by which clients have connected or refreshed. */
  readonly tokens: (string | undefined)[] = [];
  /** Messages that each room keeps. */
  history = 100;
  /** False: connections are accepted, and there are no responses. */
  responsive = true;
  /** The refusal of a connection; undefined: it is accepted. */
  refuseConnection: ((request: TransportRequest) => { code: number; reason: string } | undefined) | undefined;
  /** The refusal of a frame; undefined: it takes effect. */
  refuse: ((frame: ClientFrame) => Refusal | undefined) | undefined;
  readonly transport: Transport;
  readonly #rooms = new Map<string, FakeRoom>();
  readonly #calls = new Map<string, CallHandler>();
  #epochs = 0;

  constructor() {
    this.transport = {
      name: "fake",
      connect: (request, events) => new FakeConnection(this, request, events),
    };
  }

  /** Publishes as another member would. */
  publish(room: string, from: string, message: string): Position {
    const at = this.#room(room);
    const { epoch } = at;
    const seq = ++at.seq;
    const frame: Message = {
      type: "receive-message",
      room_id: room,
      from,
      message,
      sent_at: Date.now() / 1000,
      seq,
      epoch,
    };
    at.messages.push(frame);
    if (at.messages.length > this.history) at.messages.shift();
    for (const member of at.members.keys()) member.send(frame);
    return { epoch, seq };
  }

  /** Publishes messages that no member gets, and no client can fetch later. */
  lose(room: string, count = 1): void {
    const at = this.#room(room);
    at.seq += count;
    at.messages.length = 0;
  }

  /** Notifies the members of the room that the stream which feeds it has ended, or begun again. */
  feed(room: string, state: FeedState): void {
    for (const member of this.#room(room).members.keys()) member.send({ type: "feed", room_id: room, state });
  }

  /**
   * The room has a new epoch, as after a restart without a broker.
   * @param start its numbers go on after that one, as after a restart of Redis
   */
  restart(room: string, start = 0): void {
    const at = this.#room(room);
    at.epoch = `e${++this.#epochs}${start > 0 ? `-${start}` : ""}`;
    at.seq = start;
    at.messages.length = 0;
  }

  members(room: string): string[] {
    return [...this.#room(room).members.values()];
  }

  /** Handles calls of that method; an async iterable is a stream. A thrown object with `reason` is the error. */
  onCall(method: string, handler: CallHandler): void {
    this.#calls.set(method, handler);
  }

  /** Closes all connections. */
  drop(code = 1006, reason = ""): void {
    for (const connection of [...this.connections]) connection.close(code, reason);
  }

  /** @internal */
  over(connection: FakeConnection): void {
    this.connections.delete(connection);
    for (const [name, room] of this.#rooms) this.#leave(name, room, connection);
  }

  /** @internal */
  handle(connection: FakeConnection, frame: ClientFrame): void {
    const { id, type } = frame as { id?: number; type: string };
    const name = frame.room_id as string;
    const refused = this.refuse?.(frame);
    if (refused !== undefined) {
      connection.send({
        type: "error",
        id,
        room_id: name,
        message: refused.reason,
        ...refused,
      } as ServerFrame);
      return;
    }
    switch (type) {
      case "ping":
        connection.send({ type: "pong" });
        break;
      case "join-room":
        this.#join(
          connection,
          frame as unknown as { room_id: string; from?: string; since?: Position; id: number },
        );
        break;
      case "leave-room":
        this.#leave(name, this.#room(name), connection);
        connection.send({ type: "ack", room_id: name, id } as ServerFrame);
        break;
      case "send-message": {
        const room = this.#room(name);
        const from = room.members.get(connection);
        if (from === undefined) {
          const message = `join the room "${name}" first`;
          connection.send({
            type: "error",
            id,
            room_id: name,
            reason: "NOT_A_MEMBER",
            message,
          } as ServerFrame);
          break;
        }
        const key = `${from} ${String(frame.key)}`;
        const known = frame.key === undefined ? undefined : room.keys.get(key);
        const position = known ?? this.publish(name, from, String(frame.message));
        if (frame.key !== undefined) room.keys.set(key, position);
        const duplicate = known === undefined ? {} : { duplicate: true };
        connection.send({ type: "ack", room_id: name, id, ...position, ...duplicate } as ServerFrame);
        break;
      }
      case "presence": {
        const members = this.members(name);
        const frame = {
          type: "presence",
          id,
          room_id: name,
          count: members.length,
          members: [...new Set(members)],
        };
        connection.send(frame as ServerFrame);
        break;
      }
      case "refresh":
        this.tokens.push(String(frame.token));
        connection.send({ type: "ack", id } as ServerFrame);
        break;
      case "cancel":
        connection.cancel(id as number);
        break;
      case "call":
        void this.#call(connection, frame as unknown as { id: number; method: string; body: Json });
        break;
      default:
        break;
    }
  }

  #join(
    connection: FakeConnection,
    {
      room_id: name,
      from = "anonymous",
      since,
      id,
    }: { room_id: string; from?: string; since?: Position; id: number },
  ): void {
    const room = this.#room(name);
    const { epoch, seq } = room;
    if (!room.members.has(connection)) {
      for (const member of room.members.keys()) member.send({ type: "join-room", room_id: name, from });
      room.members.set(connection, from);
    }
    const same = since?.epoch === epoch;
    const missed = same ? room.messages.filter(each => each.seq > since.seq) : [];
    const complete = same && missed.length === seq - since.seq;
    const recovered = since === undefined ? {} : { recovered: complete };
    connection.send({ type: "ack", id, room_id: name, seq, epoch, ...recovered });
    if (!same) return;
    const first = missed[0]?.seq ?? seq + 1;
    if (first > since.seq + 1)
      connection.send({ type: "gap", room_id: name, epoch, from: since.seq + 1, to: first - 1 });
    for (const message of missed) connection.send(message);
  }

  #leave(name: string, room: FakeRoom, connection: FakeConnection): void {
    const from = room.members.get(connection);
    if (from === undefined) return;
    room.members.delete(connection);
    for (const member of room.members.keys()) member.send({ type: "leave-room", room_id: name, from });
  }

  async #call(
    connection: FakeConnection,
    { id, method, body }: { id: number; method: string; body: Json },
  ): Promise<void> {
    try {
      const handler = this.#calls.get(method);
      if (handler === undefined)
        throw { reason: "METHOD_NOT_CALLABLE", message: `nothing answers ${method}` };
      const result = await handler(body, connection);
      if (typeof result === "object" && result !== null && Symbol.asyncIterator in result) {
        for await (const event of result) {
          if (!connection.runs(id)) return;
          connection.send({ type: "event", id, body: event });
        }
        connection.send({ type: "end", id });
      } else connection.send({ type: "reply", id, body: result });
    } catch (error) {
      const { reason = "UNKNOWN", message = String(error) } = error as { reason?: string; message?: string };
      connection.send({ type: "error", id, reason, message });
    }
  }

  #room(name: string): FakeRoom {
    let room = this.#rooms.get(name);
    if (room === undefined) {
      room = { epoch: `e${++this.#epochs}`, seq: 0, messages: [], members: new Map(), keys: new Map() };
      this.#rooms.set(name, room);
    }
    return room;
  }
}

/** The connection of one client. */
export class FakeConnection implements Carrier {
  readonly #server: FakeServer;
  readonly #events: TransportEvents;
  readonly #cancelled = new Set<number>();
  #open = true;

  constructor(server: FakeServer, request: TransportRequest, events: TransportEvents) {
    this.#server = server;
    this.#events = {
      opened: () => this.#later(() => events.opened()),
      frame: frame => this.#later(() => events.frame(frame)),
      closed: (code, reason) => queueMicrotask(() => events.closed(code, reason)),
    };
    server.tokens.push(request.token);
    const refused = server.refuseConnection?.(request);
    if (refused !== undefined) {
      this.#open = false;
      this.#events.closed(refused.code, refused.reason);
      return;
    }
    if (!server.responsive) return;
    server.connections.add(this);
    this.#events.opened();
  }

  /** To the client, or from it: frames of a client are text. */
  send(frame: string | ServerFrame): void {
    if (!this.#open || !this.#server.responsive) return;
    if (typeof frame !== "string") {
      this.#events.frame(frame);
      return;
    }
    const read = JSON.parse(frame) as ClientFrame;
    this.#server.received.push(read);
    queueMicrotask(() => {
      if (this.#open) this.#server.handle(this, read);
    });
  }

  /** @internal */
  runs(call: number): boolean {
    return this.#open && !this.#cancelled.has(call);
  }

  /** @internal */
  cancel(call: number): void {
    this.#cancelled.add(call);
    this.send({ type: "error", id: call, reason: "CALL_CANCELLED", message: "the call was cancelled" });
  }

  /** @param code of the gateway; undefined where the client closes */
  close(code?: number, reason = ""): void {
    if (!this.#open) return;
    this.#open = false;
    this.#server.over(this);
    if (code !== undefined) this.#events.closed(code, reason);
  }

  #later(run: () => void): void {
    queueMicrotask(() => {
      if (this.#open) run();
    });
  }
}
