import { headers, type Msg } from "@nats-io/transport-node";
import { type MemberChange, type RoomMember, roomKey, roomOfKey } from "./broker.js";
import {
  type Beat,
  changeOf,
  changeWords,
  type PresenceStore,
  type RoomChange,
  type StoredMember,
} from "./cluster-presence.js";
import type { NatsLink, StreamNeeds } from "./nats-link.js";
import { type LogEntry, NatsLog } from "./nats-log.js";
import type { NodeMembers } from "./node-members.js";

/** Milliseconds for which the burial of a node is kept, so that it can learn of it. */
const graveMs = 3_600_000;
/** Parts of the members that a node has in a room: a change writes one of them. */
const parts = 64;
const CHANGE = "Protogate-Change";

export function membersStream(prefix: string): StreamNeeds {
  return {
    name: `${prefix}_members`,
    subjects: [`${prefix}.members.>`, `${prefix}.nodes.>`],
    storage: "memory",
    messagesOfSubject: 1,
    maxAge: 0,
    maxBytes: -1,
    duplicates: 1000,
    republish: undefined,
  };
}

/**
 * The members of all rooms, under a subject for the room, the node and a part of its members there. A node sends its
 * heartbeat under another subject, with the time of the server; a node that finds no heartbeat for the lease writes
 * there that it buries the node, which only one node can do.
 */
export class NatsPresence implements PresenceStore {
  readonly #link: NatsLink;
  readonly #members: NatsLog;
  readonly #nodes: NatsLog;
  readonly #prefix: string;
  readonly #leaseMs: number;
  /** The number in the stream of the last beat, and whose it was. */
  #last = { node: "", stored: 0 };

  constructor(link: NatsLink, prefix: string, timeoutMs: number, leaseMs: number) {
    this.#link = link;
    this.#members = new NatsLog(`${prefix}_members`, `${prefix}.members.`, timeoutMs);
    this.#nodes = new NatsLog(`${prefix}_members`, `${prefix}.nodes.`, timeoutMs);
    this.#prefix = prefix;
    this.#leaseMs = leaseMs;
  }

  async write(node: string, changes: readonly RoomChange[], here: NodeMembers): Promise<void> {
    const changed = new Map<string, Set<number>>();
    for (const { room, change } of changes) {
      const changedParts = changed.get(room) ?? new Set();
      changed.set(room, changedParts.add(partOf(change.session)));
    }
    const emptied = [...changed.keys()].filter(room => here.of(room).size === 0);
    await this.#link.execute(async ({ messages, streams }) => {
      const written = Array.from(changed, ([room, changedParts]) =>
        Array.from(membersByPart(here.of(room), changedParts), ([part, members]) =>
          messages.publish(`${this.#subject(room, node)}.${part}`, JSON.stringify(members)),
        ),
      );
      await Promise.all(written.flat());
      await Promise.all(emptied.map(room => this.#purge(streams, `${this.#subject(room, node)}.*`)));
    });
    await this.publish(changes);
  }

  async read(room: string): Promise<readonly RoomMember[]> {
    const members = new Map<string, RoomMember>();
    for (const { member } of await this.#read(`${keyOf(room)}.*.*`)) members.set(member.session, member);
    return [...members.values()];
  }

  async beat(node: string, isNew: boolean, claim: boolean): Promise<Beat> {
    const after = this.#last.node === node ? this.#last.stored : 0;
    const stored = await this.#append(node, "alive", after);
    if (stored === undefined) {
      const last = await this.#link.execute(nats => this.#nodes.last(nats, node));
      // The one before this may have arrived although it failed.
      if (last?.text === "alive") {
        this.#last = { node, stored: last.stored };
        return { state: "known", dead: [] };
      }
      return { state: isNew || last === undefined ? "forgotten" : "evicted", dead: [] };
    }
    this.#last = { node, stored };
    return { state: "known", dead: claim ? await this.#claim(node) : [] };
  }

  async left(node: string): Promise<StoredMember[]> {
    return this.#read(`*.${node}.*`);
  }

  async publish(changes: readonly RoomChange[]): Promise<void> {
    const { connection } = this.#link.nats;
    for (const { room, change } of changes) {
      if (room === "") continue;
      const head = headers();
      head.set(CHANGE, changeWords(change));
      connection.publish(`${this.#prefix}.out.${roomKey(room)}`, change.from, { headers: head });
    }
    await connection.flush();
  }

  async forget(node: string, evicted: boolean): Promise<void> {
    await this.#link.execute(async ({ messages, streams }) => {
      await this.#purge(streams, `${this.#prefix}.members.*.${node}.*`);
      if (evicted) await messages.publish(`${this.#prefix}.nodes.${node}`, "evicted");
      else await this.#purge(streams, `${this.#prefix}.nodes.${node}`);
    });
  }

  /** The nodes without a heartbeat for the lease, before the last beat of this one. */
  async #claim(node: string): Promise<string[]> {
    const entries = await this.#link.execute(nats =>
      this.#nodes.read(nats, "*", "all", Number.POSITIVE_INFINITY),
    );
    const last = lastOfEach(entries);
    const now = entries.find(entry => entry.key === node)?.storedAt ?? 0;
    const dead: string[] = [];
    for (const { key, storedAt, stored, text } of last) {
      if (text === "evicted") {
        if (storedAt < now - graveMs) await this.forget(key, false);
      } else if (key !== node && storedAt < now - this.#leaseMs) {
        if ((await this.#append(key, "claimed", stored)) !== undefined) dead.push(key);
      }
    }
    return dead;
  }

  /** @returns undefined where another entry than `after` was the last */
  async #append(node: string, text: string, after: number): Promise<number | undefined> {
    const entry = { epoch: "", seq: 0, at: 0, text, lineage: 0 };
    const appended = await this.#link.execute(nats =>
      this.#nodes.append(nats, node, entry, after, undefined),
    );
    return appended?.stored;
  }

  /** The last entry of each node for each part. */
  async #read(filter: string): Promise<StoredMember[]> {
    const entries = await this.#link.execute(nats =>
      this.#members.read(nats, filter, "all", Number.POSITIVE_INFINITY),
    );
    return lastOfEach(entries).flatMap(({ subject, text }) => {
      const [key = "", node = ""] = subject.split(".").slice(-3);
      const room = key === noRoom ? "" : roomOfKey(key);
      const members = JSON.parse(text) as [session: string, from: string][];
      return members.map(([session, from]) => ({ room, member: { session, from, node } }));
    });
  }

  async #purge(
    streams: { streams: { purge(name: string, how: { filter: string }): Promise<unknown> } },
    filter: string,
  ) {
    await streams.streams.purge(`${this.#prefix}_members`, { filter });
  }

  #subject(room: string, node: string): string {
    return `${this.#prefix}.members.${keyOf(room)}.${node}`;
  }
}

/** The key of open sockets, which are in no room: no key of a room has one letter. */
const noRoom = "_";

function keyOf(room: string): string {
  return room === "" ? noRoom : roomKey(room);
}

/** Looks at each member once, as a node may have thousands in a room, and all its sockets in the room "". */
function membersByPart(
  members: ReadonlyMap<string, string>,
  requested: ReadonlySet<number>,
): ReadonlyMap<number, (readonly [session: string, from: string])[]> {
  const found = new Map(Array.from(requested, part => [part, [] as [string, string][]]));
  for (const member of members) found.get(partOf(member[0]))?.push(member);
  return found;
}

/** Called for every member of a room with each change: a cryptographic hash would take most of the time. */
function partOf(session: string): number {
  let hash = 0;
  for (let index = 0; index < session.length; index++) hash = (hash * 31 + session.charCodeAt(index)) | 0;
  return (hash >>> 0) % parts;
}

function lastOfEach(entries: readonly LogEntry[]): LogEntry[] {
  return [...new Map(entries.map(entry => [entry.subject, entry])).values()];
}

/** A change as it is published to the receivers of the room; undefined for any other message. */
export function changeOfMessage(message: Msg): MemberChange | undefined {
  const words = message.headers?.get(CHANGE);
  return words ? changeOf(words.split(" "), message.string()) : undefined;
}
