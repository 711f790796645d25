import { Emitter } from "./emitter.js";
import {
  type FeedState,
  type Message,
  type Position,
  type Presence,
  RealtimeError,
  type ServerFrame,
} from "./frames.js";
import {
  type JsonMessage,
  Outbox,
  type OutboxLink,
  retryDelay,
  type SendOptions,
  type Sent,
} from "./outbox.js";

/** Messages that are lost: they were published, and this client never gets them. */
export interface Loss {
  readonly epoch: string;
  /** The first and the last of them. */
  readonly from: number;
  /** Infinity where the epoch has ended at an unknown number. */
  readonly to: number;
}

export interface RoomEvents {
  /** Each once, in order. */
  message: Message;
  lost: Loss;
  /** It is a member, for the first time or again. `missed` messages follow or are `lost`. */
  joined: { readonly again: boolean; readonly missed: number };
  /** Another member has joined, or left. */
  enter: string;
  leave: string;
  /** The members; requested after each change as long as there is a listener. */
  members: Presence;
  /** It is no member any more, and does not try to be. */
  refused: RealtimeError;
  /** The stream of a backend that feeds the room has ended, or another one has begun in its place. */
  feed: FeedState;
  /** Any other frame about the room. */
  frame: ServerFrame;
}

export interface RoomOptions {
  /** The name in the room, where the gateway does not know it by authentication. */
  readonly from?: string | undefined;
  /** The last message of an earlier session: the messages after it are delivered. */
  readonly since?: Position | undefined;
  /** Where the room is joined with one. A function is called for each join, and for another before one expires. */
  readonly token?: string | ((why: "join" | "expiring") => string | Promise<string>) | undefined;
  /** Messages of before that are delivered on the first join, as far as the gateway has them. Default 0. */
  readonly last?: number | undefined;
}

/** The part of its client that a room uses. */
export interface RoomLink extends OutboxLink {
  readonly open: boolean;
  /** @throws RealtimeError CLOSED */
  remember(room: Room): void;
  forget(room: Room): void;
}

type Membership = "out" | "joining" | "in";

/** Least milliseconds between two requests for presence. */
const presenceIntervalMs = 300;

/** One room. It stays a member over lost connections, and accounts for every message. */
export class Room {
  readonly #events = new Emitter<RoomEvents>();
  readonly #link: RoomLink;
  readonly #options: RoomOptions;
  readonly #outbox: Outbox;
  /** What `join` returns: from the request to join until the room is left. */
  #requested: Deferred | undefined;
  #membership: Membership = "out";
  /** Joins that were begun; a token that comes later than the next of them is not used. */
  #joins = 0;
  #position: Position | undefined;
  /** Gaps up to that message are of before the first join. */
  #earlier = 0;
  #retry: ReturnType<typeof setTimeout> | undefined;
  #presence: "known" | "requested" | "stale" = "known";

  constructor(
    readonly name: string,
    link: RoomLink,
    options: RoomOptions,
  ) {
    this.#link = link;
    this.#options = options;
    this.#position = options.since;
    this.#outbox = new Outbox(name, link);
  }

  /** The last message that was delivered or lost; keep it to go on later by `since`. */
  get position(): Position | undefined {
    return this.#position;
  }

  get joined(): boolean {
    return this.#membership === "in";
  }

  /** @internal */
  get joining(): boolean {
    return this.#membership === "joining";
  }

  /** @returns removes the listener */
  on<Name extends keyof RoomEvents>(name: Name, listener: (event: RoomEvents[Name]) => void): () => void {
    const off = this.#events.on(name, listener);
    if (name === "members" && this.joined) this.#requestPresence();
    return off;
  }

  /** Resolves once it is a member, which it stays until `leave`. @throws RealtimeError where that is refused */
  join(): Promise<void> {
    if (this.#requested === undefined) {
      try {
        this.#link.remember(this);
      } catch (error) {
        return Promise.reject(error);
      }
      this.#requested = new Deferred();
      this.#enter();
    }
    return this.#requested.promise;
  }

  /** Resolves once the message is published. It is sent in turn, also after the connection was lost. */
  send(message: string | JsonMessage, { timeout = 60_000 }: SendOptions = {}): Promise<Sent> {
    if (this.#requested === undefined)
      return Promise.reject(new RealtimeError("NOT_JOINED", `join the room "${this.name}" first`));
    return this.#outbox.send(message, timeout);
  }

  /** Sends a message without history or number, such as a typing notice, once. @throws RealtimeError where it fails */
  async sendEphemeral(message: JsonMessage): Promise<void> {
    await this.#link.request({ ...message, type: "publish", room_id: this.name, ephemeral: true });
  }

  async presence(): Promise<Presence> {
    const { count, members } = await this.#link.request({ type: "presence", room_id: this.name });
    return { count: Number(count), members: members as string[] };
  }

  /** Leaves the room; messages that still wait are not sent. */
  async leave(): Promise<void> {
    if (this.#requested === undefined) return;
    const member = this.#membership !== "out" && this.#link.open;
    this.#quit(new RealtimeError("CLOSED", "the room was left"));
    if (member) await this.#link.request({ type: "leave-room", room_id: this.name }).catch(() => undefined);
  }

  /** The connection is open. @internal */
  opened(): void {
    if (this.#requested !== undefined) this.#enter();
  }

  /** The connection is over. @internal */
  lost(): void {
    clearTimeout(this.#retry);
    this.#membership = "out";
    this.#joins++;
    this.#outbox.pause();
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
        this.#requestPresence();
        break;
      case "leave-room":
        this.#events.emit("leave", String(frame.from));
        this.#requestPresence();
        break;
      case "feed":
        this.#events.emit("feed", frame.state as FeedState);
        break;
      case "expiring":
        this.#renew();
        break;
      case "left": {
        if (frame.reason === "TOKEN_EXPIRED" && typeof this.#options.token === "function") {
          this.lost();
          if (this.#requested !== undefined) this.#enter();
          break;
        }
        const error = new RealtimeError(
          String(frame.reason ?? "REMOVED"),
          "the gateway has ended the membership",
        );
        this.#quit(error);
        this.#events.emit("refused", error);
        break;
      }
      default:
        if (frame.type === "members") this.#requestPresence();
        this.#events.emit("frame", frame);
    }
  }

  #quit(error: RealtimeError): void {
    clearTimeout(this.#retry);
    const requested = this.#requested;
    this.#requested = undefined;
    this.#membership = "out";
    this.#link.forget(this);
    this.#outbox.clear(error);
    requested?.reject(error);
  }

  #enter(): void {
    if (!this.#link.open || this.#membership !== "out") return;
    this.#membership = "joining";
    this.#join(this.#position, this.#position !== undefined);
  }

  /** @param again the user has been notified of messages up to `since` */
  #join(since: Position | undefined, again: boolean): void {
    const { token } = this.#options;
    const requested = this.#requested;
    const attempt = ++this.#joins;
    const send = (known?: string): void => {
      if (this.#joins !== attempt) return;
      const position = since !== undefined && { since: { epoch: since.epoch, seq: since.seq } };
      this.#link
        .request({ ...this.#request(known), ...position }, ack => {
          if (this.#requested === requested && ack.type === "ack")
            this.#acknowledged(since, ack as unknown as Position, again);
        })
        .catch((error: RealtimeError) => this.#notJoined(error, requested));
    };
    if (typeof token !== "function") send(token);
    else
      tokenOf(token, "join").then(send, (error: RealtimeError) => {
        if (this.#joins === attempt) this.#notJoined(error, requested);
      });
  }

  #request(token: string | undefined) {
    const { from } = this.#options;
    return {
      type: "join-room",
      room_id: this.name,
      ...(from !== undefined && { from }),
      ...(token !== undefined && { token }),
    };
  }

  /** Joins again with another token, which changes nothing else. Where none can be had, the gateway ends the membership. */
  #renew(): void {
    const { token } = this.#options;
    if (typeof token !== "function") return;
    const attempt = this.#joins;
    tokenOf(token, "expiring")
      .then(next =>
        this.joined && this.#joins === attempt ? this.#link.request(this.#request(next)) : undefined,
      )
      .catch(() => undefined);
  }

  /** Runs before the frames after the response are read. */
  #acknowledged(since: Position | undefined, { epoch, seq }: Position, again: boolean): void {
    const { last = 0 } = this.#options;
    if (since === undefined && last > 0 && seq > 0) {
      // The same once more, from further back.
      this.#earlier = seq;
      this.#position = { epoch, seq: Math.max(startOf(epoch), seq - last) };
      this.#join(this.#position, false);
      return;
    }
    if (since !== undefined && since.epoch !== epoch) {
      this.#restart(epoch);
      const begin = { epoch, seq: startOf(epoch) };
      if (seq > begin.seq) {
        this.#join(begin, again);
        return;
      }
    }
    this.#position ??= { epoch, seq };
    this.#membership = "in";
    this.#events.emit("joined", { again, missed: again ? Math.max(0, seq - this.#position.seq) : 0 });
    this.#requested?.resolve();
    this.#requestPresence();
    this.#outbox.resume();
  }

  #notJoined(error: RealtimeError, requested: Deferred | undefined): void {
    if (this.#requested !== requested || requested === undefined || error.reason === "CONNECTION_LOST")
      return;
    if (error.temporary) {
      this.#membership = "out";
      this.#retry = setTimeout(() => this.#enter(), retryDelay(error, this.#link));
      return;
    }
    this.#quit(error);
    this.#events.emit("refused", error);
  }

  #message(message: Message): void {
    // Messages before the room is entered come again after that.
    if (this.#membership !== "in") return;
    const { epoch, seq } = message;
    if (seq === undefined) {
      // Ephemeral: it has no position among the others.
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

  /** The room has a new epoch. */
  #restart(epoch: string): void {
    const before = this.#position;
    this.#position = { epoch, seq: startOf(epoch) };
    this.#earlier = 0;
    if (before !== undefined)
      this.#events.emit("lost", { epoch: before.epoch, from: before.seq + 1, to: Number.POSITIVE_INFINITY });
  }

  /** Not more often than need be, however many come and go. */
  #requestPresence(): void {
    if (!this.joined || !this.#events.has("members")) return;
    if (this.#presence !== "known") {
      this.#presence = "stale";
      return;
    }
    this.#presence = "requested";
    this.presence().then(
      presence => {
        if (this.joined) this.#events.emit("members", presence);
      },
      () => undefined,
    );
    setTimeout(() => {
      const stale = this.#presence === "stale";
      this.#presence = "known";
      if (stale) this.#requestPresence();
    }, presenceIntervalMs);
  }
}

/** @throws RealtimeError NO_TOKEN (rejects), after which it is tried again */
async function tokenOf<Why>(source: (why: Why) => string | Promise<string>, why: Why): Promise<string> {
  try {
    return await source(why);
  } catch (error) {
    throw new RealtimeError("NO_TOKEN", String(error));
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
    // A user that does not wait for it is notified by events.
    this.promise.catch(() => undefined);
  }
}

/** The position before the first message of an epoch: 0, or 7 of `c44cdcb34fe1-7`. */
function startOf(epoch: string): number {
  return Number(/-(\d{1,15})$/.exec(epoch)?.[1] ?? 0);
}
