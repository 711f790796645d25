import type { Socket } from "node:net";
import type { FrameWriter } from "../../h2/frame-writer.js";
import { initialWindow } from "../../h2/protocol.js";
import type { PeerSettings } from "../../h2/settings.js";
import type { CallStream } from "./call-stream.js";
import { Outbox, type OutboxHost } from "./outbox.js";

/** Bytes that a stream writes before the next one has its turn. */
const turn = 64 * 1024;

export interface SenderHost {
  readonly peer: PeerSettings;
  /** Opens a stream; false where it cannot be. */
  open(stream: CallStream): boolean;
  /** DATA of a stream is in the outbox. */
  sentData(): void;
  /** All that was to be written has been given to the socket. */
  given(): void;
}

/** The sending side of a connection: its window, and whose turn it is. */
export class Sender implements OutboxHost {
  readonly outbox: Outbox;
  readonly #host: SenderHost;
  /** Streams that have something to write which their own window does not hold back. */
  readonly #listed: CallStream[] = [];
  /** Streams whose message is in the outbox. */
  #written: CallStream[] = [];
  #announced: CallStream[] = [];
  /** What the peer still lets the connection send (RFC 9113 §6.9). */
  window = initialWindow;

  constructor(socket: Socket, host: SenderHost) {
    this.outbox = new Outbox(socket, this);
    this.#host = host;
  }

  /** What is added here goes out with the next turn of the event loop. */
  get frames(): FrameWriter {
    this.outbox.schedule();
    return this.outbox.frames;
  }

  /** Streams that are not open yet. */
  get unopened(): CallStream[] {
    return this.#listed.filter(stream => stream.id === 0 && !stream.over);
  }

  /** The stream may have something to write. */
  enlist(stream: CallStream): void {
    if (stream.listed || (stream.id !== 0 && !stream.writable)) return;
    stream.listed = true;
    this.#listed.push(stream);
    this.outbox.schedule();
  }

  /** The connection's window has grown. */
  widened(): void {
    if (this.#listed.length > 0) this.outbox.schedule();
  }

  /** A message is in the outbox. */
  wrote(stream: CallStream): void {
    this.#written.push(stream);
  }

  fill(): void {
    const { outbox } = this;
    let progress = true;
    while (progress && this.#listed.length > 0 && !outbox.full) {
      progress = this.#round();
      this.#announce();
    }
  }

  given(): void {
    this.#host.given();
  }

  /** Streams may have the next message at once, and it goes out with this one. */
  #announce(): void {
    const written = this.#written;
    this.#written = this.#announced;
    this.#announced = written;
    for (const stream of written) stream.announceWritten();
    written.length = 0;
  }

  /** Gives each stream a turn. Returns whether any could use it. */
  #round(): boolean {
    const listed = this.#listed;
    const { outbox } = this;
    const { maxFrameSize } = this.#host.peer;
    const before = outbox.frames.length;
    let kept = 0;
    for (let index = 0; index < listed.length; index++) {
      const stream = listed[index]!;
      if (outbox.full || this.#serve(stream, maxFrameSize)) listed[kept++] = stream;
      else stream.listed = false;
    }
    listed.length = kept;
    return outbox.frames.length > before;
  }

  /** Returns whether the stream has more to write. */
  #serve(stream: CallStream, maxFrame: number): boolean {
    if (stream.over || (stream.id === 0 && !this.#host.open(stream))) return false;
    const written = stream.write(this.outbox.frames, Math.min(turn, this.window), maxFrame);
    if (written > 0) this.#host.sentData();
    this.window -= written;
    return stream.writable;
  }
}
