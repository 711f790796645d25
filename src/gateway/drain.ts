import { OpenStreams } from "../pipeline/open-streams.js";
import type { Backends } from "./backends.js";
import type { Generation } from "./generation.js";

/** Milliseconds for clients to read why their streams and forwarded WebSockets are ended. */
const closeGraceMs = 1000;

/** Closes resources as soon as their last users are done: old generations, backends and rooms; all at the end. */
export class Drain {
  /** The streams of all generations. */
  readonly streams = new OpenStreams();
  /** All that are not closed. */
  readonly #open = new Set<Backends>();
  readonly #closing = new Set<Promise<void>>();

  /** They are closed in the end, if not before. */
  add(backends: Backends): void {
    this.#open.add(backends);
  }

  close(backends: Backends): void {
    this.track(backends.close().finally(() => this.#open.delete(backends)));
  }

  /** Waits for the requests of a generation; its streams are ended after so many milliseconds. */
  retire(generation: Generation, drainMs: number): void {
    const timer = setTimeout(() => this.streams.end(generation.routes.generation), drainMs);
    this.track(generation.retire().finally(() => clearTimeout(timer)));
  }

  /** The end of the gateway waits for it. */
  track(work: Promise<void>): void {
    const tracked = work.finally(() => this.#closing.delete(tracked));
    this.#closing.add(tracked);
  }

  /** The time to drain is over. @param destroy is called when streams have had time to write their end */
  expire(destroy: () => void): void {
    setTimeout(destroy, this.streams.size > 0 ? closeGraceMs : 0);
    this.streams.end();
    void this.#endForwardedSockets();
  }

  /** Resolves when everything is closed; nothing is added from now on. @param last generation */
  async finish(last: Generation | undefined): Promise<void> {
    if (last !== undefined) this.track(last.retire());
    for (const backends of this.#open) this.close(backends);
    const timer = setTimeout(() => void this.#endForwardedSockets(), closeGraceMs);
    await Promise.all(this.#closing);
    clearTimeout(timer);
  }

  async #endForwardedSockets(): Promise<void> {
    await Promise.all([...this.#open].map(backends => backends.endSockets()));
  }
}
