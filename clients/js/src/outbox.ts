import { type ClientFrame, type Json, type Position, RealtimeError, type ServerFrame } from "./frames.js";

export interface SendOptions {
  /** Milliseconds in which it is tried again. Default 60,000. */
  readonly timeout?: number;
}

/** A message that is no text. */
export interface JsonMessage {
  /** The kind of message. */
  readonly event?: string;
  readonly data?: Json;
}

/** Where a message went. */
export interface Sent extends Position {
  /** It had arrived already, by an earlier try. */
  readonly duplicate: boolean;
}

/** The part of its client that an outbox uses. */
export interface OutboxLink {
  /** False where the gateway does not know `key`, so that messages that may have been sent are not sent again. */
  keys: boolean;
  /** Messages that may wait in a room to be sent. */
  readonly queue: number;
  /** Milliseconds before a message that was refused temporarily is sent again. */
  readonly retryDelay: number;
  /** @param onResponse called at once with the response, before the frames after it */
  request(frame: ClientFrame, onResponse?: (frame: ServerFrame) => void): Promise<ServerFrame>;
}

interface Outgoing {
  readonly message: string | JsonMessage;
  readonly key: string;
  readonly timer: ReturnType<typeof setTimeout>;
  uncertain: boolean;
  resolve(sent: Sent): void;
  reject(error: Error): void;
}

/** The messages waiting to be sent to one room: one after the other, so that refusals do not change their order. */
export class Outbox {
  readonly #waiting: Outgoing[] = [];
  readonly #room: string;
  readonly #link: OutboxLink;
  /** The client is no member at the moment. */
  #paused = true;
  #sending = false;
  #retry: ReturnType<typeof setTimeout> | undefined;

  constructor(room: string, link: OutboxLink) {
    this.#room = room;
    this.#link = link;
  }

  /** Resolves once the message is published. @param timeout milliseconds in which it is tried */
  send(message: string | JsonMessage, timeout: number): Promise<Sent> {
    if (this.#waiting.length >= this.#link.queue)
      return Promise.reject(new RealtimeError("QUEUE_FULL", `${this.#link.queue} messages wait already`));
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#drop(
          outgoing,
          new RealtimeError("TIMEOUT", `not sent within ${timeout} ms`, outgoing.uncertain),
        );
      }, timeout);
      const outgoing: Outgoing = { message, key: newKey(), timer, uncertain: false, resolve, reject };
      this.#waiting.push(outgoing);
      this.#pump();
    });
  }

  resume(): void {
    this.#paused = false;
    this.#pump();
  }

  pause(): void {
    clearTimeout(this.#retry);
    this.#paused = true;
  }

  /** Pauses; waiting messages are not sent any more. */
  clear(error: RealtimeError): void {
    this.pause();
    for (const outgoing of [...this.#waiting])
      this.#drop(
        outgoing,
        new RealtimeError(error.reason, error.message, outgoing.uncertain || this.#sending, error.frame),
      );
    this.#sending = false;
  }

  #pump(): void {
    const outgoing = this.#waiting[0];
    if (outgoing === undefined || this.#sending || this.#paused) return;
    this.#sending = true;
    const { message, key } = outgoing;
    const { keys } = this.#link;
    const frame = {
      room_id: this.#room,
      ...(typeof message === "string" ? { type: "send-message", message } : { ...message, type: "publish" }),
      ...(keys && { key }),
    };
    this.#link.request(frame).then(
      ({ epoch, seq, duplicate }) => {
        this.#sending = false;
        this.#remove(outgoing);
        outgoing.resolve({ epoch: String(epoch), seq: Number(seq), duplicate: duplicate === true });
        this.#pump();
      },
      (error: RealtimeError) => this.#notSent(outgoing, error),
    );
  }

  #notSent(outgoing: Outgoing, error: RealtimeError): void {
    this.#sending = false;
    if (error.uncertain) outgoing.uncertain = true;
    if (this.#link.keys && error.reason === "UNKNOWN_FIELD" && error.message.includes("key")) {
      this.#link.keys = false;
    } else if (!error.temporary || (outgoing.uncertain && !this.#link.keys)) {
      this.#drop(outgoing, error);
    } else if (error.reason !== "CONNECTION_LOST") {
      clearTimeout(this.#retry);
      this.#retry = setTimeout(() => this.#pump(), retryDelay(error, this.#link));
      return;
    }
    this.#pump();
  }

  #drop(outgoing: Outgoing, error: RealtimeError): void {
    this.#remove(outgoing);
    outgoing.reject(error);
  }

  #remove(outgoing: Outgoing): void {
    clearTimeout(outgoing.timer);
    const index = this.#waiting.indexOf(outgoing);
    if (index >= 0) this.#waiting.splice(index, 1);
  }
}

/** Milliseconds until a message that was refused temporarily is sent again. */
export function retryDelay({ retryAfter = 0 }: RealtimeError, link: Pick<OutboxLink, "retryDelay">): number {
  return Math.max(1000 * retryAfter, link.retryDelay) * (1 + 0.2 * Math.random());
}

function newKey(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(12)), byte =>
    byte.toString(16).padStart(2, "0"),
  ).join("");
}
