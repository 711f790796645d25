import { type BodyConsumer, type BodyReader, bodyCutShort } from "./inbound-request.js";

/** Milliseconds for which a body is held before more of it is read. */
const holdMs = 500;
/** Bytes that are read of all bodies that are held. */
const maxAheadOfAll = 64 * 1024 * 1024;

/** Bytes that bodies keep because they were read on while held. */
let aheadOfAll = 0;

/**
 * A body whose consumer may hold it for long. A connection that is not read does not show that its client has left, so
 * that a held body is read further after a while, within bounds. The bytes read meanwhile are kept, and delivered once
 * the consumer takes them; a failure is reported at once.
 *
 *     flowing ── pause() ──► held ── after a while ──► held, read ahead ── bounds ──► held
 *        ▲                     └───────────────────────────┴────────────────────────────┤
 *        └──────────────── resume(), once kept bytes are delivered ─────────────────────┘
 */
export class HeldBody implements BodyReader {
  readonly #source: BodyReader;
  readonly #maxAhead: number;
  #consumer: BodyConsumer | undefined;
  readonly #kept: Buffer[] = [];
  #keptBytes = 0;
  /** The consumer takes nothing. */
  #held = false;
  #sourceRuns = true;
  #giving = false;
  /** The source has ended; the consumer is notified after the kept bytes. */
  #ended = false;
  #over = false;
  #timer: NodeJS.Timeout | undefined;
  #responded = false;

  /** @param maxAhead bytes that are read of it while it is held */
  constructor(source: BodyReader, maxAhead: number) {
    this.#source = source;
    this.#maxAhead = maxAhead;
  }

  start(consumer: BodyConsumer): void {
    this.#consumer = consumer;
    this.#source.start({
      chunk: chunk => this.#take(chunk),
      end: () => {
        this.#ended = true;
        // Further bytes on the connection are not of this body.
        this.#resumeSource();
        this.#give();
      },
      fail: error => this.#fail(error),
    });
  }

  pause(): void {
    if (this.#held || this.#over) return;
    this.#held = true;
    this.#pauseSource();
    this.#timer = setTimeout(() => {
      if (!this.#ended && this.#mayReadAhead) this.#resumeSource();
    }, holdMs);
  }

  resume(): void {
    if (!this.#held || this.#over) return;
    this.#held = false;
    clearTimeout(this.#timer);
    this.#give();
  }

  #take(chunk: Buffer): void {
    if (this.#over) return;
    this.#kept.push(chunk);
    this.#keep(chunk.length);
    this.#give();
    // Code that drops the rest of a body may have it read again.
    if (this.#held && !this.#sourceRuns) this.#source.pause();
    else if (this.#held && !this.#mayReadAhead) this.#pauseSource();
  }

  get #mayReadAhead(): boolean {
    return this.#keptBytes < this.#maxAhead && aheadOfAll < maxAheadOfAll && !this.#responded;
  }

  /** Delivers the kept bytes, in order, until the consumer holds the body. */
  #give(): void {
    if (this.#giving) return;
    this.#giving = true;
    while (!this.#held && !this.#over) {
      const chunk = this.#kept.shift();
      if (chunk === undefined) break;
      this.#keep(-chunk.length);
      this.#consumer?.chunk(chunk);
    }
    this.#giving = false;
    if (this.#held || this.#over) return;
    if (this.#ended) {
      this.#settle();
      this.#consumer?.end();
    } else {
      this.#resumeSource();
    }
  }

  /** The response is out: nothing is read ahead from now on, and kept bytes are not waited for. */
  responded(): void {
    this.#responded = true;
    if (this.#kept.length > 0) this.#fail(bodyCutShort());
  }

  #fail(error: Error): void {
    if (this.#over) return;
    this.#settle();
    this.#consumer?.fail(error);
  }

  #settle(): void {
    this.#over = true;
    clearTimeout(this.#timer);
    this.#kept.length = 0;
    this.#keep(-this.#keptBytes);
  }

  #keep(change: number): void {
    this.#keptBytes += change;
    aheadOfAll += change;
  }

  #pauseSource(): void {
    if (!this.#sourceRuns || this.#ended) return;
    this.#sourceRuns = false;
    this.#source.pause();
  }

  #resumeSource(): void {
    if (this.#sourceRuns) return;
    this.#sourceRuns = true;
    this.#source.resume();
  }
}
