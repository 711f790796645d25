import { ConnectionError, ErrorCode } from "./protocol.js";

/** Frames that do nothing for any stream, in one second. */
const maxIdleFrames = 10_000;
/** Acknowledgements that wait to be written. */
const maxAcknowledgements = 10_000;
/** How many of them one frame that does something pays for: a peer may send a few with each. */
const framesPerUseful = 16;

/**
 * Counts the frames that cost a peer nothing and us something (RFC 9113 §10.5): pings, settings, window updates,
 * informational headers, resets of streams that are gone, padding, empty data. A large frame counts as several.
 */
export class FloodGuard {
  #frames = 0;
  #since = 0;
  #acknowledgements = 0;

  /** A frame that does something for a stream, of either side. */
  useful(): void {
    if (this.#frames > 0) this.#frames = Math.max(0, this.#frames - framesPerUseful);
  }

  /**
   * A frame of so many bytes that does nothing for any stream.
   * @throws ConnectionError (ENHANCE_YOUR_CALM) where there are too many
   */
  idle(bytes = 0): void {
    if (this.#frames === 0) this.#since = performance.now();
    this.#frames += 1 + (bytes >> 10);
    if (this.#frames < maxIdleFrames) return;
    this.#frames = 0;
    if (performance.now() - this.#since < 1000) throw flood("frames that do nothing");
  }

  /**
   * A frame that requires an acknowledgement.
   * @throws ConnectionError (ENHANCE_YOUR_CALM) where too many wait to be written
   */
  acknowledge(): void {
    this.idle();
    if (++this.#acknowledgements > maxAcknowledgements)
      throw flood("frames that require acknowledgements, none of which is read");
  }

  /** All acknowledgements were written. */
  written(): void {
    this.#acknowledgements = 0;
  }
}

function flood(what: string): ConnectionError {
  return new ConnectionError(ErrorCode.EnhanceYourCalm, `a flood of ${what}`);
}
