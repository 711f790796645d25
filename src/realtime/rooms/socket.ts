import type { Identity } from "../../auth/identity.js";
import type { Session } from "../bridge/bridge.js";
import type { Replay, RoomPosition } from "../brokers/broker.js";
import type { RoomFrame } from "../chat/frames.js";
import type { Backlog, BacklogEntry } from "./backlog.js";
import type { Connection } from "./connection.js";
import type { HeldDelivery } from "./held-delivery.js";
import type { ReplayBudget } from "./replay-budget.js";
import type { RoomKind, RoomToken } from "./room-kinds.js";

/** The rate of frames of a socket: so many at once, and so many a second. */
export interface FrameRate {
  readonly perSecond: number;
  readonly burst: number;
}

/** The properties of a client before its socket is open. */
export interface Client {
  readonly identity: Identity | undefined;
  readonly clientAddress: string;
  readonly requestId: string;
}

/** The owner of all sockets. */
export interface SocketOwner {
  /** Bytes that may wait for a client to read them before requests for replies are refused. */
  readonly sendLimit: number;
  /** The socket is above it. */
  tooSlow(socket: Socket): void;
}

/** How far a socket is behind in a room. */
export interface Lag {
  /** The first message not sent. */
  next: number;
  /** Its position in the room's backlog; undefined where further messages are read from history. */
  position: BacklogEntry | undefined;
  /** The next messages are being requested from the broker. */
  reading: boolean;
  /** The last message that the client itself has requested, which its budget pays for; 0 for none. */
  readonly charged: number;
  /** Behind only because one turn of the event loop may not write to all members: `SlowConsumers.defer`. */
  deferred: boolean;
}

/** A room with an event that a backend decides on: later frames wait. */
export interface Lane {
  readonly waiting: RoomFrame[];
  /** Never rejects. */
  running: Promise<void>;
}

/**
 * The states of a socket.
 *
 *              open()             beginClose()              close()
 *   Connecting ───────► Open ─────────────────► Closing ─────────────► Closed
 *       │                │     what was sent is still written,           ▲ ▲
 *       │                │     nothing is added                          │ │
 *       │                └── the client or the connection ends it ───────┘ │
 *       └── the client has gone before the upgrade was decided ────────────┘
 *
 * While it is open it is a member of each of `rooms`, and there in one of two states:
 *
 *             reads too slowly, has to be sent history, or waits for a later turn
 *   joined ─────────────────────────────────────────────────────────────────────► lagging
 *   subscribed to the room's topic                 has a `Lag`: is sent the backlog, or history
 *          ◄─────────────────────────────────────────────────────────────────────
 *                               has been sent everything
 */
export enum SocketState {
  Connecting,
  Open,
  /** It has left its rooms; the close frame follows when the client has read the frames sent: `pendingClose`. */
  Closing,
  Closed,
}

/**
 * A client's WebSocket. A connection must not be touched after its end: it is gone then, and every method does nothing.
 * There is one for each connection, so it holds only data that every connection needs.
 */
export class Socket implements Session {
  #state = SocketState.Connecting;
  #connection: Connection | undefined = undefined;
  /** The identity that was authenticated when it was opened, or by a later token. */
  identity: Identity | undefined;
  /** A new token is being checked. */
  renewing = false;
  /** The end of the token of which its client has been notified. */
  notifiedExpiry = 0;
  /** The tokens by which it has joined, by room; undefined where no room needed one. */
  roomTokens: Map<string, RoomToken> | undefined = undefined;
  readonly clientAddress: string;
  readonly requestId: string;
  subject: string;
  readonly rooms = new Map<string, Room>();
  /** By room in which the socket is behind. */
  lag: Map<Room, Lag> | undefined = undefined;
  /** Frames that wait, by room for which a backend is being called. */
  lanes: Map<string, Lane> | undefined = undefined;
  /** Frames that wait, of all rooms. */
  waiting = 0;
  /** Its frames that still wait in rooms for delivery, and their bytes. */
  heldFrames = 0;
  heldBytes = 0;
  /** Its replay budget; undefined where it has not requested any yet. */
  replay: ReplayBudget | undefined = undefined;
  /** Release the permits of concurrency limits. */
  releases: readonly (() => void)[] = none;
  #pendingClose: PendingClose | undefined = undefined;
  #credit: number;
  #creditAt = 0;
  #strikesLeft = maxStrikes;
  #strikesAt = 0;

  constructor(
    readonly id: string,
    client: Client,
    readonly owner: SocketOwner,
    burst: number,
  ) {
    this.identity = client.identity;
    this.clientAddress = client.clientAddress;
    this.requestId = client.requestId;
    this.subject = client.identity?.subject ?? "";
    this.#credit = burst;
  }

  get state(): SocketState {
    return this.#state;
  }

  /** Nothing more is taken from its client or sent to it. */
  get closed(): boolean {
    return this.#state >= SocketState.Closing;
  }

  /** While it is closing, and after that. */
  get pendingClose(): PendingClose | undefined {
    return this.#pendingClose;
  }

  open(connection: Connection): void {
    this.#state = SocketState.Open;
    this.#connection = connection;
  }

  beginClose(pending: PendingClose): void {
    this.#state = SocketState.Closing;
    this.#pendingClose = pending;
  }

  /** The connection is over, or there never was one: it must not be touched any more. */
  close(): void {
    this.#state = SocketState.Closed;
    this.#connection = undefined;
  }

  /** Its client comes by requests, of which a gateway that drains takes no new connections. */
  get byRequests(): boolean {
    return this.#connection?.byRequests === true;
  }

  get buffered(): number {
    return this.#connection === undefined ? 0 : this.#connection.getBufferedAmount();
  }

  send(text: string): boolean {
    const connection = this.#connection;
    if (connection === undefined || this.#state !== SocketState.Open) return false;
    if (connection.getBufferedAmount() > this.owner.sendLimit) {
      this.owner.tooSlow(this);
      return false;
    }
    connection.send(text, false);
    return true;
  }

  subscribe(topic: string): void {
    this.#connection?.subscribe(topic);
  }

  /** Messages published before still arrive. @returns whether it was subscribed */
  unsubscribe(topic: string): boolean {
    return this.#connection?.unsubscribe(topic) ?? false;
  }

  /** Runs `write` so that all it sends goes out in one piece. */
  corked(write: () => void): void {
    if (this.#connection === undefined) write();
    else this.#connection.cork(write);
  }

  /** The close frame goes behind everything that has been sent. */
  end(code: number, reason: string): void {
    this.#connection?.end(code, reason);
  }

  /** Terminates without a close frame. */
  terminate(): void {
    this.#connection?.close();
  }

  /** True where the client may send one more frame now. @param now milliseconds */
  admits(now: number, { perSecond, burst }: FrameRate): boolean {
    const credit = Math.min(burst, this.#credit + ((now - this.#creditAt) * perSecond) / 1000);
    this.#creditAt = now;
    this.#credit = credit < 1 ? credit : credit - 1;
    return credit >= 1;
  }

  /** A frame had to be refused as invalid. True where that has happened too often. @param now milliseconds */
  strike(now: number): boolean {
    this.#strikesLeft = Math.min(maxStrikes, this.#strikesLeft + (now - this.#strikesAt) / 1000) - 1;
    this.#strikesAt = now;
    return this.#strikesLeft < 0;
  }
}

const none: readonly (() => void)[] = [];

/** Close code and reason of a socket that is being ended, once all frames are sent. */
export interface PendingClose {
  readonly code: number;
  readonly reason: string;
  /** Of `performance.now`. */
  readonly until: number;
  /** The rooms that it was in, with its name there: backends are notified that it left them. */
  readonly left: ReadonlyMap<string, string>;
}

/** Frames refused at once before the socket is closed; one more is forgiven each second. */
const maxStrikes = 20;

/** Members up to which names are not counted in a table. */
const countedMembers = 16;

/** A room that has members on this node. */
export class Room {
  /** Each with the name that it joined by. */
  readonly members = new Map<Socket, string>();
  /** Where the room is, as far as its members here have been sent it. */
  epoch = "";
  seq = 0;
  /** Members that are behind, and not subscribed until they have caught up. */
  lagging = 0;
  /** The frames still to be sent to those members that are not further behind than a client may be. */
  backlog: Backlog | undefined = undefined;
  /** The pending call of the broker for members that have missed everything from `next` on. */
  reading: { readonly epoch: string; readonly next: number; readonly replay: Promise<Replay> } | undefined =
    undefined;
  /** The deliveries of later turns of the event loop, in order: first messages, then notices. */
  readonly held: HeldDelivery[] = [];
  readonly heldNotices: HeldDelivery[] = [];
  heldBytes = 0;
  /** Members that are still to be sent the last message, before anything that is held. */
  deferredFanOut: DeferredFanOut | undefined = undefined;
  /** Messages of sockets that the broker has taken and the room has not delivered, by their `seq`. */
  readonly #undelivered: Undelivered[] = [];
  /** The cost of its deliveries in this turn. */
  spent = 0;
  /** Bytes published since the members' buffers were last looked at. */
  bytesSinceSweep = 0;
  /** Sockets that wait for the broker to have subscribed. */
  joining = 0;
  /** Until the broker has subscribed. */
  opening: Promise<void> | undefined = undefined;
  /** How many members each name has; undefined where they are so few that it is counted when it is needed. */
  #names: Map<string, number> | undefined = undefined;
  /** `messageHead` of its name. */
  readonly messageHead: string;

  /**
   * @param topic by which its members are reached, unique among the rooms of the process
   * @param kind of its name
   */
  constructor(
    readonly name: string,
    readonly topic: string,
    public kind: RoomKind,
  ) {
    this.messageHead = messageHead(name);
  }

  /** True where the room has neither members nor sockets that join it here. */
  get unused(): boolean {
    return this.members.size === 0 && this.joining === 0;
  }

  /** A member of that name has been added. @returns whether it is the only one of that name */
  nameEntered(name: string): boolean {
    if (this.#names === undefined) {
      if (this.members.size <= countedMembers) return this.#count(name) === 1;
      this.#names = new Map();
      for (const each of this.members.values()) this.#names.set(each, (this.#names.get(each) ?? 0) + 1);
    } else this.#names.set(name, (this.#names.get(name) ?? 0) + 1);
    return this.#names.get(name) === 1;
  }

  /** A member of that name has been removed. @returns whether it was the last one of that name */
  nameLeft(name: string): boolean {
    if (this.#names === undefined) return this.#count(name) === 0;
    const left = (this.#names.get(name) ?? 1) - 1;
    if (left > 0) this.#names.set(name, left);
    else this.#names.delete(name);
    return left <= 0;
  }

  #count(name: string): number {
    let count = 0;
    for (const each of this.members.values()) if (each === name) count++;
    return count;
  }

  /** Charges the sender for a published message until the room has delivered it. */
  charge(sender: Socket, { epoch, seq }: RoomPosition, bytes: number): void {
    if (epoch !== this.epoch || seq <= this.seq) return;
    sender.heldFrames++;
    sender.heldBytes += bytes;
    this.#undelivered.push({ sender, epoch, seq, bytes });
  }

  /** Releases the senders of delivered frames, or of all once the room has closed. */
  releaseSenders(closed = false): void {
    if (this.#undelivered.length === 0) return;
    let released = 0;
    for (const { sender, epoch, seq, bytes } of this.#undelivered) {
      if (!closed && epoch === this.epoch && seq > this.seq) break;
      sender.heldFrames--;
      sender.heldBytes -= bytes;
      released++;
    }
    this.#undelivered.splice(0, released);
  }
}

/** A message of a socket that is published and not delivered yet. */
interface Undelivered extends RoomPosition {
  readonly sender: Socket;
  readonly bytes: number;
}

/** Members that a message goes to in turns of the event loop to come. */
export interface DeferredFanOut {
  /** They wait, in order. */
  readonly members: Socket[];
  /** That the room has sent since it began. */
  frames: number;
  /** Sends it to a few more members. @returns false where that were the last ones */
  advance(): boolean;
}

/** The frame of every message of a room, up to the sender's name. */
export function messageHead(room: string): string {
  return `{"type":"receive-message","room_id":${JSON.stringify(room)},"from":`;
}
