import type { Undelivered } from "../../h2/stream.js";
import { type BodyConsumer, type BodyReader, BodyTooLargeError } from "../inbound-request.js";

/** The part of its stream that the body of a request uses. */
export interface BodySource {
  /** The consumer takes more: the peer may send it. */
  grant(): void;
  /** So many more bytes are kept, or fewer. */
  held(change: number): void;
  /** A reader waits for the first byte. */
  started(): void;
}

/** The body of a request while it comes in: unread bytes are kept, within the window of its stream. */
export class StreamBody implements Undelivered {
  /** Bytes that were received and are not taken. */
  waiting = 0;
  readonly partial = 0;
  readonly missing = 0;
  /** All bytes have come. */
  complete = false;
  /** Bytes that have come. */
  received = 0;
  readonly #source: BodySource;
  readonly #announced: number | undefined;
  readonly #chunks: Buffer[] = [];
  #consumer: BodyConsumer | undefined;
  #left = Number.POSITIVE_INFINITY;
  #error: Error | undefined;
  #paused = false;
  #delivering = false;
  /** The consumer has its end or its failure. */
  #over = false;

  /** @param announced value of `content-length` */
  constructor(source: BodySource, announced: number | undefined) {
    this.#source = source;
    this.#announced = announced;
  }

  /** A reader takes the bytes as they come. */
  get readRequested(): boolean {
    return this.#consumer !== undefined && !this.#paused;
  }

  /** Undefined where it is not complete, is larger than `limit`, or has a reader. */
  whole(limit: number): Uint8Array | undefined {
    if (!this.complete || this.received > limit || this.#consumer !== undefined || this.#error !== undefined)
      return undefined;
    const chunks = this.#chunks.splice(0);
    this.#keep(-this.waiting);
    return chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks);
  }

  reader(limit: number): BodyReader {
    return {
      start: consumer => this.#start(consumer, limit),
      pause: () => {
        this.#paused = true;
      },
      resume: () => {
        this.#paused = false;
        this.#takeMore();
      },
    };
  }

  /** Nothing is left to be taken, and nothing comes any more. */
  get over(): boolean {
    return this.#over || (this.complete && this.waiting === 0);
  }

  /** @param bytes the receiver's */
  push(bytes: Buffer): void {
    this.received += bytes.length;
    if (this.#over || this.#error !== undefined) return;
    this.#keep(bytes.length);
    this.#chunks.push(bytes);
    this.#deliver();
  }

  end(): void {
    this.complete = true;
    this.#deliver();
  }

  /** The rest will not come; the received bytes are dropped. */
  fail(error: Error): void {
    if (!this.complete) this.drop(error);
  }

  /** Drops the rest, which has no reader. */
  drop(error: Error): void {
    this.#error ??= error;
    this.#discard();
    this.#deliver();
  }

  #start(consumer: BodyConsumer, limit: number): void {
    this.#consumer = consumer;
    this.#left = limit;
    if ((this.#announced ?? 0) > limit) this.#error ??= new BodyTooLargeError();
    else if (!this.complete && this.received === 0 && this.#error === undefined) this.#source.started();
    this.#takeMore();
  }

  /** Takes kept bytes, and then bytes that the peer may send. */
  #takeMore(): void {
    this.#deliver();
    if (!this.#over) this.#source.grant();
  }

  #deliver(): void {
    const consumer = this.#consumer;
    if (consumer === undefined || this.#over || this.#delivering) return;
    this.#delivering = true;
    while (!this.#paused && this.#error === undefined) {
      const chunk = this.#chunks.shift();
      if (chunk === undefined) break;
      this.#keep(-chunk.length);
      this.#left -= chunk.length;
      if (this.#left < 0) this.#error = new BodyTooLargeError();
      else consumer.chunk(chunk);
    }
    this.#delivering = false;
    this.#settle(consumer);
  }

  #settle(consumer: BodyConsumer): void {
    if (this.#over) return;
    if (this.#error !== undefined) {
      this.#over = true;
      this.#discard();
      consumer.fail(this.#error);
    } else if (this.complete && this.#chunks.length === 0) {
      this.#over = true;
      consumer.end();
    }
  }

  #discard(): void {
    this.#chunks.length = 0;
    this.#keep(-this.waiting);
  }

  #keep(change: number): void {
    this.waiting += change;
    this.#source.held(change);
  }
}
