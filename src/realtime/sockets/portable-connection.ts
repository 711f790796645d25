import type { Socket as NetSocket } from "node:net";
import { closeCodeOf, type Deflate, type FrameReceiver } from "../../net/ws-parser.js";
import type { Connection, Socket } from "../rooms/socket.js";
import { closeFrame, opcode, serverFrame, textFrame } from "./server-frames.js";
import { type SocketEvents, tooLargeReason } from "./socket-events.js";

/** What the connections of one listener share. */
export interface ConnectionOwner {
  readonly events: SocketEvents;
  /** Of `performance.now`, a second old at most. */
  readonly now: number;
  subscribe(topic: string, connection: PortableConnection): void;
  unsubscribe(topic: string, connection: PortableConnection): boolean;
  /** Calls `flush` at the end of the turn of the event loop. */
  flushLater(connection: PortableConnection): void;
  removed(connection: PortableConnection): void;
}

/** Bytes that are gathered in a turn of the event loop before they are written. */
const maxGatheredBytes = 16_384;
/** Milliseconds that a client has to end its side of a connection whose close frame has been sent. */
const closeTimeoutMs = 10_000;

/** A WebSocket over a connection of Node.js: the frames are read by `ws`, and written here. */
export class PortableConnection implements Connection {
  /** When something came last, as `ConnectionOwner.now` has it. */
  heard: number;
  /** A ping has been sent since. */
  pinged = false;
  readonly topics = new Set<string>();
  readonly #owner: ConnectionOwner;
  readonly #socket: Socket;
  readonly #net: NetSocket;
  readonly #receiver: FrameReceiver;
  /** Undefined where messages are not compressed. */
  readonly #deflate: Deflate | undefined;
  readonly #written = (error?: Error | null): void => this.#progressed(error);
  #open = true;
  /** Of `performance.now`: the client has ended its side by then; undefined while the socket is open. */
  #closingUntil: number | undefined;
  /** Frames of this turn. */
  #pending: Buffer[] = [];
  #pendingBytes = 0;
  /** The system has not taken all that was written. */
  #behind = false;

  constructor(
    owner: ConnectionOwner,
    socket: Socket,
    net: NetSocket,
    receiver: FrameReceiver,
    deflate: Deflate | undefined,
  ) {
    this.#owner = owner;
    this.#socket = socket;
    this.#net = net;
    this.#receiver = receiver;
    this.#deflate = deflate;
    this.heard = owner.now;
  }

  get compresses(): boolean {
    return this.#deflate !== undefined;
  }

  /** @param head what the client has sent behind its request */
  start(head: Buffer): void {
    const { events } = this.#owner;
    const net = this.#net;
    net.setNoDelay(true);
    this.#receiver
      .on("message", (data, isBinary) => {
        if (!this.#open) return;
        if (isBinary) events.binary(this.#socket, data.length);
        else events.text(this.#socket, data.toString("utf8"), data.length);
      })
      .on("ping", data => {
        if (this.#open && events.ping(this.#socket)) this.write(serverFrame(opcode.pong, data));
      })
      .on("pong", () => {
        if (this.#open) events.pong(this.#socket);
      })
      .on("conclude", (code, reason) => this.end(code, reason.toString("utf8")))
      .on("error", error => this.#broken(error))
      .on("drain", () => net.resume());
    net.on("close", () => this.#closed());
    net.on("end", () => this.close());
    events.opened(this.#socket, this);
    if (net.destroyed) {
      this.#closed();
      return;
    }
    net.on("data", (chunk: Buffer) => this.#receive(chunk));
    if (head.length > 0) this.#receive(head);
    net.resume();
  }

  getBufferedAmount(): number {
    return this.#net.writableLength;
  }

  send(text: string): void {
    this.write(textFrame(text));
  }

  /** @param frame whole; it may be written to other sockets as well */
  write(frame: Buffer): void {
    if (!this.#open) return;
    // What many are sent stays one buffer.
    if (frame.length >= maxGatheredBytes) {
      this.flush();
      this.#writeOut(frame);
      return;
    }
    this.#pending.push(frame);
    this.#pendingBytes += frame.length;
    if (this.#pendingBytes >= maxGatheredBytes) this.flush();
    else if (this.#pending.length === 1) this.#owner.flushLater(this);
  }

  ping(): void {
    this.pinged = true;
    this.write(serverFrame(opcode.ping, Buffer.alloc(0)));
  }

  subscribe(topic: string): void {
    this.#owner.subscribe(topic, this);
  }

  unsubscribe(topic: string): boolean {
    return this.#owner.unsubscribe(topic, this);
  }

  /** All that is sent in one turn goes out in one piece. */
  cork(write: () => void): void {
    write();
  }

  end(code: number, reason: string): void {
    if (!this.#open) return;
    this.write(closeFrame(code, reason));
    this.flush();
    this.#over(code);
    this.#closingUntil = performance.now() + closeTimeoutMs;
    this.#net.end();
    // Whatever still comes is dropped until the client ends its side.
    this.#net.resume();
  }

  close(): void {
    this.#net.destroy();
    this.#over(1006);
  }

  /** Whether its client has had the time that it has for ending its side. */
  isOverdue(now: number): boolean {
    return this.#closingUntil !== undefined && this.#closingUntil <= now;
  }

  /** Writes what has been gathered. */
  flush(): void {
    const pending = this.#pending;
    const [first] = pending;
    if (first === undefined) return;
    const bytes = this.#pendingBytes;
    this.#pending = [];
    this.#pendingBytes = 0;
    this.#writeOut(pending.length === 1 ? first : Buffer.concat(pending, bytes));
  }

  #writeOut(bytes: Buffer): void {
    this.#net.write(bytes, this.#written);
    this.#behind = this.#net.writableLength > 0;
  }

  #progressed(error: Error | null | undefined): void {
    if (!this.#behind || error) return;
    this.#behind = this.#net.writableLength > 0;
    if (this.#open) this.#owner.events.drained(this.#socket);
  }

  #receive(chunk: Buffer): void {
    this.heard = this.#owner.now;
    this.pinged = false;
    if (this.#open && !this.#receiver.write(chunk)) this.#net.pause();
  }

  #broken(error: NodeJS.ErrnoException): void {
    const code = closeCodeOf(error);
    this.end(code, code === 1009 ? tooLargeReason : code === 1007 ? notText : wrongFrame);
  }

  /** The gateway is told once, and takes nothing more from it. */
  #over(code: number): void {
    if (!this.#open) return;
    this.#open = false;
    this.#deflate?.cleanup();
    for (const topic of this.topics) this.#owner.unsubscribe(topic, this);
    this.#owner.events.closed(this.#socket, code);
  }

  #closed(): void {
    this.#over(1006);
    this.#owner.removed(this);
  }
}

const notText = '{"reason":"INVALID_UTF8"}';
const wrongFrame = '{"reason":"PROTOCOL_ERROR"}';
