import { randomHex } from "../../telemetry/ids.js";
import { type BrokerLeases, type LeaseResult, roomKey } from "./broker.js";
import type { NatsLineage } from "./nats-lineage.js";
import type { NatsLink, StreamNeeds } from "./nats-link.js";
import { NatsLog } from "./nats-log.js";
import type { NatsWriter } from "./nats-writer.js";

/** Most milliseconds in which message ids are remembered: leases have none. */
const duplicatesMs = 1000;

export function leasesStream(prefix: string, leaseMs: number): StreamNeeds {
  return {
    name: `${prefix}_leases`,
    subjects: [`${prefix}.lease.>`],
    storage: "memory",
    messagesOfSubject: 1,
    maxAge: leaseMs,
    maxBytes: -1,
    duplicates: Math.min(duplicatesMs, leaseMs),
    republish: undefined,
  };
}

/**
 * The leases of rooms. A stream has one entry a lease, which the server removes when it has not been renewed in time. The
 * holder also marks the log of the room with its token, which every later entry repeats: a publication under an older
 * lease is not behind the last entry, so the server refuses it.
 */
export class NatsLeases implements BrokerLeases {
  readonly leaseMs: number;
  readonly publish: BrokerLeases["publish"];
  readonly #vacated: (room: string) => void;
  readonly #link: NatsLink;
  readonly #log: NatsLog;
  readonly #lineage: NatsLineage;
  readonly #writer: NatsWriter;
  /** The numbers in the stream of the entries of leases held here, by their tokens. */
  readonly #entries = new Map<string, number>();

  /** @param vacated called when a lease was released */
  constructor(
    link: NatsLink,
    lineage: NatsLineage,
    writer: NatsWriter,
    options: { readonly prefix: string; readonly timeoutMs: number; readonly leaseMs: number },
    publish: BrokerLeases["publish"],
    vacated: (room: string) => void,
  ) {
    const { prefix, timeoutMs, leaseMs } = options;
    this.leaseMs = leaseMs;
    this.publish = publish;
    this.#vacated = vacated;
    this.#link = link;
    this.#log = new NatsLog(`${prefix}_leases`, `${prefix}.lease.`, timeoutMs);
    this.#lineage = lineage;
    this.#writer = writer;
  }

  async acquire(room: string): Promise<LeaseResult> {
    const key = roomKey(room);
    const token = randomHex(8);
    const entry = await this.#write(key, token, 0);
    if (entry === undefined) return this.#held(key);
    await this.#writer.lease(key, token);
    // Meanwhile it may have expired, and another node may hold one.
    const last = await this.#link.execute(nats => this.#log.last(nats, key));
    if (last?.text !== token) return this.#held(key);
    this.#entries.set(token, entry);
    return { token };
  }

  async renew(room: string, token: string): Promise<boolean> {
    const key = roomKey(room);
    const after = this.#entries.get(token);
    if (after === undefined) return false;
    const entry = (await this.#write(key, token, after)) ?? (await this.#write(key, token, 0));
    if (entry === undefined) this.#entries.delete(token);
    else this.#entries.set(token, entry);
    return entry !== undefined;
  }

  async release(room: string, token: string): Promise<void> {
    const entry = this.#entries.get(token);
    this.#entries.delete(token);
    if (entry === undefined) return;
    const last = await this.#link.execute(nats => this.#log.last(nats, roomKey(room)));
    if (last?.stored !== entry) return;
    await this.#link.execute(nats => this.#log.remove(nats, entry));
    this.#vacated(room);
  }

  /** @param after number in the stream of the entry before. @returns that of this one; undefined where another is there */
  async #write(key: string, token: string, after: number): Promise<number | undefined> {
    const entry = { epoch: "", seq: 0, at: Date.now(), text: token, lineage: 0 };
    return (await this.#link.execute(nats => this.#log.append(nats, key, entry, after, undefined)))?.stored;
  }

  async #held(key: string): Promise<LeaseResult> {
    const last = await this.#link.execute(nats => this.#log.last(nats, key));
    const heldMs = last === undefined ? 0 : last.storedAt + this.leaseMs - this.#lineage.now();
    return { heldMs: Math.min(Math.max(0, heldMs), this.leaseMs) };
  }
}
