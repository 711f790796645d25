import { randomBytes } from "node:crypto";
import { gatewayError } from "../../status/failure.js";
import type { Connection } from "../rooms/connection.js";
import type { Socket } from "../rooms/socket.js";
import type { Topics } from "../rooms/topics.js";
import type { SocketEvents } from "../sockets/socket-events.js";
import type { FrameLine } from "./frame-lines.js";
import { OutgoingFrame } from "./outgoing-frame.js";

/** Shared by the connections of one process. */
export interface FallbackOwner {
  /** What its secrets begin with. */
  readonly prefix: string;
  /** The gateway drains: hardly a new poll reaches it. */
  readonly draining: boolean;
  readonly events: SocketEvents;
  readonly topics: Topics<FallbackConnection>;
  /** Calls `flush` at the end of this turn of the event loop. */
  flushLater(connection: FallbackConnection): void;
  /** The connection is over. */
  removed(connection: FallbackConnection): void;
}

/** A client's socket without a WebSocket: frames go to it by responses, and come from it by requests. */
export abstract class FallbackConnection implements Connection {
  readonly byRequests = true;
  readonly topics = new Set<string>();
  /** Whoever has it may speak for the client: 192 random bits, behind a prefix. */
  readonly secret: string;
  abstract readonly transport: "sse" | "poll";
  /** Of the last request with frames that was taken. */
  #number = 0;
  #over = false;

  constructor(
    readonly owner: FallbackOwner,
    readonly socket: Socket,
  ) {
    this.secret = owner.prefix + randomBytes(24).toString("base64url");
  }

  abstract getBufferedAmount(): number;
  /** @param frame the same object for all members of a room */
  abstract deliver(frame: OutgoingFrame): void;
  /** Gives the client what was delivered in this turn of the event loop. */
  abstract flush(): void;
  abstract end(code: number, reason: string): void;
  abstract close(): void;
  /** The client ends the session. */
  abstract leave(): void;
  /** Called every second. @param now of `performance.now` */
  abstract tick(now: number): void;

  /**
   * Takes the frames of a request, in order, unless they were taken before.
   * @param number the requests of a session count from 1
   * @throws GatewayError NUMBER_SKIPPED, SESSION_NOT_FOUND where the session is ending
   */
  receive(number: number, lines: readonly FrameLine[]): void {
    if (number <= this.#number) return;
    if (this.socket.closed) throw sessionNotFound();
    const next = this.#number + 1;
    if (number !== next)
      throw gatewayError("NUMBER_SKIPPED", `protogate-number: expected ${next}, found ${number}`);
    this.#number = number;
    for (const { text, bytes } of lines) this.owner.events.text(this.socket, text, bytes);
  }

  send(text: string): void {
    this.deliver(new OutgoingFrame(text));
  }

  subscribe(topic: string): void {
    this.owner.topics.subscribe(topic, this);
  }

  unsubscribe(topic: string): boolean {
    return this.owner.topics.unsubscribe(topic, this);
  }

  /** What is sent in one turn of the event loop goes out together. */
  cork(write: () => void): void {
    write();
  }

  /** The gateway takes and sends nothing more. Does nothing the second time. */
  protected over(code: number): void {
    if (this.#over) return;
    this.#over = true;
    this.owner.topics.remove(this);
    this.owner.removed(this);
    this.owner.events.closed(this.socket, code);
  }

  protected get isOver(): boolean {
    return this.#over;
  }
}

/** There is no session of that secret, or none any more. */
export function sessionNotFound() {
  return gatewayError("SESSION_NOT_FOUND", "there is no such session here, or it has ended; open another");
}

/** The end of a session as its client is notified of it, JSON. */
export function closeText(code: number, reason: string): string {
  return `{"code":${code},"reason":${JSON.stringify(reason)}}`;
}
