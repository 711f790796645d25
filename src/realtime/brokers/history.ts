import { randomHex } from "../../telemetry/ids.js";
import {
  type HistoryBounds,
  type HistoryLimits,
  historyOf,
  type Message,
  type Published,
  type Replay,
} from "./broker.js";

/** A message of its room, in the list of all messages in the order in which they came. */
interface Entry extends Message {
  readonly timeline: Timeline;
  readonly key: string | undefined;
  readonly size: number;
  older: Entry | undefined;
  newer: Entry | undefined;
}

/** The state of one room: its position, and its latest messages. */
export interface Timeline {
  readonly room: string;
  readonly limits: HistoryBounds;
  readonly epoch: string;
  seq: number;
  /** Its messages without a hole among them; undefined where they have been evicted. */
  readonly entries: (Entry | undefined)[];
  /** How many of them have been evicted. */
  evicted: number;
  keys: Map<string, Published> | undefined;
  /** Someone receives the room: it is kept while that is so. */
  held: boolean;
}

/** About the bytes that V8 needs for an entry beside its text, for its key, and for a room. */
const entryOverhead = 200;
const keyOverhead = 150;
const roomOverhead = 400;

/**
 * The latest messages of all rooms, bounded by count and age in each room and by bytes in all together: the oldest
 * are evicted first. A room is forgotten with its last message, unless it is held.
 */
export class History {
  readonly #limits: HistoryLimits;
  readonly #rooms = new Map<string, Timeline>();
  /** Since when a room whose position is still kept has no receiver, the longest first. */
  readonly #left = new Map<string, number>();
  #oldest: Entry | undefined;
  #newest: Entry | undefined;
  #bytes = 0;

  constructor(limits: HistoryLimits) {
    this.#limits = limits;
  }

  /** Of messages and rooms, about. */
  get bytes(): number {
    return this.#bytes;
  }

  get size(): number {
    return this.#rooms.size;
  }

  find(room: string): Timeline | undefined {
    return this.#rooms.get(room);
  }

  /** The room's timeline, begun where there is none. */
  open(room: string): Timeline {
    let timeline = this.#rooms.get(room);
    if (timeline === undefined) {
      timeline = {
        room,
        limits: historyOf(this.#limits, room),
        epoch: randomHex(6),
        seq: 0,
        entries: [],
        evicted: 0,
        keys: undefined,
        held: false,
      };
      this.#rooms.set(room, timeline);
      this.#bytes += roomOverhead;
    }
    return timeline;
  }

  /**
   * Holds a room while it has a receiver, or releases it.
   * @param at time of the release: the position is kept until that expires
   */
  hold(room: string, held: boolean, at?: number): Timeline {
    const timeline = this.open(room);
    timeline.held = held;
    this.#left.delete(room);
    if (!held && at !== undefined) this.#left.set(room, at);
    this.#forgetIfUnused(timeline);
    while (this.#bytes > this.#limits.maxBytes && this.#left.size > 0) this.#forgetLeft();
    return timeline;
  }

  /** Keeps the next message of a room, whose `seq` the caller has advanced. */
  add(timeline: Timeline, text: string, at: number, key: string | undefined): void {
    const { epoch, seq } = timeline;
    const { maxBytes } = this.#limits;
    const { messages } = timeline.limits;
    if (messages > 0) {
      const kept = key === undefined ? 0 : keyOverhead + key.length;
      const size = entryOverhead + text.length * (latin.test(text) ? 1 : 2) + kept;
      const entry: Entry = {
        epoch,
        seq,
        text,
        at,
        timeline,
        key,
        size,
        older: this.#newest,
        newer: undefined,
      };
      if (this.#newest === undefined) this.#oldest = entry;
      else this.#newest.newer = entry;
      this.#newest = entry;
      timeline.entries.push(entry);
      this.#bytes += size;
      if (key !== undefined) {
        timeline.keys ??= new Map();
        timeline.keys.set(key, { epoch, seq, duplicate: true });
      }
      if (countOf(timeline) > messages) this.#evict(timeline.entries[timeline.evicted] as Entry);
      while (this.#bytes > maxBytes && this.#left.size > 0) this.#forgetLeft();
      while (this.#bytes > maxBytes && this.#oldest !== undefined) this.#evict(this.#oldest);
    }
    this.expire(at - this.#limits.ttl);
    this.#forgetIfUnused(timeline);
  }

  /** Evicts messages that are not younger than that time, milliseconds since 1970. */
  expire(before: number): void {
    while (this.#oldest !== undefined && this.#oldest.at <= before) this.#evict(this.#oldest);
    for (const at of this.#left.values()) {
      if (at > before) break;
      this.#forgetLeft();
    }
  }

  /** Evicts old messages of one room, where it keeps messages for a shorter time than others. */
  expireIn(room: string, now: number): void {
    const timeline = this.#rooms.get(room);
    if (timeline === undefined || timeline.limits.ttl === this.#limits.ttl) return;
    const before = now - timeline.limits.ttl;
    for (;;) {
      const oldest = timeline.entries[timeline.evicted];
      if (oldest === undefined || oldest.at > before) return;
      this.#evict(oldest);
    }
  }

  /**
   * The messages behind a position, at most the latest `limit`.
   * @param first at most so many of these, and whether there are more
   */
  since(room: string, epoch: string, seq: number, limit: number, first = limit): Replay {
    const timeline = this.#rooms.get(room);
    if (timeline === undefined)
      return { position: { epoch: randomHex(6), seq: 0 }, recovered: false, messages: [] };
    const position = { epoch: timeline.epoch, seq: timeline.seq };
    if (epoch !== timeline.epoch || seq > timeline.seq) return { position, recovered: false, messages: [] };
    const requested = Math.min(timeline.seq - seq, limit);
    const found = Math.min(requested, countOf(timeline));
    const start = timeline.entries.length - found;
    const messages = timeline.entries.slice(start, start + first) as Entry[];
    return { position, recovered: found === timeline.seq - seq, messages, more: found > first };
  }

  /** @param before only those with a lower number */
  latest(room: string, limit: number, before = Number.POSITIVE_INFINITY): readonly Message[] {
    const timeline = this.#rooms.get(room);
    if (timeline === undefined) return [];
    const behind = Math.max(0, timeline.seq + 1 - before);
    const end = timeline.entries.length - behind;
    const start = Math.max(timeline.evicted, end - limit);
    return end <= start ? [] : (timeline.entries.slice(start, end) as Entry[]);
  }

  /** Names of the rooms that hold messages, at most `limit`. */
  names(limit: number, now = Number.NEGATIVE_INFINITY): string[] {
    const names: string[] = [];
    for (const timeline of this.#rooms.values()) {
      if (names.length >= limit) break;
      this.expireIn(timeline.room, now);
      if (countOf(timeline) > 0) names.push(timeline.room);
    }
    return names;
  }

  /** An entry is always the oldest of its room: rooms lose their messages in the order in which they came. */
  #evict(entry: Entry): void {
    const { timeline, older, newer } = entry;
    if (older === undefined) this.#oldest = newer;
    else older.newer = newer;
    if (newer === undefined) this.#newest = older;
    else newer.older = older;
    timeline.entries[timeline.evicted++] = undefined;
    trim(timeline);
    // Else an entry in the old space would keep all later entries from being collected with the young generation.
    entry.older = undefined;
    entry.newer = undefined;
    this.#bytes -= entry.size;
    if (entry.key !== undefined) timeline.keys?.delete(entry.key);
    this.#forgetIfUnused(timeline);
  }

  /** Drops the position of the room that has been without a receiver for the longest time. */
  #forgetLeft(): void {
    const [room = ""] = this.#left.keys();
    this.#left.delete(room);
    const timeline = this.#rooms.get(room);
    if (timeline !== undefined) this.#forgetIfUnused(timeline);
  }

  #forgetIfUnused(timeline: Timeline): void {
    if (timeline.held || countOf(timeline) > 0 || this.#left.has(timeline.room)) return;
    if (this.#rooms.get(timeline.room) !== timeline) return;
    this.#rooms.delete(timeline.room);
    this.#bytes -= roomOverhead;
  }
}

function countOf({ entries, evicted }: Timeline): number {
  return entries.length - evicted;
}

/** Moves the messages to the front once as many slots before them are empty, so that each moves once or so. */
function trim(timeline: Timeline): void {
  const { entries, evicted } = timeline;
  if (evicted < minEvicted && evicted < entries.length) return;
  if (evicted * 2 < entries.length) return;
  entries.copyWithin(0, evicted);
  entries.length -= evicted;
  timeline.evicted = 0;
}

const minEvicted = 32;
const latin = /^[\0-\xff]*$/;
