import type { ConcurrencyLimiter, Permit } from "../../limits/concurrency.js";
import type { Borrower } from "../../limits/lending/borrower.js";
import { gatewayError } from "../../status/failure.js";

/** The permits of sockets, from the request to the end of each: as many as may be open at once. */
export class SocketPermits {
  readonly #borrower: Borrower | undefined;
  #max = 0;
  #held = 0;
  /** Those of all workers. */
  #shared: ConcurrencyLimiter | undefined;

  constructor(max: number, borrower: Borrower | undefined) {
    this.#borrower = borrower;
    this.max = max;
  }

  /** Those that are held stay so, however many there are. */
  set max(max: number) {
    if (max !== this.#max) this.#shared = this.#borrower?.permits("realtime.limits.connections", max);
    this.#max = max;
  }

  /** By open sockets and by requests that are being decided on, in this process. */
  get held(): number {
    return this.#held;
  }

  /**
   * @returns undefined where there is none
   * @throws GatewayError RATE_LIMIT_UNAVAILABLE (rejects) where the primary does not respond
   */
  acquire(): Permit | undefined | Promise<Permit | undefined> {
    if (this.#shared === undefined) return this.#held < this.#max ? this.#hold(() => undefined) : undefined;
    const permit = this.#shared.acquire("");
    if (permit instanceof Promise)
      return permit.then(
        acquired => acquired && this.#hold(acquired),
        () => {
          const message = "WebSockets cannot be counted at present";
          throw gatewayError("RATE_LIMIT_UNAVAILABLE", message, [], { retryAfter: 1 });
        },
      );
    return permit && this.#hold(permit);
  }

  #hold(release: Permit): Permit {
    this.#held++;
    return () => {
      this.#held--;
      release();
    };
  }
}
