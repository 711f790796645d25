import type { Cancellation } from "../../net/cancellation.js";
import { gatewayError } from "../../status/failure.js";
import type { Socket } from "../rooms/socket.js";
import { closeText, FallbackConnection, type FallbackOwner } from "./fallback-connection.js";
import type { OutgoingFrame } from "./outgoing-frame.js";

/** Milliseconds. */
export interface PollTimes {
  /** How long a poll waits for a frame. */
  readonly waitMs: number;
  /** A client that does not poll for so long is gone. */
  readonly silenceMs: number;
  /** The same where the session ends because the gateway drains. */
  readonly lastPollMs: number;
}

/** A request that waits for frames. */
interface Poll {
  readonly timer: NodeJS.Timeout;
  respond(text: string): void;
}

/**
 * A socket whose frames go to the client as responses to polls. They are kept until a later poll confirms them, since a
 * response may be lost.
 */
export class PollConnection extends FallbackConnection {
  readonly transport = "poll";
  readonly #times: PollTimes;
  /** Those that are not confirmed. */
  #frames: OutgoingFrame[] = [];
  #bytes = 0;
  /** The number of the first of them, or of the next one. */
  #first = 1;
  #poll: Poll | undefined;
  /** It has frames of this turn of the event loop. */
  #flushing = false;
  /** How it ends, once it does: the client is notified by a poll, and then it is over. */
  #close: { readonly code: number; readonly text: string } | undefined;
  /** When a poll came or ended last, as `performance.now` has it. */
  #polledAt = performance.now();

  constructor(owner: FallbackOwner, socket: Socket, times: PollTimes) {
    super(owner, socket);
    this.#times = times;
  }

  /**
   * Waits for frames. An earlier poll ends without any.
   * @param received the number of the last frame that the client has; 0 for none
   * @returns JSON: `from`, the number of the first frame, `frames`, and `close` at the end
   * @throws GatewayError INVALID_HEADER where no frame has that number yet
   */
  poll(received: number, cancellation: Cancellation): string | Promise<string> {
    const last = this.#first + this.#frames.length - 1;
    if (received > last)
      throw gatewayError("INVALID_HEADER", `protogate-received: expected at most ${last}, found ${received}`);
    this.#settle(`{"from":${this.#first},"frames":[]}`);
    this.#polledAt = performance.now();
    this.#confirm(received);
    if (this.#frames.length > 0 || this.#close !== undefined) return this.#response();
    return new Promise(resolve => {
      const timer = setTimeout(() => this.#settle(this.#response()), this.#times.waitMs);
      const poll: Poll = { timer, respond: resolve };
      this.#poll = poll;
      cancellation.listen(() => {
        if (this.#poll === poll) this.#settle("");
      });
    });
  }

  /** Bytes that the client has not confirmed. A gateway that drains does not wait for that: most polls do not reach it. */
  override getBufferedAmount(): number {
    return this.owner.draining ? 0 : this.#bytes;
  }

  override deliver(frame: OutgoingFrame): void {
    if (this.#close !== undefined) return;
    this.#frames.push(frame);
    this.#bytes += frame.bytes;
    this.#respondSoon();
  }

  override end(code: number, reason: string): void {
    if (this.#close !== undefined) return;
    this.#close = { code, text: closeText(code, reason) };
    this.#respondSoon();
  }

  override flush(): void {
    this.#flushing = false;
    if (this.#poll !== undefined) this.#settle(this.#response());
  }

  override close(): void {
    this.#endNow(1006);
  }

  override leave(): void {
    this.#endNow(1000);
  }

  override tick(now: number): void {
    const { silenceMs, lastPollMs } = this.#times;
    const limit = this.owner.draining && this.socket.closed ? lastPollMs : silenceMs;
    if (this.#poll !== undefined || now - this.#polledAt < limit) return;
    this.over(this.#close?.code ?? 1006);
  }

  #endNow(code: number): void {
    this.#close ??= { code, text: closeText(code, "") };
    this.#settle(this.#response());
    this.over(code);
  }

  /** Frames up to that one need not be kept. */
  #confirm(received: number): void {
    const confirmed = this.#frames.splice(0, Math.max(0, received - this.#first + 1));
    if (confirmed.length === 0) return;
    this.#first += confirmed.length;
    for (const { bytes } of confirmed) this.#bytes -= bytes;
    this.owner.events.drained(this.socket);
  }

  /** With all frames of this turn of the event loop. */
  #respondSoon(): void {
    if (this.#poll === undefined || this.#flushing) return;
    this.#flushing = true;
    this.owner.flushLater(this);
  }

  #settle(text: string): void {
    const poll = this.#poll;
    if (poll === undefined) return;
    this.#poll = undefined;
    this.#polledAt = performance.now();
    clearTimeout(poll.timer);
    poll.respond(text);
  }

  #response(): string {
    const close = this.#close;
    if (close !== undefined) this.over(close.code);
    const frames = this.#frames.map(({ text }) => text).join(",");
    return `{"from":${this.#first},"frames":[${frames}]${close === undefined ? "" : `,"close":${close.text}`}}`;
  }
}
