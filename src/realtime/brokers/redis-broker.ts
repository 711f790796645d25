import { randomHex } from "../../telemetry/ids.js";
import type { RedisServers } from "../../upstream/redis/servers.js";
import type {
  Broker,
  BrokerLeases,
  BrokerOptions,
  BrokerPresence,
  HistoryLimits,
  Message,
  Published,
  Receiver,
  Replay,
  RoomDraft,
  RoomPosition,
} from "./broker.js";
import { brokerUnavailable, defaultLeaseMs, historyOf, roomKey, roomOfKey, startOf } from "./broker.js";
import { ClusterPresence, changeOf } from "./cluster-presence.js";
import { RedisLeases } from "./redis-leases.js";
import { RedisLineage } from "./redis-lineage.js";
import { RedisLink } from "./redis-link.js";
import { presenceScripts, RedisPresence } from "./redis-presence.js";
import {
  acquireLease,
  headGrace,
  heldRooms,
  openRoom,
  publishMessages,
  readRoom,
  releaseLease,
  renewLease,
  sendSignal,
} from "./redis-scripts.js";
import { HoldingSpace, RoomFeed } from "./room-feed.js";
import { keptSignals, Signals, signalLifeMs } from "./signals.js";

/** Most messages read at once to fill a hole. */
const maxReplayed = 10_000;
/** Channels of one SUBSCRIBE. */
const channelsAtOnce = 500;

/** Rooms in Redis 6.2 or later: messages by publish and subscribe, the latest of them in streams. */
export function createRedisBroker(options: RedisBrokerOptions): Broker {
  return new RedisBroker(options);
}

type RedisBrokerOptions = BrokerOptions & RedisServers;

interface StoredRoom {
  readonly position: RoomPosition;
  readonly messages: readonly Message[];
}

class RedisBroker implements Broker {
  readonly leases: BrokerLeases;
  readonly #link: RedisLink;
  readonly #lineage: RedisLineage;
  readonly #prefix: string;
  readonly #limits: HistoryLimits;
  readonly #signals = new Signals();
  readonly #presence: ClusterPresence;
  readonly #feeds = new Map<string, RoomFeed>();
  readonly #space: HoldingSpace;
  readonly #headLife: number;
  readonly #timer: NodeJS.Timeout;
  #receiver: Receiver | undefined;

  constructor(options: RedisBrokerOptions) {
    const { history, logger, timeoutMs = 5000, leaseMs = defaultLeaseMs } = options;
    // Of a cluster, scripts take keys of one slot alone: the part in braces selects it.
    const prefix = options.cluster === true ? `{${options.prefix}}` : options.prefix;
    const messages = [openRoom, publishMessages, readRoom, heldRooms, sendSignal];
    const scripts = [...messages, acquireLease, renewLease, releaseLease, ...presenceScripts];
    this.#link = new RedisLink(options, prefix, scripts, logger, timeoutMs);
    const names = {
      keys: (room: string) => this.#roomKeys(room),
      channel: (room: string) => this.#channel(room),
      opening: () => this.#opening,
    };
    this.leases = new RedisLeases(
      this.#link,
      names,
      leaseMs,
      async (room, drafts, token, published) =>
        (await this.#publish(room, drafts, token, published)).length > 0,
    );
    this.#prefix = prefix;
    this.#limits = history;
    this.#presence = new ClusterPresence(new RedisPresence(this.#link, prefix, leaseMs), leaseMs);
    this.#space = new HoldingSpace(history.maxBytes);
    this.#headLife = history.ttl + headGrace;
    this.#lineage = new RedisLineage(this.#link, this.#lineageKey, 2 * this.#headLife, leaseMs / 3);
    this.#timer = setInterval(() => void this.#renewHeads(), this.#headLife / 3);
    this.#timer.unref();
  }

  get presence(): BrokerPresence {
    return this.#presence;
  }

  get ready(): boolean {
    return this.#link.ready;
  }

  start(receiver: Receiver): Promise<void> {
    this.#receiver = receiver;
    this.#presence.start(receiver);
    return this.#link.start({
      connecting: redis => this.#lineage.check(redis),
      connected: () => this.#connected(),
      message: (channel, text) => this.#received(channel, text),
    });
  }

  async publish(room: string, draft: RoomDraft): Promise<Published | undefined> {
    const { frame, kept, except, at } = draft;
    if (kept) {
      const [epoch, seq, known] = await this.#publish(room, [draft]);
      return { epoch: String(epoch), seq: Number(seq), duplicate: known === 1 };
    }
    const notice = `N${at} ${except ?? ""}\n${frame}`;
    await this.#link.execute(redis => redis.publish(this.#channel(room), notice));
    return undefined;
  }

  /**
   * @param token of the lease that they need; empty: none
   * @returns as `publishMessages` gives it
   */
  async #publish(
    room: string,
    drafts: readonly RoomDraft[],
    token = "",
    published = 0,
  ): Promise<readonly (string | number)[]> {
    const channel = this.#channel(room);
    const { messages, ttl } = historyOf(this.#limits, room);
    const keys = [...this.#roomKeys(room), this.#roomsKey, `${this.#prefix}:order`, `${this.#prefix}:bytes`];
    const bounds = [messages, ttl, this.#limits.maxBytes, this.#limits.ttl];
    const args = [...this.#opening, ...bounds, channel, room, token, published];
    for (const { frame, key, at } of drafts) args.push(frame, key ?? "", at);
    const found = await this.#link.run(publishMessages, keys, args);
    this.#lineage.saw(Number(found.at(-1) ?? 0));
    return found;
  }

  async subscribe(room: string): Promise<RoomPosition> {
    const receiver = this.#receiver;
    if (receiver === undefined || !this.#link.ready) throw brokerUnavailable();
    const read = (after: RoomPosition): Promise<Replay> => this.since(room, after, maxReplayed);
    const feed = new RoomFeed(room, receiver, read, this.#space);
    this.#feeds.get(room)?.close();
    this.#feeds.set(room, feed);
    try {
      await this.#link.subscribe([this.#channel(room)]);
      const [epoch, seq] = await this.#link.run(openRoom, this.#roomKeys(room), this.#opening);
      const position = { epoch: String(epoch), seq: Number(seq) };
      feed.open(position);
      this.#presence.opened(room);
      return position;
    } catch (error) {
      if (this.#feeds.get(room) === feed) this.unsubscribe(room);
      throw error;
    }
  }

  unsubscribe(room: string): void {
    this.#feeds.get(room)?.close();
    this.#feeds.delete(room);
    this.#presence.closed(room);
    this.#link.unsubscribe(this.#channel(room));
  }

  async since(room: string, { epoch, seq }: RoomPosition, limit: number): Promise<Replay> {
    const found = await this.#read(room, epoch, seq, limit);
    if (found === undefined)
      return { position: { epoch: randomHex(6), seq: 0 }, recovered: false, messages: [] };
    const { position, messages } = found;
    const recovered =
      position.epoch === epoch && messages.length === position.seq - Math.max(seq, startOf(epoch));
    return { position, recovered, messages };
  }

  async history(room: string, limit: number, before?: number): Promise<readonly Message[]> {
    return (await this.#read(room, "", 0, limit, before))?.messages ?? [];
  }

  async rooms(limit: number): Promise<readonly string[]> {
    const names = await this.#link.run(heldRooms, [this.#roomsKey], [this.#limits.ttl, limit]);
    return names.map(String);
  }

  async signal(text: string): Promise<void> {
    const args = [this.#signals.write(text), keptSignals, signalLifeMs, this.#signalChannel];
    await this.#link.run(sendSignal, [this.#signalsKey], args);
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    this.#lineage.close();
    for (const feed of this.#feeds.values()) feed.close();
    await this.#presence.end();
    await this.#link.close();
  }

  /** @param epoch empty for the latest messages of the room's current epoch */
  async #read(
    room: string,
    epoch: string,
    seq: number,
    limit: number,
    before?: number,
  ): Promise<StoredRoom | undefined> {
    const [head, log, , lineage] = this.#roomKeys(room);
    const { ttl } = historyOf(this.#limits, room);
    const args = [epoch, seq, limit, ttl, before ?? ""];
    const found = await this.#link.run(readRoom, [head, log, lineage], args);
    if (found.length === 0) return undefined;
    if (found[0] === "") {
      await this.#link.run(openRoom, this.#roomKeys(room), this.#opening);
      return this.#read(room, epoch, seq, limit, before);
    }
    const position: RoomPosition = { epoch: String(found[0]), seq: Number(found[1]) };
    const messages: Message[] = [];
    for (let index = 2; index + 2 < found.length; index += 3) {
      const at = Number(found[index + 1]);
      const text = String(found[index + 2]);
      messages.push({ epoch: position.epoch, seq: Number(found[index]), at, text });
    }
    return { position, messages };
  }

  async #connected(): Promise<void> {
    const rooms = [...this.#feeds.keys()];
    const channels = [this.#signalChannel, ...rooms.map(room => this.#channel(room))];
    let kept: readonly [id: string, fields: string[]][];
    try {
      for (let start = 0; start < channels.length; start += channelsAtOnce) {
        await this.#link.subscribe(channels.slice(start, start + channelsAtOnce));
      }
      kept = await this.#link.execute(redis => redis.xrange(this.#signalsKey, "-", "+"));
    } catch {
      // The connection is lost again, and the next one subscribes again.
      return;
    }
    for (const text of this.#signals.missed(kept.map(([, [, payload = ""]]) => payload)))
      this.#receiver?.signal(text);
    for (const room of rooms) this.#feeds.get(room)?.catchUp();
    void this.#presence.restore();
  }

  #received(channel: string, payload: string): void {
    const line = payload.indexOf("\n");
    if (channel === this.#signalChannel) {
      const text = this.#signals.read(payload);
      if (text !== undefined) this.#receiver?.signal(text);
      return;
    }
    const room = roomOfKey(channel.slice(this.#channelPrefix.length));
    const feed = this.#feeds.get(room);
    if (feed === undefined || line < 0) return;
    const text = payload.slice(line + 1);
    const words = payload.slice(1, line).split(" ");
    if (payload.startsWith("M")) {
      const [epoch = "", seq, at, count] = words;
      this.#lineage.saw(Number(count));
      feed.message({ epoch, seq: Number(seq), at: Number(at), text });
    } else if (payload.startsWith("N")) {
      const [at, except] = words;
      this.#receiver?.notice(room, { text, except: except || undefined, at: Number(at) });
    } else if (payload.startsWith("V")) this.#receiver?.vacated(room);
    else if (payload.startsWith("C")) this.#presence.changed(room, changeOf(words, text));
  }

  /** Rooms with members here keep their epoch, however long they have no messages. */
  async #renewHeads(): Promise<void> {
    for (const room of [...this.#feeds.keys()]) {
      const [head] = this.#roomKeys(room);
      await this.#link.execute(redis => redis.pexpire(head, this.#headLife)).catch(() => undefined);
    }
  }

  /** The arguments with which a room is opened. */
  get #opening(): readonly (string | number)[] {
    return [randomHex(6), this.#headLife];
  }

  #roomKeys(room: string): readonly [head: string, log: string, keys: string, lineage: string] {
    const key = `${this.#prefix}:room:${roomKey(room)}`;
    return [key, `${key}:log`, `${key}:keys`, this.#lineageKey];
  }

  get #roomsKey(): string {
    return `${this.#prefix}:rooms`;
  }

  get #lineageKey(): string {
    return `${this.#prefix}:lineage`;
  }

  get #signalChannel(): string {
    return `${this.#prefix}:signal`;
  }

  get #signalsKey(): string {
    return `${this.#prefix}:signals`;
  }

  get #channelPrefix(): string {
    return `${this.#prefix}:channel:`;
  }

  #channel(room: string): string {
    return this.#channelPrefix + roomKey(room);
  }
}
