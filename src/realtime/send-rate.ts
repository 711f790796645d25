import { callerKey } from "../limits/caller-key.js";
import type { Limited } from "../limits/limiter.js";
import { createMemoryStore, type MemoryStore } from "../limits/memory-store.js";
import { type Rate as BucketRate, rateOf, seconds, ticksPerMillisecond, wait } from "../limits/rate.js";
import { GatewayError, gatewayFailure } from "../status/failure.js";
import type { Rate } from "./socket.js";

const keyOf = callerKey({ kind: "subject" });

/** Bounds what is sent by REST as a socket bounds its frames: for each subject, or address of those without a name. */
export class SendRate {
  readonly #rate: Rate;
  readonly #bucket: BucketRate;
  readonly #store: MemoryStore;

  constructor(rate: Rate) {
    this.#rate = rate;
    const now = (): number => Math.floor(performance.now() * ticksPerMillisecond);
    this.#bucket = rateOf(rate.perSecond, 1000, rate.burst);
    this.#store = createMemoryStore(this.#bucket, now);
  }

  is({ perSecond, burst }: Rate): boolean {
    return perSecond === this.#rate.perSecond && burst === this.#rate.burst;
  }

  /** @throws GatewayError RATE_LIMITED */
  admit(caller: Limited, subject: string | undefined): void {
    const { admitted, debt } = this.#store.take(keyOf(caller, subject));
    if (admitted) return;
    const { perSecond, burst } = this.#rate;
    const retryAfter = Math.max(1, seconds(wait(this.#bucket, debt)));
    const window = Math.max(1, seconds(burst * this.#bucket.interval));
    throw new GatewayError(
      gatewayFailure("RATE_LIMITED", `a sender may send ${perSecond} messages a second`, [], {
        retryAfter,
        headers: [
          ["ratelimit-policy", `"messages";q=${burst};w=${window}`],
          ["ratelimit", `"messages";r=0;t=${retryAfter}`],
        ],
      }),
    );
  }
}
