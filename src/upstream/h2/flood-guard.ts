import { ConnectionError, ErrorCode } from "./protocol.js";

/** Frames that do nothing for any call: in one second without one that does, and waiting for their answer. */
const maxIdleFrames = 10_000;
const maxReplies = 10_000;

/**
 * Counts the frames that cost a peer nothing and us something (RFC 9113 §10.5): pings, settings, resets and updates of
 * streams that are gone, empty data.
 */
export class FloodGuard {
  #frames = 0;
  #since = 0;
  #replies = 0;

  /** A frame that does something for a call. */
  useful(): void {
    this.#frames = 0;
  }

  /** @throws ConnectionError (ENHANCE_YOUR_CALM) where there are too many */
  idle(): void {
    if (this.#frames === 0) this.#since = performance.now();
    if (++this.#frames < maxIdleFrames) return;
    this.#frames = 0;
    if (performance.now() - this.#since < 1000) throw flood("frames that do nothing");
  }

  /**
   * A frame that has to be answered.
   * @throws ConnectionError (ENHANCE_YOUR_CALM) where too many answers wait to be written
   */
  reply(): void {
    this.idle();
    if (++this.#replies > maxReplies) throw flood("frames that ask for an answer, none of which is read");
  }

  /** All answers were written. */
  written(): void {
    this.#replies = 0;
  }
}

function flood(what: string): ConnectionError {
  return new ConnectionError(ErrorCode.EnhanceYourCalm, `a flood of ${what}`);
}
