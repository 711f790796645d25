import type { Nats, NatsLink } from "./nats-link.js";
import type { LogEntry, NatsLog } from "./nats-log.js";

/** The remembered part of the last entry that this node has seen stored. */
type SeenEntry = Pick<LogEntry, "key" | "epoch" | "seq" | "at" | "stored" | "text">;

/** Where the lineage of the stream is written: no key of a room has one letter. */
const lineageKey = "_";

/** Milliseconds that a request may take for the clock of the server to be taken from it. */
const maxClockDelay = 1000;

/**
 * Whether the stream still is the one that nodes have written: one that comes back without its last entries, from a
 * backup or after a crash, would give their numbers twice. A node that has seen such an entry counts the lineage up,
 * and every room begins a new epoch. It also knows the time by the clock of the server.
 */
export class NatsLineage {
  readonly #link: NatsLink;
  readonly #log: NatsLog;
  readonly #stream: string;
  readonly #clock: { readonly log: NatsLog; readonly subject: string };
  #lastSeen: SeenEntry | undefined;
  #current = 0;
  /** The time of the server, and that of `performance.now` then. */
  #time: { readonly server: number; readonly at: number } | undefined;

  /** @param clock an entry of it is written to learn the time */
  constructor(
    link: NatsLink,
    log: NatsLog,
    stream: string,
    clock: { readonly log: NatsLog; readonly subject: string },
  ) {
    this.#link = link;
    this.#log = log;
    this.#stream = stream;
    this.#clock = clock;
  }

  /** Entries of an earlier one are of epochs that are over. */
  get current(): number {
    return this.#current;
  }

  /** Milliseconds since 1970 by the clock of the server. */
  now(): number {
    const time = this.#time;
    return time === undefined ? Date.now() : time.server + performance.now() - time.at;
  }

  /** An entry was seen, or written by this node. */
  seen(entry: SeenEntry): void {
    if (entry.stored > (this.#lastSeen?.stored ?? 0)) this.#lastSeen = entry;
  }

  /** Another node has counted up. @returns whether that is new */
  follow(text: string): boolean {
    const lineage = Number(text);
    if (!(lineage > this.#current)) return false;
    this.#begin(lineage);
    return true;
  }

  /** Before anything is published over a new connection. @returns whether epochs that this node knows are over */
  async check(nats: Nats): Promise<boolean> {
    await this.readClock(nats).catch(() => undefined);
    const before = this.#current;
    for (;;) {
      const last = await this.#log.last(nats, lineageKey);
      const written = Number(last?.text ?? 0);
      if (written > this.#current) this.#begin(written);
      const state = await nats.streams.streams.info(this.#stream);
      const lost = written < this.#current || (await this.#isLost(nats, state.state.last_seq));
      if (!lost) return this.#current !== before;
      const next = Math.max(written, this.#current) + 1;
      if ((await this.#write(nats, next, last?.stored ?? 0)) === undefined) continue;
      this.#begin(next);
      this.#link.wentBack();
      return true;
    }
  }

  /** What this node has seen is of epochs that are over. */
  #begin(lineage: number): void {
    this.#current = lineage;
    this.#lastSeen = undefined;
  }

  /** Keeps the written entry while it counts. @param before milliseconds since 1970: older ones are written anew */
  async renew(nats: Nats, before: number): Promise<void> {
    if (this.#current === 0) return;
    const last = await this.#log.last(nats, lineageKey);
    if (last !== undefined && (last.storedAt > before || Number(last.text) > this.#current)) return;
    await this.#write(nats, this.#current, last?.stored ?? 0);
  }

  async readClock(nats: Nats): Promise<void> {
    const { log, subject } = this.#clock;
    const started = performance.now();
    const { seq } = await nats.messages.publish(subject, "");
    const delay = performance.now() - started;
    const entry = await log.at(nats, seq);
    if (entry === undefined || (this.#time !== undefined && delay > maxClockDelay)) return;
    this.#time = { server: entry.storedAt, at: started + delay / 2 };
  }

  #write(nats: Nats, lineage: number, after: number) {
    const entry = { epoch: "", seq: 0, at: Date.now(), text: String(lineage), lineage };
    return this.#log.append(nats, lineageKey, entry, after, undefined);
  }

  /** Whether the last entry that this node has seen is not there, though nothing that follows has removed it. */
  async #isLost(nats: Nats, lastStored: number): Promise<boolean> {
    const lastSeen = this.#lastSeen;
    if (lastSeen === undefined) return false;
    if (lastStored < lastSeen.stored) return true;
    const found = await this.#log.at(nats, lastSeen.stored);
    if (found !== undefined) return !isSame(found, lastSeen);
    // It may be too old, or one of too many.
    const last = await this.#log.last(nats, lastSeen.key);
    return last !== undefined && last.stored < lastSeen.stored;
  }
}

/** Whether the key is that of a room. */
export function isRoomKey(key: string): boolean {
  return key !== lineageKey;
}

/** The subject of the message when another node counts up. @param out the prefix of the subjects of rooms */
export function lineageSubject(out: string): string {
  return out + lineageKey;
}

function isSame(a: SeenEntry, b: SeenEntry): boolean {
  return a.key === b.key && a.epoch === b.epoch && a.seq === b.seq && a.at === b.at && a.text === b.text;
}
