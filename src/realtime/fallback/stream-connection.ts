import type { LocalBodyWriter } from "../../bindings/built-in-route.js";
import type { Socket } from "../rooms/socket.js";
import { closeText, FallbackConnection, type FallbackOwner } from "./fallback-connection.js";

/** Bytes of a turn of the event loop that are gathered before they are written. */
const maxGatheredBytes = 16_384;

/** A socket whose frames go to the client as a stream of server-sent events, with which it ends. */
export class StreamConnection extends FallbackConnection {
  readonly transport = "sse";
  readonly #pingMs: number;
  /** Undefined until the head of the response is out, and after the end. */
  #writer: LocalBodyWriter | undefined;
  #abandon: (() => void) | undefined;
  /** The number of the last frame. */
  #number = 0;
  /** Events of this turn. */
  #gathered = "";
  #gatheredBytes = 0;
  /** Pieces that wait for the client to read those before. */
  #waiting: { readonly text: string; readonly bytes: number }[] = [];
  #waitingBytes = 0;
  /** The client has not read what was written. */
  #behind = true;
  #ending = false;
  /** When something was written last, as `performance.now` has it. */
  #writtenAt = performance.now();

  constructor(owner: FallbackOwner, socket: Socket, pingMs: number) {
    super(owner, socket);
    this.#pingMs = pingMs;
    this.#write(`event: session\ndata: {"session":"${this.secret}"}\n\n`);
  }

  /** The head of the response is out. @param abandon ends the connection */
  start(writer: LocalBodyWriter, abandon: () => void): void {
    if (this.isOver && !this.#ending) return;
    this.#writer = writer;
    this.#abandon = abandon;
    this.#behind = false;
    writer.onDrain(() => {
      this.#behind = false;
      this.#writeWaiting();
      if (!this.isOver) this.owner.events.drained(this.socket);
    });
    this.#writeWaiting();
  }

  /** The client has left. */
  gone(): void {
    this.#writer = undefined;
    this.#waiting = [];
    this.#waitingBytes = 0;
    this.over(1006);
  }

  /** Bytes that wait for the client, without those of this turn. */
  override getBufferedAmount(): number {
    return this.#waitingBytes;
  }

  override send(text: string): void {
    if (!this.#ending) this.#write(`id: ${++this.#number}\ndata: ${dataOf(text)}\n\n`);
  }

  override end(code: number, reason: string): void {
    if (this.#ending) return;
    this.#write(`event: close\ndata: ${closeText(code, reason)}\n\n`);
    this.#ending = true;
    this.#flush();
    this.over(code);
  }

  override close(): void {
    this.#abandon?.();
    this.gone();
  }

  override leave(): void {
    this.end(1000, "");
  }

  /** Proxies end connections on which nothing happens. */
  override tick(now: number): void {
    if (now - this.#writtenAt >= this.#pingMs) this.#write(": ping\n\n");
  }

  #write(event: string): void {
    if (this.#gatheredBytes === 0) setImmediate(() => this.#flush());
    this.#gathered += event;
    this.#gatheredBytes += Buffer.byteLength(event);
    this.#writtenAt = performance.now();
    if (this.#gatheredBytes >= maxGatheredBytes) this.#flush();
  }

  #flush(): void {
    if (this.#gatheredBytes === 0) return;
    this.#waiting.push({ text: this.#gathered, bytes: this.#gatheredBytes });
    this.#waitingBytes += this.#gatheredBytes;
    this.#gathered = "";
    this.#gatheredBytes = 0;
    this.#writeWaiting();
  }

  #writeWaiting(): void {
    const writer = this.#writer;
    if (writer === undefined) return;
    let written = 0;
    for (; !this.#behind && written < this.#waiting.length; written++) {
      const { text, bytes } = this.#waiting[written] as { text: string; bytes: number };
      this.#waitingBytes -= bytes;
      this.#behind = !writer.write(text);
    }
    this.#waiting.splice(0, written);
    if (!this.#ending || this.#waiting.length > 0) return;
    this.#writer = undefined;
    writer.end();
  }
}

/** JSON may have line ends between its tokens: each line is one of the event's. */
function dataOf(text: string): string {
  return lineEnd.test(text) ? text.replaceAll(lineEnds, "\ndata: ") : text;
}

const lineEnd = /[\r\n]/;
const lineEnds = /\r\n|\r|\n/g;
