import { stateChanged } from "../../net/state-changes.js";
import { GatewayError } from "../../status/failure.js";
import type { ProcessChannel } from "../../workers/channel.js";
import type { RequestTopic } from "../../workers/topic.js";
import {
  type Broker,
  type BrokerLeases,
  type BrokerPresence,
  brokerUnavailable,
  defaultLeaseMs,
  type HistoryLimits,
  type Message,
  type Published,
  type Receiver,
  type Replay,
  type RoomDraft,
  type RoomMember,
  type RoomPosition,
} from "./broker.js";
import { type Beat, ClusterPresence, type PresenceStore, type RoomChange } from "./cluster-presence.js";
import { HoldingSpace, RoomFeed } from "./room-feed.js";
import {
  acquireLease,
  forgetMembers,
  leaseVacated,
  listRooms,
  lostSessions,
  memberChange,
  publishToRoom,
  publishUnderLease,
  readMembers,
  readRoomHistory,
  readRoomSince,
  releaseLease,
  renewLease,
  retainedSignals,
  roomMessage,
  roomNotice,
  signalFromOther,
  signalOthers,
  subscribeToRoom,
  unsubscribeFromRoom,
  writeMembers,
} from "./worker-messages.js";

/** Most messages read at once to fill a hole. */
const maxReplayed = 10_000;

/** The rooms of a gateway of several workers, in one of them: the primary has the log, see `WorkerRooms`. */
export class WorkerBroker implements Broker {
  readonly presence: BrokerPresence;
  readonly leases: BrokerLeases;
  readonly #presence: ClusterPresence;
  readonly #channel: ProcessChannel;
  readonly #feeds = new Map<string, RoomFeed>();
  readonly #space: HoldingSpace;
  #receiver: Receiver | undefined;
  #ready = true;

  constructor(channel: ProcessChannel, history: HistoryLimits, leaseMs = defaultLeaseMs) {
    this.#channel = channel;
    this.#space = new HoldingSpace(history.maxBytes);
    this.#presence = new ClusterPresence(new PrimaryPresence(this), leaseMs);
    this.presence = this.#presence;
    this.leases = {
      leaseMs,
      acquire: room => this.request(acquireLease, { room }),
      renew: (room, token) => this.request(renewLease, { room, token }),
      release: async (room, token) => {
        await this.request(releaseLease, { room, token });
      },
      publish: (room, drafts, token, published) =>
        this.request(publishUnderLease, { room, token, drafts, published }),
    };
    void channel.closed.then(() => {
      this.#setReady(false);
    });
  }

  get ready(): boolean {
    return this.#ready;
  }

  #setReady(ready: boolean): void {
    this.#ready = ready;
    stateChanged();
  }

  async start(receiver: Receiver): Promise<void> {
    this.#receiver = receiver;
    this.#presence.start(receiver);
    const channel = this.#channel;
    // Where a message was not sent, since this process read too slowly, the feed finds the hole.
    channel.onMessage(roomMessage, ({ room, ...message }) => this.#feeds.get(room)?.message(message));
    channel.onMessage(roomNotice, ({ room, ...notice }) => receiver.notice(room, notice));
    channel.onMessage(memberChange, ({ room, change }) => this.#presence.changed(room, change));
    channel.onMessage(leaseVacated, ({ room }) => receiver.vacated(room));
    channel.onMessage(signalFromOther, ({ text }) => receiver.signal(text));
    channel.onMessage(lostSessions, sessions => {
      const lost = sessions.map(
        ([session, { subject, rooms }]) => [session, { subject, rooms: new Map(rooms) }] as const,
      );
      receiver.lost(new Map(lost));
    });
    for (const text of await this.request(retainedSignals, null)) receiver.signal(text);
  }

  async publish(room: string, draft: RoomDraft): Promise<Published | undefined> {
    return (await this.request(publishToRoom, { ...draft, room })) ?? undefined;
  }

  async subscribe(room: string): Promise<RoomPosition> {
    const receiver = this.#receiver as Receiver;
    const read = (after: RoomPosition): Promise<Replay> => this.since(room, after, maxReplayed);
    const feed = new RoomFeed(room, receiver, read, this.#space);
    this.#feeds.get(room)?.close();
    this.#feeds.set(room, feed);
    try {
      const position = await this.request(subscribeToRoom, { room });
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
    this.#channel.send(unsubscribeFromRoom, { room });
  }

  since(room: string, position: RoomPosition, limit: number, first?: number): Promise<Replay> {
    return this.request(readRoomSince, { room, position, limit, ...(first === undefined ? {} : { first }) });
  }

  history(room: string, limit: number, before?: number): Promise<readonly Message[]> {
    return this.request(readRoomHistory, { room, limit, ...(before === undefined ? {} : { before }) });
  }

  rooms(limit: number): Promise<readonly string[]> {
    return this.request(listRooms, { limit });
  }

  signal(text: string): void {
    if (!this.#channel.send(signalOthers, { text })) throw brokerUnavailable();
  }

  async close(): Promise<void> {
    for (const feed of this.#feeds.values()) feed.close();
    await this.#presence.end();
    this.#setReady(false);
  }

  /** @throws GatewayError BROKER_UNAVAILABLE (rejects) */
  async request<Q, R>(topic: RequestTopic<Q, R>, message: Q): Promise<R> {
    try {
      return await this.#channel.request(topic, message);
    } catch (error) {
      throw error instanceof GatewayError ? error : brokerUnavailable();
    }
  }
}

/** The primary knows at once when a worker has ended, and announces the consequences: no heartbeats are needed. */
class PrimaryPresence implements PresenceStore {
  readonly #broker: WorkerBroker;

  constructor(broker: WorkerBroker) {
    this.#broker = broker;
  }

  async write(node: string, changes: readonly RoomChange[]): Promise<void> {
    await this.#broker.request(writeMembers, { node, changes });
  }

  read(room: string): Promise<readonly RoomMember[]> {
    return this.#broker.request(readMembers, { room });
  }

  async beat(): Promise<Beat> {
    return { state: "known", dead: [] };
  }

  async left(): Promise<[]> {
    return [];
  }

  async publish(changes: readonly RoomChange[]): Promise<void> {
    const [first] = changes;
    if (first !== undefined) await this.#broker.request(writeMembers, { node: first.change.node, changes });
  }

  async forget(node: string): Promise<void> {
    await this.#broker.request(forgetMembers, { node });
  }
}
