import { randomHex } from "../../telemetry/ids.js";
import type { BrokerLeases, LeaseResult } from "./broker.js";
import type { RedisLink } from "./redis-link.js";
import { acquireLease, releaseLease, renewLease } from "./redis-scripts.js";

/** The keys of a room, as its broker names them. */
export interface RedisRoomNames {
  /** Those with which a room is opened, its head first. */
  keys(room: string): readonly [head: string, ...string[]];
  channel(room: string): string;
  /** The arguments with which a room is opened. */
  opening(): readonly (string | number)[];
}

/** The leases of rooms: a key of each expires where it is not renewed, and the hash of the room has the latest token. */
export class RedisLeases implements BrokerLeases {
  readonly leaseMs: number;
  readonly publish: BrokerLeases["publish"];
  readonly #link: RedisLink;
  readonly #names: RedisRoomNames;

  constructor(link: RedisLink, names: RedisRoomNames, leaseMs: number, publish: BrokerLeases["publish"]) {
    this.leaseMs = leaseMs;
    this.publish = publish;
    this.#link = link;
    this.#names = names;
  }

  async acquire(room: string): Promise<LeaseResult> {
    const token = randomHex(8);
    const keys = [...this.#names.keys(room), this.#keys(room)[1]];
    const args = [...this.#names.opening(), token, this.leaseMs];
    const [taken, left] = await this.#link.run(acquireLease, keys, args);
    return taken === 1 ? { token } : { heldMs: Math.max(0, Number(left)) };
  }

  async renew(room: string, token: string): Promise<boolean> {
    const [renewed] = await this.#link.run(renewLease, this.#keys(room), [token, this.leaseMs]);
    return renewed === 1;
  }

  async release(room: string, token: string): Promise<void> {
    await this.#link.run(releaseLease, this.#keys(room), [token, this.#names.channel(room)]);
  }

  #keys(room: string): readonly [head: string, lease: string] {
    const [head] = this.#names.keys(room);
    return [head, `${head}:lease`];
  }
}
