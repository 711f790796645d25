import { callerKey } from "../limits/caller-key.js";
import type { Limited } from "../limits/limiter.js";
import { createMemoryStore, type MemoryStore } from "../limits/memory-store.js";
import { type Rate as BucketRate, monotonicTicks, rateOf, refusalOf } from "../limits/rate.js";
import { GatewayError, gatewayFailure } from "../status/failure.js";
import type { Rate } from "./rooms/socket.js";

const keyOf = callerKey({ kind: "subject" });

/** Bounds what is sent by REST as a socket bounds its frames: for each subject, or address of those without a name. */
export class SendRate {
  readonly #rate: Rate;
  readonly #bucket: BucketRate;
  readonly #store: MemoryStore;

  constructor(rate: Rate) {
    this.#rate = rate;
    this.#bucket = rateOf(rate.perSecond, 1000, rate.burst);
    this.#store = createMemoryStore(this.#bucket, monotonicTicks);
  }

  is({ perSecond, burst }: Rate): boolean {
    return perSecond === this.#rate.perSecond && burst === this.#rate.burst;
  }

  /** @throws GatewayError RATE_LIMITED */
  admit(caller: Limited, subject: string | undefined): void {
    const { admitted, debt } = this.#store.take(keyOf(caller, subject));
    if (admitted) return;
    const message = `a sender may send ${this.#rate.perSecond} messages a second`;
    throw new GatewayError(
      gatewayFailure("RATE_LIMITED", message, [], refusalOf("messages", this.#bucket, debt)),
    );
  }
}
