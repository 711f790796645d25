import type { HttpResponse } from "uWebSockets.js";
import { HeldBody } from "../held-body.js";
import {
  type BodyConsumer,
  BodyOverrunError,
  type BodyReader,
  BodyTooLargeError,
} from "../inbound-request.js";

/** The body of a request while it comes in. Bytes that come before there is a reader are kept, within bounds. */
export class UwsBody {
  complete = false;
  taken = false;
  readonly #response: HttpResponse;
  readonly #length: number | undefined;
  #chunks: Buffer[] = [];
  #early = 0;
  #consumer: BodyConsumer | undefined;
  #left = Number.POSITIVE_INFINITY;
  #error: Error | undefined;
  #held: HeldBody | undefined;
  #paused = false;
  /** Bytes that came although the connection was paused, since it was. */
  #overrun = 0;
  /** Its consumer has its end or its failure, or uws's response must not be used any more. */
  #over = false;
  #ended = false;
  /** Called once the rest was read, or enough of it. */
  #whenRead: (() => void) | undefined;
  #dropped = 0;

  constructor(response: HttpResponse, length: number | undefined) {
    this.#response = response;
    this.#length = length;
    response.onData((chunk, last) => this.#add(chunk, last));
  }

  reader(limit: number): BodyReader {
    this.taken = true;
    this.#held = new HeldBody(
      {
        start: consumer => this.#start(consumer, limit),
        pause: () => this.#pause(),
        resume: () => this.#resume(),
      },
      maxAhead,
    );
    return this.#held;
  }

  /** The rest is not needed; it is read and dropped. */
  drop(): void {
    this.#over = true;
    this.#held?.responded();
    this.#resume();
  }

  /** Reads the rest and drops it. @param done called once, when it is complete or more has come than is worth reading */
  dropThen(done: () => void): void {
    this.#whenRead = done;
    this.drop();
  }

  /** uws's response must not be used any more. */
  abandon(): void {
    this.#ended = true;
    this.#held?.responded();
    this.#setOverrun(0);
  }

  fail(error: Error): void {
    if (this.complete) return;
    this.#error ??= error;
    this.#chunks = [];
    this.#settle();
  }

  #start(consumer: BodyConsumer, limit: number): void {
    this.#consumer = consumer;
    this.#left = limit;
    if ((this.#length ?? 0) > limit) this.#error ??= new BodyTooLargeError();
    const early = this.#chunks;
    this.#chunks = [];
    for (const chunk of early) this.#give(chunk);
    this.#settle();
    if (this.#error === undefined) this.#resume();
  }

  /** @param chunk valid during the call only */
  #add(chunk: ArrayBuffer, last: boolean): void {
    this.complete = last;
    if (this.#whenRead !== undefined) {
      this.#dropped += chunk.byteLength;
      if (!last && this.#dropped < maxDropped) return;
      const done = this.#whenRead;
      this.#whenRead = undefined;
      done();
      return;
    }
    if (this.#over || this.#error !== undefined) return;
    const bytes = copied(chunk);
    if (this.#consumer !== undefined) {
      // uWebSockets.js goes on reading while reads are full, even if it was paused meanwhile.
      if (this.#paused) this.#setOverrun(this.#overrun + bytes.length);
      if (this.#overrun > maxOverrun || overrunOfAll > maxOverrunOfAll)
        this.#error ??= new BodyOverrunError();
      this.#give(bytes);
      this.#settle();
      return;
    }
    if (bytes.length > 0) this.#chunks.push(bytes);
    this.#early += bytes.length;
    // A paused connection does not show that its client has left, so the first bytes are read in any case.
    if (!last && this.#early > maxEarlyBytes) this.#pause();
  }

  #give(chunk: Buffer): void {
    if (this.#over || this.#error !== undefined || chunk.length === 0) return;
    this.#left -= chunk.length;
    if (this.#left < 0) this.#error = new BodyTooLargeError();
    else this.#consumer?.chunk(chunk);
  }

  #settle(): void {
    const consumer = this.#consumer;
    if (consumer === undefined || this.#over || (this.#error === undefined && !this.complete)) return;
    this.#over = true;
    if (this.#error === undefined) consumer.end();
    else consumer.fail(this.#error);
  }

  #pause(): void {
    if (this.#paused || this.complete || this.#ended) return;
    this.#paused = true;
    this.#response.pause();
  }

  #resume(): void {
    if (!this.#paused || this.#ended) return;
    this.#paused = false;
    this.#setOverrun(0);
    this.#response.resume();
  }

  #setOverrun(bytes: number): void {
    overrunOfAll += bytes - this.#overrun;
    this.#overrun = bytes;
  }
}

/** Bytes of a body that are read while it is held. The more is read, the more the kernel takes, which comes at once then. */
const maxAhead = 4 * 1024 * 1024;

/** Bytes of a body that are read behind its response. */
const maxDropped = 1024 * 1024;

/** Bytes that may come of a paused body, and of all of them together. */
const maxOverrun = 32 * 1024 * 1024;
const maxOverrunOfAll = 256 * 1024 * 1024;
let overrunOfAll = 0;

function copied(chunk: ArrayBuffer): Buffer {
  const bytes = Buffer.allocUnsafe(chunk.byteLength);
  bytes.set(new Uint8Array(chunk));
  return bytes;
}

/** Bytes of a body that are read before there is a reader, and one read of the socket more. */
const maxEarlyBytes = 65_536;
