import { randomHex } from "../../telemetry/ids.js";
import type { BrokerLeases, LeaseResult, RoomDraft } from "./broker.js";

/** The latest lease of a room. One that is over can be renewed until it is replaced. */
interface MemoryLease {
  readonly token: string;
  /** When it ends, by `performance.now`. */
  until: number;
  /** Messages that were published under it. */
  published: number;
}

/** The leases of rooms whose log is in this process. */
export class MemoryLeases implements BrokerLeases {
  readonly leaseMs: number;
  readonly #publish: (room: string, draft: RoomDraft) => void;
  readonly #vacated: (room: string) => void;
  readonly #leases = new Map<string, MemoryLease>();

  /** @param vacated called when a lease is released */
  constructor(
    leaseMs: number,
    publish: (room: string, draft: RoomDraft) => void,
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
    this.#leases.set(room, { token, until: now + this.leaseMs, published: 0 });
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

  publish(room: string, drafts: readonly RoomDraft[], token: string, published: number): boolean {
    const lease = this.#leases.get(room);
    if (lease?.token !== token) return false;
    drafts.forEach((draft, index) => {
      const number = published + index + 1;
      if (number <= lease.published) return;
      lease.published = number;
      this.#publish(room, draft);
    });
    return true;
  }
}
