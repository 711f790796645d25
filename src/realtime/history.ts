import { randomHex } from "../telemetry/random-hex.js";
import type { HistoryLimits, Message, Published, Replay } from "./broker.js";

/** A message in two lists: that of its room, and that of all messages in the order in which they came. */
interface Entry extends Message {
  readonly timeline: Timeline;
  readonly key: string | undefined;
  readonly size: number;
  nextInRoom: Entry | undefined;
  older: Entry | undefined;
  newer: Entry | undefined;
}

/** What is known of one room: where it is, and its latest messages. */
export interface Timeline {
  readonly room: string;
  readonly epoch: string;
  seq: number;
  count: number;
  first: Entry | undefined;
  last: Entry | undefined;
  keys: Map<string, Published> | undefined;
  /** Someone receives the room: it is kept while that is so. */
  held: boolean;
}

/** About what V8 needs for an entry beside its text, for its key, and for a room. */
const entryOverhead = 200;
const keyOverhead = 150;
const roomOverhead = 400;

/**
 * The latest messages of all rooms, bounded by count and age in each room and by bytes in all together: what is
 * evicted is always the oldest. A room is forgotten with its last message, unless it is held.
 */
export class History {
  readonly #limits: HistoryLimits;
  readonly #rooms = new Map<string, Timeline>();
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
        epoch: randomHex(6),
        seq: 0,
        count: 0,
        first: undefined,
        last: undefined,
        keys: undefined,
        held: false,
      };
      this.#rooms.set(room, timeline);
      this.#bytes += roomOverhead;
    }
    return timeline;
  }

  /** Holds a room while someone receives it, or lets it go. */
  hold(room: string, held: boolean): Timeline {
    const timeline = this.open(room);
    timeline.held = held;
    this.#forgetIfUnused(timeline);
    return timeline;
  }

  /** Keeps the next message of a room, whose `seq` the caller has advanced. */
  add(timeline: Timeline, text: string, at: number, key: string | undefined): void {
    const { epoch, seq } = timeline;
    const { messages, maxBytes, ttl } = this.#limits;
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
        nextInRoom: undefined,
        older: this.#newest,
        newer: undefined,
      };
      if (this.#newest === undefined) this.#oldest = entry;
      else this.#newest.newer = entry;
      this.#newest = entry;
      if (timeline.last === undefined) timeline.first = entry;
      else timeline.last.nextInRoom = entry;
      timeline.last = entry;
      timeline.count++;
      this.#bytes += size;
      if (key !== undefined) {
        timeline.keys ??= new Map();
        timeline.keys.set(key, { epoch, seq, duplicate: true });
      }
      if (timeline.count > messages) this.#evict(timeline.first as Entry);
      while (this.#bytes > maxBytes && this.#oldest !== undefined) this.#evict(this.#oldest);
    }
    this.expire(at - ttl);
    this.#forgetIfUnused(timeline);
  }

  /** Evicts what is not younger than that time, milliseconds since 1970. */
  expire(before: number): void {
    while (this.#oldest !== undefined && this.#oldest.at <= before) this.#evict(this.#oldest);
  }

  /** The messages behind a place, at most the latest `limit`. */
  since(room: string, epoch: string, seq: number, limit: number): Replay {
    const timeline = this.#rooms.get(room);
    if (timeline === undefined)
      return { position: { epoch: randomHex(6), seq: 0 }, recovered: false, messages: [] };
    const position = { epoch: timeline.epoch, seq: timeline.seq };
    if (epoch !== timeline.epoch || seq > timeline.seq) return { position, recovered: false, messages: [] };
    const from = Math.max(seq, timeline.seq - limit);
    const messages: Message[] = [];
    for (let entry = timeline.first; entry !== undefined; entry = entry.nextInRoom) {
      if (entry.seq > from) messages.push(entry);
    }
    return { position, recovered: messages.length === timeline.seq - seq, messages };
  }

  latest(room: string, limit: number): readonly Message[] {
    const timeline = this.#rooms.get(room);
    if (timeline === undefined) return [];
    return this.since(room, timeline.epoch, Math.max(0, timeline.seq - limit), limit).messages;
  }

  /** Names of the rooms that hold messages, at most `limit`. */
  names(limit: number): string[] {
    const names: string[] = [];
    for (const { room, count } of this.#rooms.values()) {
      if (names.length >= limit) break;
      if (count > 0) names.push(room);
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
    timeline.first = entry.nextInRoom;
    if (timeline.first === undefined) timeline.last = undefined;
    timeline.count--;
    // Else an entry that has become old would keep all that came after it from the collector of the young generation.
    entry.nextInRoom = undefined;
    entry.older = undefined;
    entry.newer = undefined;
    this.#bytes -= entry.size;
    if (entry.key !== undefined) timeline.keys?.delete(entry.key);
    this.#forgetIfUnused(timeline);
  }

  #forgetIfUnused(timeline: Timeline): void {
    if (timeline.held || timeline.count > 0) return;
    if (this.#rooms.get(timeline.room) !== timeline) return;
    this.#rooms.delete(timeline.room);
    this.#bytes -= roomOverhead;
  }
}

const latin = /^[\0-\xff]*$/;
