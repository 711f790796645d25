import type { Identity } from "../../auth/identity.js";
import type { Said } from "./backlog.js";
import type { Session } from "../bridge/bridge.js";
import type { Connection } from "./connection.js";
import type { RoomFrame } from "../chat/frames.js";
import type { ReplayBudget } from "./replay-budget.js";
import type { Room } from "./room.js";

/** What a socket may do in a while: so many at once, and so many a second. */
export interface Rate {
  readonly perSecond: number;
  readonly burst: number;
}

/** What is known of a client before its socket is open. */
export interface Client {
  readonly identity: Identity | undefined;
  readonly clientAddress: string;
  readonly requestId: string;
}

/** Who answers for all sockets. */
export interface SocketOwner {
  /** Bytes that may wait for a client to read them before answers to it are refused. */
  readonly sendLimit: number;
  /** The socket is above it. */
  tooSlow(socket: Socket): void;
}

/** How far a socket is behind in a room. */
export interface Lag {
  /** The first message not sent. */
  next: number;
  /** Its place in the room's backlog; undefined where what follows is read from history. */
  place: Said | undefined;
  /** The broker is being asked for what follows. */
  asked: boolean;
  /** The last message that the client itself has asked for, which its budget pays for; 0 for none. */
  readonly charged: number;
}

/** A room of which a backend is being asked: what comes meanwhile waits. */
export interface Lane {
  readonly waiting: RoomFrame[];
  /** Never rejects. */
  running: Promise<void>;
}

/**
 * A client's WebSocket. A connection must not be touched after its end: it is gone then, and every method does nothing.
 * There is one for each connection, so it holds what every connection needs and no more.
 */
export class Socket implements Session {
  connection: Connection | undefined = undefined;
  readonly identity: Identity | undefined;
  readonly clientAddress: string;
  readonly requestId: string;
  subject: string;
  readonly rooms = new Map<string, Room>();
  /** By room in which the socket is behind. */
  lag: Map<Room, Lag> | undefined = undefined;
  /** Frames that wait, by room in which a backend is being asked. */
  lanes: Map<string, Lane> | undefined = undefined;
  /** Frames that wait, of all rooms. */
  waiting = 0;
  /** What it may have replayed; undefined where it has asked for nothing yet. */
  replay: ReplayBudget | undefined = undefined;
  /** Give places of concurrency limits back. */
  releases: readonly (() => void)[] = none;
  ending: Ending | undefined = undefined;
  #gone = false;
  #credit: number;
  #creditAt = 0;
  #patience = patience;
  #patienceAt = 0;

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

  get closed(): boolean {
    return this.#gone || this.ending !== undefined;
  }

  get buffered(): number {
    return this.connection === undefined ? 0 : this.connection.getBufferedAmount();
  }

  send(text: string): boolean {
    const { connection } = this;
    if (connection === undefined || this.ending !== undefined) return false;
    if (connection.getBufferedAmount() > this.owner.sendLimit) {
      this.owner.tooSlow(this);
      return false;
    }
    connection.send(text, false);
    return true;
  }

  subscribe(topic: string): void {
    this.connection?.subscribe(topic);
  }

  /** What was published before still arrives. @returns whether it was subscribed */
  unsubscribe(topic: string): boolean {
    return this.connection?.unsubscribe(topic) ?? false;
  }

  /** Runs `write` so that all it sends goes out in one piece. */
  corked(write: () => void): void {
    if (this.connection === undefined) write();
    else this.connection.cork(write);
  }

  /** The close frame goes behind everything that has been sent. */
  end(code: number, reason: string): void {
    this.connection?.end(code, reason);
  }

  /** Without a word. */
  terminate(): void {
    this.connection?.close();
  }

  /** The engine has said that it is over, or it never began. */
  gone(): void {
    this.#gone = true;
    this.connection = undefined;
  }

  /** True where the client may send one more frame now. @param now milliseconds */
  admits(now: number, { perSecond, burst }: Rate): boolean {
    const credit = Math.min(burst, this.#credit + ((now - this.#creditAt) * perSecond) / 1000);
    this.#creditAt = now;
    this.#credit = credit < 1 ? credit : credit - 1;
    return credit >= 1;
  }

  /** A frame had to be refused for what it is. True where that has happened too often. @param now milliseconds */
  strike(now: number): boolean {
    this.#patience = Math.min(patience, this.#patience + (now - this.#patienceAt) / 1000) - 1;
    this.#patienceAt = now;
    return this.#patience < 0;
  }
}

const none: readonly (() => void)[] = [];

/** Of a socket that is being ended: with what, once all is sent. */
export interface Ending {
  readonly code: number;
  readonly reason: string;
  /** Of `performance.now`. */
  readonly until: number;
  /** The rooms that it was in, with its name there: backends are told that it left them. */
  readonly left: ReadonlyMap<string, string>;
}

/** Frames refused at once before the socket is closed; one more may be each second. */
const patience = 20;
