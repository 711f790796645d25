import type { Socket as NetSocket } from "node:net";
import type { Deflate, FrameReceiver } from "../../net/ws-parser.js";
import { type BrokenFrame, FrameConnection } from "../../server/node/frame-connection.js";
import type { FrameConnections } from "../../server/node/frame-connections.js";
import type { Connection } from "../rooms/connection.js";
import type { Socket } from "../rooms/socket.js";
import type { Topics } from "../rooms/topics.js";
import { type SocketEvents, tooLargeReason } from "./socket-events.js";

/** Shared by the connections of one listener. */
export interface ConnectionOwner {
  readonly connections: FrameConnections;
  readonly events: SocketEvents;
  readonly topics: Topics<PortableConnection>;
}

/** A client's socket over a connection of Node.js. */
export class PortableConnection extends FrameConnection implements Connection {
  readonly topics = new Set<string>();
  readonly #owner: ConnectionOwner;
  readonly #socket: Socket;
  /** Undefined where messages are not compressed. */
  readonly #deflate: Deflate | undefined;

  constructor(
    owner: ConnectionOwner,
    socket: Socket,
    net: NetSocket,
    receiver: FrameReceiver,
    deflate: Deflate | undefined,
  ) {
    super(owner.connections, net, receiver);
    this.#owner = owner;
    this.#socket = socket;
    this.#deflate = deflate;
  }

  get compresses(): boolean {
    return this.#deflate !== undefined;
  }

  override start(head: Buffer): void {
    this.#owner.events.opened(this.#socket, this);
    super.start(head);
  }

  subscribe(topic: string): void {
    this.#owner.topics.subscribe(topic, this);
  }

  unsubscribe(topic: string): boolean {
    return this.#owner.topics.unsubscribe(topic, this);
  }

  /** All that is sent in one turn goes out in one piece. */
  cork(write: () => void): void {
    write();
  }

  protected override onMessage(data: Buffer, isBinary: boolean): void {
    const { events } = this.#owner;
    if (isBinary) events.binary(this.#socket, data.length);
    else events.text(this.#socket, data.toString("utf8"), data.length);
  }

  protected override onPing(): boolean {
    return this.#owner.events.ping(this.#socket);
  }

  protected override onPong(): void {
    this.#owner.events.pong(this.#socket);
  }

  protected override onDrained(): void {
    this.#owner.events.drained(this.#socket);
  }

  protected override onBroken(code: BrokenFrame): void {
    this.end(code, code === 1009 ? tooLargeReason : code === 1007 ? notText : wrongFrame);
  }

  protected override onClosed(code: number): void {
    this.#deflate?.cleanup();
    this.#owner.topics.remove(this);
    this.#owner.events.closed(this.#socket, code);
  }
}

/** A connection that is closed as soon as it is open. */
export class RefusedConnection extends FrameConnection {
  protected override onMessage(): void {}
  protected override onPing(): boolean {
    return false;
  }
  protected override onPong(): void {}
  protected override onDrained(): void {}
  protected override onBroken(): void {
    this.close();
  }
  protected override onClosed(): void {}
}

const notText = '{"reason":"INVALID_UTF8"}';
const wrongFrame = '{"reason":"PROTOCOL_ERROR"}';
