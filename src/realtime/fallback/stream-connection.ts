import type { LocalBodyWriter } from "../../bindings/built-in-route.js";
import { pingTime } from "../../server/node/frame-connections.js";
import type { Socket } from "../rooms/socket.js";
import { closeText, FallbackConnection, type FallbackOwner } from "./fallback-connection.js";
import type { FrameLine } from "./frame-lines.js";
import { EventText, type OutgoingFrame } from "./outgoing-frame.js";

/** Bytes of a turn of the event loop that are gathered before they are written. */
const maxGatheredBytes = 16_384;

/** Milliseconds. */
export interface StreamTimes {
  /** A stream on which nothing was written for so long gets a comment. */
  readonly commentMs: number;
  /** Time without a request of the client after which it is gone; undefined where it does not respond to pings. */
  readonly idleMs: number | undefined;
}

/** A socket whose frames go to the client as a stream of server-sent events, with which it ends. */
export class StreamConnection extends FallbackConnection {
  readonly transport = "sse";
  readonly #times: StreamTimes;
  /** Undefined until the head of the response is out, and after the end. */
  #writer: LocalBodyWriter | undefined;
  #abandon: (() => void) | undefined;
  /** Events of this turn. */
  #gathered: EventText | undefined;
  /** Events that wait for the client to read those before. */
  #waiting: EventText[] = [];
  #waitingBytes = 0;
  /** The client has not read what was written, or the head of the response is not out: events wait. */
  #behind = true;
  #ending = false;
  /** When something was written last, as `performance.now` has it. */
  #writtenAt = performance.now();
  /** When a request with frames came last. */
  #receivedAt = performance.now();
  /** Since then. */
  #pinged = false;

  constructor(owner: FallbackOwner, socket: Socket, times: StreamTimes) {
    super(owner, socket);
    this.#times = times;
    this.#write(new EventText(`event: session\ndata: {"session":"${this.secret}"}\n\n`));
  }

  /** The head of the response is out. @param abandon ends the connection */
  start(writer: LocalBodyWriter, abandon: () => void): void {
    if (this.isOver && !this.#ending) {
      abandon();
      return;
    }
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
  disconnected(): void {
    this.#writer = undefined;
    this.#gathered = undefined;
    this.#waiting = [];
    this.#waitingBytes = 0;
    this.over(1006);
  }

  override receive(number: number, lines: readonly FrameLine[]): void {
    this.#receivedAt = performance.now();
    this.#pinged = false;
    super.receive(number, lines);
  }

  /** Bytes that wait for the client, without those of this turn. */
  override getBufferedAmount(): number {
    return this.#waitingBytes;
  }

  override deliver(frame: OutgoingFrame): void {
    if (!this.#ending) this.#write(frame.event);
  }

  override end(code: number, reason: string): void {
    if (this.#ending) return;
    this.#ending = true;
    this.#write(new EventText(`event: close\ndata: ${closeText(code, reason)}\n\n`));
    this.flush();
    this.over(code);
  }

  override close(): void {
    this.#abandon?.();
    this.disconnected();
  }

  override leave(): void {
    this.end(1000, "");
  }

  override tick(now: number): void {
    const { commentMs, idleMs } = this.#times;
    const silentMs = now - this.#receivedAt;
    if (idleMs !== undefined && silentMs >= idleMs) {
      this.close();
    } else if (idleMs !== undefined && silentMs >= idleMs - pingTime(idleMs) && !this.#pinged) {
      this.#pinged = true;
      this.#write(new EventText(ping));
    } else if (now - this.#writtenAt >= commentMs) {
      // Proxies end connections on which nothing happens.
      this.#write(new EventText(comment));
    }
  }

  override flush(): void {
    const gathered = this.#gathered;
    if (gathered === undefined) return;
    this.#gathered = undefined;
    this.#writtenAt = performance.now();
    if (this.#behind) {
      this.#waiting.push(gathered);
      this.#waitingBytes += gathered.bytes;
      return;
    }
    this.#give(gathered);
    this.#endWhenGiven();
  }

  #write(event: EventText): void {
    if (this.#gathered === undefined) {
      this.#gathered = event;
      this.owner.flushLater(this);
    } else this.#gathered = this.#gathered.followedBy(event);
    if (this.#gathered.bytes >= maxGatheredBytes) this.flush();
  }

  #writeWaiting(): void {
    let given = 0;
    for (; !this.#behind && given < this.#waiting.length; given++) {
      const events = this.#waiting[given] as EventText;
      this.#waitingBytes -= events.bytes;
      this.#give(events);
    }
    this.#waiting.splice(0, given);
    this.#endWhenGiven();
  }

  #give({ text }: EventText): void {
    if (this.#writer !== undefined) this.#behind = !this.#writer.write(text);
  }

  #endWhenGiven(): void {
    if (!this.#ending || this.#waiting.length > 0) return;
    this.#writer?.end();
    this.#writer = undefined;
  }
}

const comment = ":\n\n";
const ping = "event: ping\ndata: {}\n\n";
