import { Emitter } from "./emitter.js";
import type { ClientFrame, Json, Message, Position, Presence, ServerFrame } from "./frames.js";
import { RealtimeError } from "./frames.js";

/** Messages that are lost: they were published, and this client never gets them. */
export interface Loss {
  readonly epoch: string;
  /** The first and the last of them. */
  readonly from: number;
  /** Infinity where the epoch has ended, and nobody knows how far it went. */
  readonly to: number;
}

export interface RoomEvents {
  /** Each once, in order. */
  message: Message;
  lost: Loss;
  /** It is a member, for the first time or again. `missed` messages follow or are `lost`. */
  joined: { readonly again: boolean; readonly missed: number };
  /** Somebody else has joined, or left. */
  enter: string;
  leave: string;
  /** Who is there; asked for after each change as long as somebody listens. */
  members: Presence;
  /** It is no member any more, and does not try to be. */
  refused: RealtimeError;
  /** Any other frame about the room. */
  frame: ServerFrame;
}

export interface RoomOptions {
  /** The name in the room, where the gateway does not know it by authentication. */
  readonly from?: string | undefined;
  /** The last message of an earlier session: what has followed it is delivered. */
  readonly since?: Position | undefined;
  /** Messages of before that are delivered on the first join, as far as the gateway has them. Default 0. */
  readonly last?: number | undefined;
}

export interface SendOptions {
  /** Milliseconds in which it is tried again. Default 60,000. */
  readonly timeout?: number;
}

/** A message that is no text. */
export interface JsonMessage {
  /** What kind of message it is. */
  readonly event?: string;
  readonly data?: Json;
}

/** Where a message went. */
export interface Sent extends Position {
  /** It had arrived already, by an earlier try. */
  readonly duplicate: boolean;
}

/** What a room needs of its client. */
export interface RoomLink {
  readonly open: boolean;
  /** False where the gateway does not know `key`, so that what may have been sent is not sent again. */
  keys: boolean;
  /** Messages that may wait in a room to be sent. */
  readonly queue: number;
  /** Milliseconds before what was refused for the moment is tried again. */
  readonly retryDelay: number;
  /** @param onResponse runs at once with the response, before what follows it */
  ask(frame: ClientFrame, onResponse?: (frame: ServerFrame) => void): Promise<ServerFrame>;
  /** @throws RealtimeError CLOSED */
  remember(room: Room): void;
  forget(room: Room): void;
}

interface Outgoing {
  readonly message: string | JsonMessage;
  readonly key: string;
  readonly timer: ReturnType<typeof setTimeout>;
  uncertain: boolean;
  resolve(sent: Sent): void;
  reject(error: Error): void;
}

type Membership = "out" | "joining" | "in";

/** How often presence is asked for at most, milliseconds. */
const presenceIntervalMs = 300;

/** One room. It stays a member over lost connections, and accounts for every message. */
export class Room {
  readonly #events = new Emitter<RoomEvents>();
  readonly #link: RoomLink;
  readonly #options: RoomOptions;
  readonly #outbox: Outgoing[] = [];
  /** The user wants to be a member. */
  #wanted: Deferred | undefined;
  #membership: Membership = "out";
  #position: Position | undefined;
  /** Gaps up to that message are of before the first join. */
  #earlier = 0;
  #sending = false;
  #retry: ReturnType<typeof setTimeout> | undefined;
  #presence: "known" | "asked" | "stale" = "known";

  constructor(
    readonly name: string,
    link: RoomLink,
    options: RoomOptions,
  ) {
    this.#link = link;
    this.#options = options;
    this.#position = options.since;
  }

  /** The last message that was delivered or lost; keep it to go on later by `since`. */
  get position(): Position | undefined {
    return this.#position;
  }

  get joined(): boolean {
    return this.#membership === "in";
  }

  /** @returns removes the listener */
  on<Name extends keyof RoomEvents>(name: Name, listener: (event: RoomEvents[Name]) => void): () => void {
    const off = this.#events.on(name, listener);
    if (name === "members" && this.joined) this.#askPresence();
    return off;
  }

  /** Resolves once it is a member, which it stays until `leave`. @throws RealtimeError where that is refused */
  join(): Promise<void> {
    if (this.#wanted === undefined) {
      try {
        this.#link.remember(this);
      } catch (error) {
        return Promise.reject(error);
      }
      this.#wanted = new Deferred();
      this.#enter();
    }
    return this.#wanted.promise;
  }

  /** Resolves once the message is published. It is sent in turn, also after the connection was lost. */
  send(message: string | JsonMessage, { timeout = 60_000 }: SendOptions = {}): Promise<Sent> {
    if (this.#wanted === undefined)
      return Promise.reject(new RealtimeError("NOT_JOINED", `join the room "${this.name}" first`));
    if (this.#outbox.length >= this.#link.queue)
      return Promise.reject(new RealtimeError("QUEUE_FULL", `${this.#link.queue} messages wait already`));
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#drop(
          outgoing,
          new RealtimeError("TIMEOUT", `not sent within ${timeout} ms`, outgoing.uncertain),
        );
      }, timeout);
      const outgoing: Outgoing = { message, key: newKey(), timer, uncertain: false, resolve, reject };
      this.#outbox.push(outgoing);
      this.#pump();
    });
  }

  /** Sends what is not kept and has no number, such as that somebody types. @throws RealtimeError where that fails, once */
  async sendEphemeral(message: JsonMessage): Promise<void> {
    await this.#link.ask({ ...message, type: "publish", room_id: this.name, ephemeral: true });
  }

  async presence(): Promise<Presence> {
    const { count, members } = await this.#link.ask({ type: "presence", room_id: this.name });
    return { count: Number(count), members: members as string[] };
  }

  /** Stops being a member; what still waits to be sent is not. */
  async leave(): Promise<void> {
    if (this.#wanted === undefined) return;
    const member = this.#membership !== "out" && this.#link.open;
    this.#quit(new RealtimeError("CLOSED", "the room was left"));
    if (member) await this.#link.ask({ type: "leave-room", room_id: this.name }).catch(() => undefined);
  }

  /** The connection is open. @internal */
  opened(): void {
    if (this.#wanted !== undefined) this.#enter();
  }

  /** The connection is over. @internal */
  lost(): void {
    clearTimeout(this.#retry);
    this.#membership = "out";
  }

  /** The client is closed. @internal */
  closed(): void {
    this.#quit(new RealtimeError("CLOSED", "the client is closed"));
  }

  /** Something was sent about the room. @internal */
  receive(frame: ServerFrame): void {
    switch (frame.type) {
      case "receive-message":
        this.#message(frame as Message);
        break;
      case "gap":
        this.#gap(String(frame.epoch), Number(frame.from), Number(frame.to));
        break;
      case "join-room":
        this.#events.emit("enter", String(frame.from));
        this.#askPresence();
        break;
      case "leave-room":
        this.#events.emit("leave", String(frame.from));
        this.#askPresence();
        break;
      case "left": {
        const error = new RealtimeError(
          String(frame.reason ?? "REMOVED"),
          "the gateway has ended the membership",
        );
        this.#quit(error);
        this.#events.emit("refused", error);
        break;
      }
      default:
        if (frame.type === "members") this.#askPresence();
        this.#events.emit("frame", frame);
    }
  }

  #quit(error: RealtimeError): void {
    clearTimeout(this.#retry);
    const wanted = this.#wanted;
    this.#wanted = undefined;
    this.#membership = "out";
    this.#link.forget(this);
    for (const outgoing of [...this.#outbox])
      this.#drop(
        outgoing,
        new RealtimeError(error.reason, error.message, outgoing.uncertain || this.#sending, error.frame),
      );
    this.#sending = false;
    wanted?.reject(error);
  }

  #enter(): void {
    if (!this.#link.open || this.#membership !== "out") return;
    this.#membership = "joining";
    this.#join(this.#position, this.#position !== undefined);
  }

  /** @param again the user has been told of messages up to `since` */
  #join(since: Position | undefined, again: boolean): void {
    const { from } = this.#options;
    const frame = {
      type: "join-room",
      room_id: this.name,
      ...(from !== undefined && { from }),
      ...(since !== undefined && { since: { epoch: since.epoch, seq: since.seq } }),
    };
    const wanted = this.#wanted;
    this.#link
      .ask(frame, ack => {
        if (this.#wanted === wanted && ack.type === "ack")
          this.#acknowledged(since, ack as unknown as Position, again);
      })
      .catch((error: RealtimeError) => this.#notJoined(error, wanted));
  }

  /** Runs before what follows the response is read. */
  #acknowledged(since: Position | undefined, { epoch, seq }: Position, again: boolean): void {
    const { last = 0 } = this.#options;
    if (since === undefined && last > 0 && seq > 0) {
      // The same once more, from further back.
      this.#earlier = seq;
      this.#position = { epoch, seq: Math.max(0, seq - last) };
      this.#join(this.#position, false);
      return;
    }
    if (since !== undefined && since.epoch !== epoch) {
      this.#restart(epoch);
      if (seq > 0) {
        this.#join({ epoch, seq: 0 }, again);
        return;
      }
    }
    this.#position ??= { epoch, seq };
    this.#membership = "in";
    this.#events.emit("joined", { again, missed: again ? Math.max(0, seq - this.#position.seq) : 0 });
    this.#wanted?.resolve();
    this.#askPresence();
    this.#pump();
  }

  #notJoined(error: RealtimeError, wanted: Deferred | undefined): void {
    if (this.#wanted !== wanted || wanted === undefined || error.reason === "CONNECTION_LOST") return;
    if (error.temporary) {
      this.#membership = "out";
      this.#retry = setTimeout(() => this.#enter(), this.#delay(error));
      return;
    }
    this.#quit(error);
    this.#events.emit("refused", error);
  }

  #message(message: Message): void {
    // What comes before the room is entered comes again after that.
    if (this.#membership !== "in") return;
    const { epoch, seq } = message;
    if (seq === undefined) {
      // Ephemeral: it has no place among the others.
      this.#events.emit("message", message);
      return;
    }
    if (this.#position !== undefined && this.#position.epoch !== epoch) this.#restart(epoch);
    const before = this.#position?.seq ?? seq - 1;
    if (seq <= before) return;
    if (seq > before + 1) this.#gap(epoch, before + 1, seq - 1);
    this.#position = { epoch, seq };
    this.#events.emit("message", message);
  }

  #gap(epoch: string, from: number, to: number): void {
    if (this.#membership !== "in") return;
    if (this.#position?.epoch !== epoch) this.#restart(epoch);
    const first = Math.max(from, (this.#position?.seq ?? 0) + 1);
    if (to < first) return;
    this.#position = { epoch, seq: to };
    const real = Math.max(first, this.#earlier + 1);
    if (real <= to) this.#events.emit("lost", { epoch, from: real, to });
  }

  /** The room counts anew. */
  #restart(epoch: string): void {
    const before = this.#position;
    this.#position = { epoch, seq: 0 };
    this.#earlier = 0;
    if (before !== undefined)
      this.#events.emit("lost", { epoch: before.epoch, from: before.seq + 1, to: Number.POSITIVE_INFINITY });
  }

  /** Sends what waits, one after the other, so that the order stays whatever is refused. */
  #pump(): void {
    const outgoing = this.#outbox[0];
    if (outgoing === undefined || this.#sending || this.#membership !== "in") return;
    this.#sending = true;
    const { message, key } = outgoing;
    const { keys } = this.#link;
    const frame = {
      room_id: this.name,
      ...(typeof message === "string" ? { type: "send-message", message } : { ...message, type: "publish" }),
      ...(keys && { key }),
    };
    this.#link.ask(frame).then(
      ({ epoch, seq, duplicate }) => {
        this.#sending = false;
        this.#remove(outgoing);
        outgoing.resolve({ epoch: String(epoch), seq: Number(seq), duplicate: duplicate === true });
        this.#pump();
      },
      (error: RealtimeError) => this.#notSent(outgoing, error),
    );
  }

  #notSent(outgoing: Outgoing, error: RealtimeError): void {
    this.#sending = false;
    if (error.uncertain) outgoing.uncertain = true;
    if (this.#link.keys && error.reason === "UNKNOWN_FIELD" && error.message.includes("key")) {
      this.#link.keys = false;
    } else if (!error.temporary || (outgoing.uncertain && !this.#link.keys)) {
      this.#drop(outgoing, error);
    } else if (error.reason !== "CONNECTION_LOST") {
      clearTimeout(this.#retry);
      this.#retry = setTimeout(() => this.#pump(), this.#delay(error));
      return;
    }
    this.#pump();
  }

  #drop(outgoing: Outgoing, error: RealtimeError): void {
    this.#remove(outgoing);
    outgoing.reject(error);
  }

  #remove(outgoing: Outgoing): void {
    clearTimeout(outgoing.timer);
    const index = this.#outbox.indexOf(outgoing);
    if (index >= 0) this.#outbox.splice(index, 1);
  }

  #delay({ retryAfter = 0 }: RealtimeError): number {
    return Math.max(1000 * retryAfter, this.#link.retryDelay) * (1 + 0.2 * Math.random());
  }

  /** Not more often than need be, however many come and go. */
  #askPresence(): void {
    if (!this.joined || !this.#events.has("members")) return;
    if (this.#presence !== "known") {
      this.#presence = "stale";
      return;
    }
    this.#presence = "asked";
    this.presence().then(
      presence => {
        if (this.joined) this.#events.emit("members", presence);
      },
      () => undefined,
    );
    setTimeout(() => {
      const stale = this.#presence === "stale";
      this.#presence = "known";
      if (stale) this.#askPresence();
    }, presenceIntervalMs);
  }
}

class Deferred {
  resolve!: () => void;
  reject!: (error: Error) => void;
  readonly promise = new Promise<void>((resolve, reject) => {
    this.resolve = resolve;
    this.reject = reject;
  });

  constructor() {
    // Who does not wait for it learns of it by events.
    this.promise.catch(() => undefined);
  }
}

function newKey(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(12)), byte =>
    byte.toString(16).padStart(2, "0"),
  ).join("");
}
