import { headers, type Msg, type Subscription } from "@nats-io/transport-node";
import { randomHex } from "../../telemetry/ids.js";
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
import { defaultLeaseMs, historyOf, roomKey, roomOfKey } from "./broker.js";
import { ClusterPresence } from "./cluster-presence.js";
import { leasesStream, NatsLeases } from "./nats-leases.js";
import { isRoomKey, lineageSubject, NatsLineage } from "./nats-lineage.js";
import { type Nats, NatsLink, type NatsServers } from "./nats-link.js";
import { type LogEntry, messagesOf, NatsLog, ofRepublished, roomsStream } from "./nats-log.js";
import { changeOfMessage, membersStream, NatsPresence } from "./nats-presence.js";
import { NatsWriter } from "./nats-writer.js";
import { HoldingSpace, RoomFeed } from "./room-feed.js";
import { keptSignals, Signals, signalLifeMs } from "./signals.js";

/** Most messages read at once to fill a hole. */
const maxReplayed = 10_000;
/** Least that entries outlive the messages that they hold, milliseconds: in that time rooms with members are marked. */
const minGraceMs = 10_000;
const EXCEPT = "Protogate-Except";
const AT = "Protogate-At";
const VACATED = "Protogate-Vacated";

/**
 * Rooms in NATS 2.9 or later with JetStream. Messages are appended to a stream, which publishes stored messages to
 * the nodes that have subscribed to the room.
 */
export function createNatsBroker(options: NatsBrokerOptions): Broker {
  return new NatsBroker(options);
}

type NatsBrokerOptions = BrokerOptions & NatsServers;

interface ReceivedRoom {
  readonly feed: RoomFeed;
  subscription: Subscription;
  /** The epoch that is over since the stream has lost messages: a room that it has forgotten does not go on with it. */
  over: string | undefined;
}

class NatsBroker implements Broker {
  readonly leases: BrokerLeases;
  readonly #link: NatsLink;
  readonly #log: NatsLog;
  readonly #lineage: NatsLineage;
  readonly #writer: NatsWriter;
  readonly #limits: HistoryLimits;
  readonly #prefix: string;
  readonly #sent = new Signals();
  readonly #timeoutMs: number;
  readonly #presence: ClusterPresence;
  readonly #rooms = new Map<string, ReceivedRoom>();
  readonly #space: HoldingSpace;
  readonly #timer: NodeJS.Timeout;
  #receiver: Receiver | undefined;
  #signals: Subscription | undefined;
  #lineages: Subscription | undefined;

  constructor(options: NatsBrokerOptions) {
    const { prefix, history, logger, timeoutMs = 5000, leaseMs = defaultLeaseMs } = options;
    const grace = Math.max(minGraceMs, history.ttl / 10);
    this.#prefix = prefix;
    this.#timeoutMs = timeoutMs;
    this.#limits = history;
    const signals = {
      name: `${prefix}_signals`,
      subjects: [`${prefix}.signal`],
      storage: "memory",
      messagesOfSubject: keptSignals,
      maxAge: signalLifeMs,
      maxBytes: -1,
      duplicates: 1000,
      republish: undefined,
    } as const;
    const streams = [roomsStream(prefix, history, grace), membersStream(prefix), signals];
    this.#link = new NatsLink(options, [...streams, leasesStream(prefix, leaseMs)], logger, timeoutMs);
    this.#log = new NatsLog(`${prefix}_rooms`, `${prefix}.in.`, timeoutMs);
    const members = new NatsLog(`${prefix}_members`, `${prefix}.members.`, timeoutMs);
    const clock = { log: members, subject: `${prefix}.members._clock` };
    this.#lineage = new NatsLineage(this.#link, this.#log, `${prefix}_rooms`, clock);
    this.#writer = new NatsWriter(this.#link, this.#log, this.#lineage, timeoutMs);
    this.leases = new NatsLeases(
      this.#link,
      this.#lineage,
      this.#writer,
      { prefix, timeoutMs, leaseMs },
      (room, drafts, token, published) => this.#writer.publishUnder(roomKey(room), drafts, token, published),
      room => this.#announce(room, [[VACATED, "1"]], ""),
    );
    this.#presence = new ClusterPresence(new NatsPresence(this.#link, prefix, timeoutMs, leaseMs), leaseMs);
    this.#space = new HoldingSpace(history.maxBytes);
    this.#timer = setInterval(() => void this.#keepPositions(), grace / 4);
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
      connecting: nats => this.#connecting(nats),
      connected: () => this.#connected(),
    });
  }

  async publish(room: string, draft: RoomDraft): Promise<Published | undefined> {
    if (!draft.kept) {
      const except = draft.except === undefined ? [] : [[EXCEPT, draft.except] as const];
      this.#announce(room, [[AT, String(draft.at)], ...except], draft.frame);
      return undefined;
    }
    const continued = (): RoomPosition | undefined => {
      const { feed, over } = this.#rooms.get(room) ?? {};
      return feed?.current && feed.position?.epoch !== over ? feed.position : undefined;
    };
    return this.#writer.publish(roomKey(room), draft, continued);
  }

  /** Sends something that is not kept to the nodes that receive a room. */
  #announce(room: string, fields: readonly (readonly [string, string])[], text: string): void {
    const head = headers();
    for (const [name, value] of fields) head.set(name, value);
    this.#link.nats.connection.publish(this.#out(roomKey(room)), text, { headers: head });
  }

  async subscribe(room: string): Promise<RoomPosition> {
    const receiver = this.#receiver;
    if (receiver === undefined) throw new Error("the broker is not started");
    const key = roomKey(room);
    this.unsubscribe(room);
    const read = (after: RoomPosition): Promise<Replay> => this.since(room, after, maxReplayed);
    const feed = new RoomFeed(room, receiver, read, this.#space);
    const received = { feed, subscription: this.#receive(room, feed), over: undefined };
    this.#rooms.set(room, received);
    try {
      await this.#link.settled();
      const { epoch, seq } = await this.#writer.open(key);
      const position = { epoch, seq };
      feed.open(position);
      this.#presence.opened(room);
      return position;
    } catch (error) {
      if (this.#rooms.get(room) === received) this.unsubscribe(room);
      throw error;
    }
  }

  unsubscribe(room: string): void {
    const received = this.#rooms.get(room);
    received?.feed.close();
    received?.subscription.unsubscribe();
    this.#presence.closed(room);
    this.#rooms.delete(room);
  }

  async since(room: string, { epoch, seq }: RoomPosition, limit: number): Promise<Replay> {
    const key = roomKey(room);
    const last = await this.#link.execute(nats => this.#log.last(nats, key));
    if (last === undefined)
      return { position: { epoch: randomHex(6), seq: 0 }, recovered: false, messages: [] };
    if (last.lineage < this.#lineage.current) {
      const { epoch, seq } = await this.#writer.open(key);
      return { position: { epoch, seq }, recovered: false, messages: [] };
    }
    const position = { epoch: last.epoch, seq: last.seq };
    if (epoch !== last.epoch || seq > last.seq) return { position, recovered: false, messages: [] };
    if (seq === last.seq) return { position, recovered: true, messages: [] };
    const from = Math.max(seq, last.seq - limit);
    const all = await this.#read(room, last.seq);
    const messages = all.filter(message => message.epoch === epoch && message.seq > from);
    return { position, recovered: messages.length === last.seq - seq, messages };
  }

  async history(room: string, limit: number, before = Number.POSITIVE_INFINITY): Promise<readonly Message[]> {
    const all = await this.#read(room, Number.POSITIVE_INFINITY);
    const epoch = all.at(-1)?.epoch;
    const earlier = all.filter(message => message.epoch === epoch && message.seq < before);
    return limit === 0 ? [] : earlier.slice(-limit);
  }

  async rooms(limit: number): Promise<readonly string[]> {
    if (this.#limits.messages === 0) return [];
    const now = this.#lineage.now();
    const lasts = await this.#link.execute(nats =>
      this.#log.read(nats, "*", "last", Number.POSITIVE_INFINITY),
    );
    const held: string[] = [];
    for (const entry of lasts) {
      if (held.length >= limit) break;
      if (!isRoomKey(entry.key)) continue;
      const room = roomOfKey(entry.key);
      const { messages, ttl } = historyOf(this.#limits, room);
      if (messages > 0 && isHeld(entry, now - ttl)) held.push(room);
    }
    return held;
  }

  async signal(text: string): Promise<void> {
    const payload = this.#sent.write(text);
    await this.#link.execute(nats => nats.messages.publish(`${this.#prefix}.signal`, payload));
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    for (const room of [...this.#rooms.keys()]) this.unsubscribe(room);
    await this.#presence.end();
    await this.#link.close();
  }

  /** The messages of a room up to a number that are not too old and that the limit lets be kept. */
  async #read(room: string, upTo: number): Promise<Message[]> {
    const { messages, ttl } = historyOf(this.#limits, room);
    if (messages === 0) return [];
    const key = roomKey(room);
    const entries = await this.#link.execute(nats =>
      this.#log.read(nats, key, "all", Number.POSITIVE_INFINITY),
    );
    const oldest = this.#lineage.now() - ttl;
    return entries
      .filter(entry => isHeld(entry, oldest))
      .flatMap(messagesOf)
      .filter(({ seq }) => seq <= upTo)
      .slice(-messages);
  }

  async #connecting(nats: Nats): Promise<void> {
    if (this.#lineages === undefined || this.#lineages.isClosed()) {
      this.#lineages = nats.connection.subscribe(lineageSubject(this.#out("")), {
        callback: (error, message) => {
          if (error !== null || !this.#lineage.follow(message.string())) return;
          this.#begun();
          for (const { feed } of this.#rooms.values()) feed.catchUp();
        },
      });
    }
    if (await this.#lineage.check(nats)) this.#begun();
  }

  /** All epochs that were known are over. */
  #begun(): void {
    this.#writer.forget();
    for (const received of this.#rooms.values()) received.over = received.feed.position?.epoch;
  }

  async #connected(): Promise<void> {
    const { connection } = this.#link.nats;
    if (this.#signals === undefined || this.#signals.isClosed()) {
      this.#signals = connection.subscribe(`${this.#prefix}.signal`, {
        callback: (error, message) => {
          if (error === null) this.#signalled(message.string());
        },
      });
    }
    for (const [room, received] of this.#rooms) {
      if (received.subscription.isClosed()) received.subscription = this.#receive(room, received.feed);
    }
    await this.#link.settled().catch(() => undefined);
    await this.#catchUpSignals().catch(() => undefined);
    for (const { feed } of this.#rooms.values()) feed.catchUp();
    void this.#presence.restore();
  }

  #receive(room: string, feed: RoomFeed): Subscription {
    return this.#link.nats.connection.subscribe(this.#out(roomKey(room)), {
      callback: (error, message) => {
        if (error === null) this.#received(room, feed, message);
      },
    });
  }

  #signalled(payload: string): void {
    const text = this.#sent.read(payload);
    if (text !== undefined) this.#receiver?.signal(text);
  }

  /** Signals sent while this node was disconnected. */
  async #catchUpSignals(): Promise<void> {
    const log = new NatsLog(`${this.#prefix}_signals`, `${this.#prefix}.`, this.#timeoutMs);
    const kept = await this.#link.execute(nats => log.read(nats, "signal", "all", Number.POSITIVE_INFINITY));
    for (const text of this.#sent.missed(kept.map(entry => entry.text))) this.#receiver?.signal(text);
  }

  #received(room: string, feed: RoomFeed, message: Msg): void {
    const entry = ofRepublished(message);
    if (entry === undefined) {
      const change = changeOfMessage(message);
      if (change !== undefined) {
        this.#presence.changed(room, change);
        return;
      }
      const { headers: head } = message;
      if (head?.has(VACATED)) {
        this.#receiver?.vacated(room);
        return;
      }
      const except = head?.get(EXCEPT) || undefined;
      this.#receiver?.notice(room, { text: message.string(), except, at: Number(head?.get(AT)) });
      return;
    }
    this.#writer.saw(entry.key, entry);
    if (entry.kind === "message") for (const each of messagesOf(entry)) feed.message(each);
  }

  /** Rooms with members here keep their epoch, however long they have no messages. */
  async #keepPositions(): Promise<void> {
    if (!this.#link.ready) return;
    try {
      await this.#link.execute(nats => this.#lineage.readClock(nats));
      await this.#link.execute(nats => this.#lineage.renew(nats, this.#lineage.now() - this.#limits.ttl));
    } catch {
      return;
    }
    for (const [room, { feed }] of [...this.#rooms]) {
      const key = roomKey(room);
      const { position } = feed;
      if (!this.#link.ready || !feed.current || position === undefined) continue;
      try {
        const last = await this.#link.execute(nats => this.#log.last(nats, key));
        if (last === undefined || last.storedAt <= this.#lineage.now() - this.#limits.ttl)
          await this.#writer.keep(key, position);
      } catch {
        // The link has logged it; the next round tries again.
        return;
      }
    }
  }

  #out(key: string): string {
    return `${this.#prefix}.out.${key}`;
  }
}

/** Whether an entry has messages that are not too old, by the clock of the server. */
function isHeld({ kind, storedAt }: LogEntry, oldest: number): boolean {
  return kind === "message" && storedAt > oldest;
}
