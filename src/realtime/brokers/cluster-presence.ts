import { randomHex } from "../../telemetry/ids.js";
import type { BrokerPresence, LostSession, Member, MemberChange, Receiver, RoomMember } from "./broker.js";
import { NodeMembers } from "./node-members.js";
import { RoomSessions } from "./room-sessions.js";

/** A change with its room. The room "" has the open sockets, each by the name of its subject. */
export interface RoomChange {
  readonly room: string;
  readonly change: MemberChange;
}

/** A member with its room, as `RoomChange`. */
export interface StoredMember {
  readonly room: string;
  readonly member: RoomMember;
}

/** The result of a node's heartbeat. */
export interface Beat {
  /** Whether the store has the entries of this node; "evicted" where another node has announced their end. */
  readonly state: "known" | "forgotten" | "evicted";
  /** Nodes without a heartbeat for the lease, and that this node alone has claimed for as long. */
  readonly dead: readonly string[];
}

/** The store of the members of each node. All methods reject where the server is away. */
export interface PresenceStore {
  /** Keeps the changes of a node, and publishes them to all nodes that receive their rooms, in order. */
  write(node: string, changes: readonly RoomChange[], local: NodeMembers): Promise<void>;
  read(room: string): Promise<readonly RoomMember[]>;
  /** By the clock of the server. @param claim whether to look for dead nodes */
  beat(node: string, isNew: boolean, claim: boolean): Promise<Beat>;
  /** The entries of a node. */
  left(node: string): Promise<readonly StoredMember[]>;
  /** Publishes changes of a dead node without keeping them. */
  publish(changes: readonly RoomChange[]): Promise<void>;
  /** Removes the entries of a node. @param evicted whether its next heartbeat reports that */
  forget(node: string, evicted: boolean): Promise<void>;
}

/** Changes written at once, and rooms read at once. */
const batch = 500;
const readers = 50;
/** Changes that may wait for the server; then everything is written anew instead. */
const maxPending = 50_000;
const renewMs = 6 * 3_600_000;

/**
 * The members of all rooms on all nodes. Each node writes its own members, and holds the members of the rooms that it
 * receives, so that it alone decides on the notices to them. After every failure it begins anew under another name: its
 * earlier entries are not relied on.
 */
export class ClusterPresence implements BrokerPresence {
  readonly #store: PresenceStore;
  readonly #lease: number;
  readonly #local = new NodeMembers();
  readonly #rooms = new Map<string, RoomSessions>();
  readonly #timer: NodeJS.Timeout;
  #receiver: Receiver | undefined;
  #node = randomHex(6);
  #isNew = true;
  #pending: RoomChange[] = [];
  #writing: Promise<void> | undefined;
  /** Start of the heartbeats of this node without a pause. */
  #aliveSince = Number.POSITIVE_INFINITY;
  /** A write may not have arrived: only entries under another name are relied on. */
  #broken = false;
  #written = 0;
  #settling: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(store: PresenceStore, leaseMs: number) {
    this.#store = store;
    this.#lease = leaseMs;
    this.#timer = setInterval(() => void this.#beat(), leaseMs / 3);
    this.#timer.unref();
  }

  start(receiver: Receiver): void {
    this.#receiver = receiver;
  }

  enter(room: string, member: Member): void {
    this.#local.add(room, member);
    this.#change(room, member, true);
  }

  exit(room: string, member: Member): void {
    this.#local.delete(room, member);
    this.#change(room, member, false);
  }

  open(session: string, subject: string): void {
    this.enter("", { session, from: subject });
  }

  close(session: string): void {
    this.exit("", { session, from: "" });
  }

  async members(room: string): Promise<readonly Member[]> {
    await this.#flushed();
    const members = await this.#store.read(room);
    return members.map(({ session, from }) => ({ session, from }));
  }

  count(room: string): number {
    return this.#rooms.get(room)?.size ?? 0;
  }

  /** This node receives a room from now on. */
  opened(room: string): void {
    const each = this.#receiver?.announcesSockets(room);
    this.#rooms.set(room, new RoomSessions(change => this.#receiver?.member(room, change), each));
    void this.#compare(room, true);
  }

  closed(room: string): void {
    this.#rooms.delete(room);
  }

  /** A change of a room that this node receives, from any node. */
  changed(room: string, change: MemberChange): void {
    this.#rooms.get(room)?.change(change);
  }

  /** The server is there, for the first time or again: it may have lost everything, or missed changes of this node. */
  async restore(): Promise<void> {
    try {
      const { state } = this.#isNew ? { state: "known" } : await this.#store.beat(this.#node, false, false);
      if (state === "evicted") this.#receiver?.evicted();
    } catch {
      // The connection is lost again.
      return;
    }
    this.#renew();
    await this.#beat();
    await this.#compareAll(false);
    // Other nodes have reconnected as well, and need time to announce their members.
    clearTimeout(this.#settling);
    this.#settling = setTimeout(() => void this.#compareAll(true), this.#lease);
    this.#settling.unref();
  }

  /** This node has no members any more. */
  async end(): Promise<void> {
    this.#closed = true;
    clearInterval(this.#timer);
    clearTimeout(this.#settling);
    await this.#flushed();
    const changes = this.#local.rooms.flatMap(room =>
      Array.from(this.#local.of(room), ([session, from]) => this.#changeOf(room, { session, from }, false)),
    );
    try {
      await this.#store.publish(changes.filter(({ room }) => room !== ""));
      await this.#store.forget(this.#node, false);
    } catch {
      // Another node finds the rest.
    }
  }

  #change(room: string, member: Member, entered: boolean): void {
    if (this.#pending.length >= maxPending) {
      this.#renew();
      return;
    }
    this.#pending.push(this.#changeOf(room, member, entered));
    this.#write();
  }

  #changeOf(room: string, { session, from }: Member, entered: boolean, again = false): RoomChange {
    const at = Date.now();
    return { room, change: { session, from, node: this.#node, entered, again, at, of: undefined } };
  }

  /** The changes of this turn of the event loop are written at once. */
  #write(): void {
    if (this.#writing !== undefined || this.#broken || this.#closed) return;
    this.#writing = new Promise<void>(resolve => setImmediate(resolve)).then(() => this.#writeAll());
  }

  async #writeAll(): Promise<void> {
    while (this.#pending.length > 0) {
      const changes = this.#pending.splice(0, batch);
      try {
        await this.#store.write(this.#node, changes, this.#local);
      } catch {
        // Exits must be announced; current members are announced anew.
        this.#pending.unshift(...changes.filter(({ change }) => !change.entered));
        this.#broken = true;
        break;
      }
    }
    // No await since the last check for pending changes: a later change begins to write anew.
    this.#writing = undefined;
  }

  async #flushed(): Promise<void> {
    while (this.#writing !== undefined) await this.#writing;
  }

  /** All members here are written under another name; the earlier entries are removed. */
  #renew(): void {
    const before = this.#node;
    const wasNew = this.#isNew;
    this.#node = randomHex(6);
    this.#isNew = true;
    this.#broken = false;
    this.#written = performance.now();
    const left = this.#pending.filter(({ change }) => !change.entered).slice(-maxPending);
    this.#pending = left;
    for (const room of this.#local.rooms) {
      for (const [session, from] of this.#local.of(room)) {
        this.#pending.push(this.#changeOf(room, { session, from }, true, true));
      }
    }
    if (this.#pending.length > 0) this.#write();
    if (wasNew) return;
    void this.#flushed()
      .then(() => this.#store.forget(before, false))
      .catch(() => undefined);
  }

  async #beat(): Promise<void> {
    const now = performance.now();
    if (this.#broken || now - this.#written > renewMs) this.#renew();
    const node = this.#node;
    try {
      const wasNew = this.#isNew;
      const claim = now - this.#aliveSince >= this.#lease;
      const { state, dead } = await this.#store.beat(node, wasNew, claim);
      if (node !== this.#node) return;
      this.#isNew = false;
      if (this.#aliveSince > now) this.#aliveSince = now;
      if (state !== "known" && !wasNew) await this.restore();
      for (const each of dead) await this.#announceEnd(each);
    } catch {
      // The link has logged it; the next beat tries again.
      this.#aliveSince = Number.POSITIVE_INFINITY;
    }
  }

  /** Announces the exits of a dead node's members. */
  async #announceEnd(node: string): Promise<void> {
    const { sessions, changes } = departuresOf(await this.#store.left(node));
    for (let start = 0; start < changes.length; start += batch) {
      await this.#store.publish(changes.slice(start, start + batch));
    }
    await this.#store.forget(node, true);
    if (sessions.size > 0) this.#receiver?.lost(sessions);
  }

  async #compareAll(complete: boolean): Promise<void> {
    const rooms = [...this.#rooms.keys()];
    for (let start = 0; start < rooms.length && !this.#closed; start += readers) {
      await Promise.all(rooms.slice(start, start + readers).map(room => this.#compare(room, complete)));
    }
  }

  async #compare(room: string, complete: boolean): Promise<void> {
    const sessions = this.#rooms.get(room);
    sessions?.beginReading();
    let members: readonly RoomMember[];
    try {
      members = await this.#store.read(room);
    } catch {
      // The connection is lost: when it is back everything is compared.
      return;
    }
    if (this.#rooms.get(room) !== sessions) return;
    const local = this.#local.of(room);
    sessions?.compare(members, session => local.has(session), complete);
  }
}

/** The consequences of the end of nodes with those members: lost sessions, and changes for their rooms. */
export function departuresOf(left: readonly StoredMember[]): {
  readonly sessions: ReadonlyMap<string, LostSession>;
  readonly changes: readonly RoomChange[];
} {
  const at = Date.now();
  const sessions = new Map<string, { rooms: Map<string, string>; subject: string }>();
  const changes: RoomChange[] = [];
  for (const { room, member } of left) {
    const { session, from, node } = member;
    const lost = sessions.get(session) ?? { rooms: new Map<string, string>(), subject: from };
    sessions.set(session, lost);
    if (room === "") lost.subject = from;
    else {
      lost.rooms.set(room, from);
      changes.push({ room, change: { ...member, entered: false, again: false, at, of: node } });
    }
  }
  return { sessions, changes };
}

/** A change without its name, in words for the channel of its room. */
export function changeWords({ at, entered, again, node, session, of }: MemberChange): string {
  return `${at} ${entered ? (again ? "*" : "+") : "-"} ${node} ${session} ${of ?? ""}`;
}

export function changeOf(words: readonly string[], from: string): MemberChange {
  const [at, sign, node = "", session = "", of] = words;
  const entered = sign !== "-";
  return { at: Number(at), entered, again: sign === "*", node, session, of: of || undefined, from };
}
