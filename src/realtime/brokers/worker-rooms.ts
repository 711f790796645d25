import type { WorkerPool, WorkerProcess } from "../../workers/pool.js";
import { encoded, type Topic } from "../../workers/topic.js";
import type { HistoryLimits, Message, Notice, Receiver, RoomMember } from "./broker.js";
import { departuresOf, type RoomChange, type StoredMember } from "./cluster-presence.js";
import { MemoryBroker } from "./memory-broker.js";
import { NodeMembers } from "./node-members.js";
import { isRetained, keptSignals, signalLifeMs } from "./signals.js";
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

/** The part of the worker pool that the primary's rooms use. */
export type RoomWorkers = Pick<WorkerPool, "serving" | "onForked" | "onLeft">;

/**
 * The rooms of a gateway of several workers, in the primary: it gives messages their positions, keeps them, and sends
 * them to the workers that have members of the room. It knows the members at each worker, and announces the exits of
 * those at a worker that ended.
 */
export class WorkerRooms {
  readonly #workers: RoomWorkers;
  readonly #log: MemoryBroker;
  readonly #subscribers = new Map<string, Set<WorkerProcess>>();
  /** Signals for workers that start later, the oldest first. */
  #retained: readonly { readonly text: string; readonly at: number }[] = [];
  /** By worker and, there, by the name that it goes by. */
  readonly #members = new Map<WorkerProcess, Map<string, NodeMembers>>();
  /** The tokens of the leases that each worker has acquired, by room. */
  readonly #leases = new Map<WorkerProcess, Map<string, string>>();

  /** @param leaseMs how long a lease lasts that its worker does not renew; one of a worker that ended is over */
  constructor(workers: RoomWorkers, limits: HistoryLimits, leaseMs?: number) {
    this.#workers = workers;
    this.#log = new MemoryBroker(limits, leaseMs);
    this.#log.start(this.#receiver());
    workers.onForked(worker => this.#attach(worker));
    workers.onLeft(worker => this.#left(worker));
  }

  /** How many workers have members of a room. */
  receivers(room: string): number {
    return this.#subscribers.get(room)?.size ?? 0;
  }

  close(): Promise<void> {
    return this.#log.close();
  }

  #receiver(): Receiver {
    const nothing = (): void => undefined;
    return {
      message: (room, message: Message) => this.#send(room, roomMessage, { room, ...message }),
      notice: (room, notice: Notice) => this.#send(room, roomNotice, { room, ...notice }),
      member: nothing,
      announcesSockets: () => false,
      gap: nothing,
      signal: nothing,
      lost: nothing,
      evicted: nothing,
      vacated: room => this.#send(room, leaseVacated, { room }),
    };
  }

  #attach(worker: WorkerProcess): void {
    const { channel } = worker;
    channel.onRequest(publishToRoom, ({ room, ...draft }) => this.#log.publish(room, draft) ?? null);
    const { leases } = this.#log;
    const held = new Map<string, string>();
    this.#leases.set(worker, held);
    channel.onRequest(publishUnderLease, ({ room, drafts, token, published }) =>
      leases.publish(room, drafts, token, published),
    );
    channel.onRequest(acquireLease, ({ room }) => {
      const result = leases.acquire(room);
      if ("token" in result) held.set(room, result.token);
      return result;
    });
    channel.onRequest(renewLease, ({ room, token }) => leases.renew(room, token));
    channel.onRequest(releaseLease, ({ room, token }) => {
      if (held.get(room) === token) held.delete(room);
      leases.release(room, token);
      return null;
    });
    channel.onRequest(subscribeToRoom, ({ room }) => {
      const subscribers = this.#subscribers.get(room) ?? new Set();
      this.#subscribers.set(room, subscribers.add(worker));
      return this.#log.subscribe(room);
    });
    channel.onMessage(unsubscribeFromRoom, ({ room }) => this.#unsubscribe(room, worker));
    channel.onRequest(readRoomSince, ({ room, position, limit, first }) => {
      const replay = this.#log.since(room, position, limit, first);
      return { ...replay, messages: replay.messages.map(plain) };
    });
    channel.onRequest(readRoomHistory, ({ room, limit, before }) =>
      this.#log.history(room, limit, before).map(plain),
    );
    channel.onRequest(listRooms, ({ limit }) => this.#log.rooms(limit));
    channel.onRequest(retainedSignals, () => {
      this.#retained = this.#retained.filter(({ at }) => at > performance.now() - signalLifeMs);
      return this.#retained.map(({ text }) => text);
    });
    channel.onMessage(signalOthers, ({ text }) => {
      if (isRetained(text))
        this.#retained = [...this.#retained.slice(1 - keptSignals), { text, at: performance.now() }];
      for (const other of this.#workers.serving) {
        if (other !== worker) other.channel.send(signalFromOther, { text });
      }
    });
    channel.onRequest(writeMembers, ({ node, changes }) => this.#write(worker, node, changes));
    channel.onRequest(readMembers, ({ room }) => this.#read(room));
    channel.onRequest(forgetMembers, ({ node }) => {
      this.#members.get(worker)?.delete(node);
      return null;
    });
  }

  #write(worker: WorkerProcess, node: string, changes: readonly RoomChange[]): null {
    const nodes = this.#members.get(worker) ?? new Map<string, NodeMembers>();
    this.#members.set(worker, nodes);
    const members = nodes.get(node) ?? new NodeMembers();
    nodes.set(node, members);
    for (const { room, change } of changes) {
      if (change.entered) members.add(room, change);
      else for (const each of nodes.values()) each.delete(room, change);
      if (room !== "") this.#send(room, memberChange, { room, change });
    }
    return null;
  }

  #read(room: string): RoomMember[] {
    const found = new Map<string, RoomMember>();
    for (const nodes of this.#members.values()) {
      for (const [node, members] of nodes) {
        for (const [session, from] of members.of(room)) found.set(session, { session, from, node });
      }
    }
    return [...found.values()];
  }

  #unsubscribe(room: string, worker: WorkerProcess): void {
    const subscribers = this.#subscribers.get(room);
    if (subscribers?.delete(worker) !== true || subscribers.size > 0) return;
    this.#subscribers.delete(room);
    this.#log.unsubscribe(room);
  }

  #send<T>(room: string, topic: Topic<T>, message: T): void {
    const subscribers = this.#subscribers.get(room);
    if (subscribers === undefined) return;
    const payload = topic.codec.encode(message);
    const ready = encoded(topic);
    for (const { channel } of subscribers) channel.send(ready, payload);
  }

  /** Its members have left; a worker that still serves notifies backends. */
  #left(worker: WorkerProcess): void {
    const leases = this.#leases.get(worker) ?? [];
    this.#leases.delete(worker);
    for (const [room, token] of leases) this.#log.leases.release(room, token);
    for (const room of [...this.#subscribers.keys()]) this.#unsubscribe(room, worker);
    const { sessions, changes } = departuresOf(membersOf(this.#members.get(worker)));
    this.#members.delete(worker);
    for (const { room, change } of changes) this.#send(room, memberChange, { room, change });
    const lost = Array.from(
      sessions,
      ([session, { subject, rooms }]) => [session, { subject, rooms: [...rooms] }] as const,
    );
    if (lost.length > 0) this.#workers.serving[0]?.channel.send(lostSessions, lost);
  }
}

/** The members at a worker, under all of its node names. */
function membersOf(nodes: ReadonlyMap<string, NodeMembers> = new Map()): StoredMember[] {
  return [...nodes].flatMap(([node, members]) =>
    members.rooms.flatMap(room =>
      Array.from(members.of(room), ([session, from]) => ({ room, member: { session, from, node } })),
    ),
  );
}

/** Without the fields that only the log needs. */
function plain({ epoch, seq, text, at }: Message): Message {
  return { epoch, seq, text, at };
}
