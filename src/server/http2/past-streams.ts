import { ConnectionError, ErrorCode } from "../../h2/protocol.js";

/** Number of ended streams that are remembered, so that late frames of them are treated correctly. */
const remembered = 256;

/** The streams of a connection that have ended: the last of them, and how many more may be given up. */
export class PastStreams {
  /** A ring; negative where we have reset the stream, so that frames of it may be on their way. */
  readonly #ended = new Int32Array(remembered);
  #at = 0;
  readonly #maxResets: number;
  #resetsLeft: number;
  #since = performance.now();

  /**
   * @param maxResets requests that the client may give up at once; a tenth of it more each second, and one for each that
   *   it waits for
   */
  constructor(maxResets: number) {
    this.#maxResets = maxResets;
    this.#resetsLeft = maxResets;
  }

  /** @param resetByUs we have reset it before its client had sent all */
  add(id: number, resetByUs: boolean): void {
    this.#ended[this.#at] = resetByUs ? -id : id;
    this.#at = (this.#at + 1) % remembered;
  }

  /** We have reset it, so that its client may not know of its end. */
  resetByUs(id: number): boolean {
    return this.#ended.includes(-id);
  }

  /** The client knows that it has ended. */
  ended(id: number): boolean {
    return this.#ended.includes(id);
  }

  /**
   * The client has given a request up, or sent a malformed one.
   * @throws ConnectionError (ENHANCE_YOUR_CALM) where there are too many
   */
  takeReset(): void {
    if (--this.#resetsLeft > 0) return;
    const now = performance.now();
    this.#resetsLeft += Math.floor(((now - this.#since) / 10_000) * this.#maxResets);
    this.#since = now;
    if (this.#resetsLeft <= 0)
      throw new ConnectionError(ErrorCode.EnhanceYourCalm, "a flood of requests that are given up");
    this.#resetsLeft = Math.min(this.#resetsLeft, this.#maxResets);
  }

  /** The client has waited for a response. */
  giveReset(): void {
    if (this.#resetsLeft < this.#maxResets) this.#resetsLeft++;
  }
}
