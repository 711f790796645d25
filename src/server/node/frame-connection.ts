import type { Socket } from "node:net";
import { closeCodeOf, type Deflate, type FrameReceiver, type Ws } from "../../net/ws-parser.js";
import { closeFrame, opcode, serverFrame, textFrame } from "./server-frames.js";

/** Bytes that are gathered in a turn of the event loop before they are written. */
const maxGatheredBytes = 16_384;
/** Milliseconds that a client has to end its side of a connection whose close frame has been sent. */
const closeTimeoutMs = 10_000;
/** Least number of pieces that are allowed for a message, with any limit, and the bytes for each further piece. */
const minPieces = 1024;
const minPieceBytes = 64;

/** Shared by the sockets of one listener. */
export interface FrameOwner {
  add(connection: FrameConnection): void;
  removed(connection: FrameConnection): void;
  /** Calls `flush` at the end of the turn of the event loop. */
  flushLater(connection: FrameConnection): void;
}

/** The close code for a violation of RFC 6455. */
export type BrokenFrame = ReturnType<typeof closeCodeOf>;

/** Reads messages of at most `maxMessageBytes`. @param deflate undefined where messages are not compressed */
export function frameReceiver(
  { Receiver }: Ws,
  maxMessageBytes: number,
  deflate: Deflate | undefined,
): FrameReceiver {
  const maxPieces = Math.max(minPieces, Math.ceil(maxMessageBytes / minPieceBytes));
  return new Receiver({
    isServer: true,
    maxPayload: maxMessageBytes,
    maxFragments: maxPieces,
    maxBufferedChunks: maxPieces,
    extensions: deflate === undefined ? {} : { "permessage-deflate": deflate },
  });
}

/** A WebSocket over a connection of Node.js: the frames are read by `ws`, and written here. */
export abstract class FrameConnection {
  /** When something came last, as `performance.now` has it. */
  receivedAt = performance.now();
  /** A ping has been sent since. */
  pinged = false;
  readonly #owner: FrameOwner;
  readonly #net: Socket;
  readonly #receiver: FrameReceiver;
  readonly #written = (error?: Error | null): void => this.#progressed(error);
  #open = true;
  #paused = false;
  /** Of `performance.now`: the client has ended its side by then; undefined while the socket is open. */
  #closingUntil: number | undefined;
  /** Frames of this turn. */
  #pending: Buffer[] = [];
  #pendingBytes = 0;
  /** The system has not taken all that was written. */
  #behind = false;

  constructor(owner: FrameOwner, net: Socket, receiver: FrameReceiver) {
    this.#owner = owner;
    this.#net = net;
    this.#receiver = receiver;
  }

  protected abstract onMessage(data: Buffer, isBinary: boolean): void;
  /** @returns whether it gets a pong */
  protected abstract onPing(): boolean;
  protected abstract onPong(): void;
  /** The client has read some of the waiting bytes. */
  protected abstract onDrained(): void;
  /** A frame is malformed or too large: nothing more is read. This method has to end the socket. */
  protected abstract onBroken(code: BrokenFrame): void;
  /** The last call: the connection is over, or of no use any more. */
  protected abstract onClosed(code: number): void;

  /** @param head the bytes that the client has sent after its request */
  start(head: Buffer): void {
    const net = this.#net;
    net.setNoDelay(true);
    this.#receiver
      .on("message", (data, isBinary) => {
        if (this.#open) this.onMessage(data, isBinary);
      })
      .on("ping", data => {
        if (this.#open && this.onPing()) this.write(serverFrame(opcode.pong, data));
      })
      .on("pong", () => {
        if (this.#open) this.onPong();
      })
      .on("conclude", (code, reason) => this.#end(code, reason.toString("utf8")))
      .on("error", error => {
        if (this.#open) this.onBroken(closeCodeOf(error));
      })
      .on("drain", () => {
        if (!this.#paused) net.resume();
      });
    net.on("close", () => this.#closed());
    net.on("end", () => this.close());
    this.#owner.add(this);
    if (net.destroyed) {
      this.#closed();
      return;
    }
    net.on("data", (chunk: Buffer) => this.#receive(chunk));
    if (head.length > 0) this.#receive(head);
    if (!this.#paused) net.resume();
  }

  /** Bytes that wait for the client, without those of this turn. */
  getBufferedAmount(): number {
    return this.#net.writableLength;
  }

  send(text: string): void {
    this.write(textFrame(text));
  }

  /** @param frame whole; it may be written to other sockets as well */
  write(frame: Buffer): void {
    if (!this.#open) return;
    // A frame sent to many sockets stays one buffer.
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

  /** Stops reading from the connection; bytes that were read already may still come. */
  pause(): void {
    if (!this.#open) return;
    this.#paused = true;
    this.#net.pause();
  }

  resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    this.receivedAt = performance.now();
    this.#net.resume();
  }

  get paused(): boolean {
    return this.#paused;
  }

  end(code: number, reason: string): void {
    this.#end(code, reason);
  }

  #end(code: number, reason: string): void {
    if (!this.#open) return;
    this.write(closeFrame(code, reason));
    this.flush();
    this.#over(code);
    this.#closingUntil = performance.now() + closeTimeoutMs;
    this.#net.end();
    // Further bytes are dropped until the client ends its side.
    this.#paused = false;
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

  /** Writes the gathered frames. */
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
    if (this.#open) this.onDrained();
  }

  #receive(chunk: Buffer): void {
    this.receivedAt = performance.now();
    this.pinged = false;
    if (this.#open && !this.#receiver.write(chunk)) this.#net.pause();
  }

  /** Reports the end once; nothing more is read. */
  #over(code: number): void {
    if (!this.#open) return;
    this.#open = false;
    this.onClosed(code);
  }

  #closed(): void {
    this.#over(1006);
    this.#owner.removed(this);
  }
}
