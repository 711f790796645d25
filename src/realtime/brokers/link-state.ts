import { errorMessage } from "../../net/error-text.js";
import { stateChanged } from "../../net/state-changes.js";
import type { Logger } from "../../telemetry/logger.js";

/** Milliseconds between two log lines about failures. */
const logInterval = 5000;

/** Whether the server of a broker can be used, and what the log says about that. */
export class LinkState {
  readonly #logger: Logger | undefined;
  #ready = false;
  #closed = false;
  #logged = Number.NEGATIVE_INFINITY;

  constructor(logger: Logger | undefined) {
    this.#logger = logger;
  }

  get ready(): boolean {
    return this.#ready;
  }

  get closed(): boolean {
    return this.#closed;
  }

  reached(): void {
    this.#logger?.info("the realtime broker is reached");
    this.#set(true);
  }

  /** The server cannot be used until it is reached again. */
  lost(): void {
    this.#set(false);
  }

  /** For good: nothing is logged any more. */
  close(): void {
    this.#closed = true;
    this.#set(false);
  }

  /** Logs that something failed, once in a while. */
  failed(error: unknown): void {
    const now = performance.now();
    if (this.#closed || now - this.#logged < logInterval) return;
    this.#logged = now;
    this.#logger?.error({ error: errorMessage(error) }, "the realtime broker fails; trying again");
  }

  /** Logs that all rooms begin a new epoch, since the server may have lost messages that it had confirmed. */
  wentBack(): void {
    this.#logger?.error(
      "the server of the realtime broker may have lost messages that it had confirmed; all rooms begin a new epoch",
    );
  }

  #set(ready: boolean): void {
    this.#ready = ready;
    stateChanged();
  }
}
