import { randomHex } from "../../telemetry/ids.js";
import type { BrokerLeases, LeaseResult, Published, RoomDraft } from "./broker.js";

/** The leases of rooms whose log is in this process. */
export class MemoryLeases implements BrokerLeases {
  readonly leaseMs: number;
  readonly #publish: (room: string, draft: RoomDraft) => Published | undefined;
  readonly #vacated: (room: string) => void;
  /** The latest lease of each room, and when it ends, by `performance.now`. One that is over can be renewed until it is replaced. */
  readonly #leases = new Map<string, { readonly token: string; until: number }>();

  /** @param vacated called when a lease is released */
  constructor(
    leaseMs: number,
    publish: (room: string, draft: RoomDraft) => Published | undefined,
    vacated: (room: string) => void,
  ) {
    this.leaseMs = leaseMs;
    this.#publish = publish;
    this.#vacated = vacated;
  }

  acquire(room: string): LeaseResult {
    const now = performance.now();
    const heldMs = (this.#leases.get(room)?.until ?? now) - now;
    if (heldMs > 0) return { heldMs };
    const token = randomHex(8);
    this.#leases.set(room, { token, until: now + this.leaseMs });
    return { token };
  }

  renew(room: string, token: string): boolean {
    const lease = this.#leases.get(room);
    if (lease?.token !== token) return false;
    lease.until = performance.now() + this.leaseMs;
    return true;
  }

  release(room: string, token: string): void {
    if (this.#leases.get(room)?.token !== token) return;
    this.#leases.delete(room);
    this.#vacated(room);
  }

  publish(room: string, draft: RoomDraft, token: string): Published | undefined {
    return this.#leases.get(room)?.token === token ? this.#publish(room, draft) : undefined;
  }
}
