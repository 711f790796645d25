import { type GatewayError, gatewayError } from "../../status/failure.js";
import type { Logger } from "../../telemetry/logger.js";

/**
 * Where room messages get their position and are kept. The memory broker serves one process and responds at once; the
 * others serve many nodes, of which each subscribes only to the rooms that have members there.
 */

/** A position in a room. Numbers of different epochs do not compare: an epoch ends where the history was lost. */
export interface RoomPosition {
  /** Random, 8 to 32 characters of `[A-Za-z0-9_-]`; see `startOf`. */
  readonly epoch: string;
  /** The first message of an epoch is `startOf` + 1. */
  readonly seq: number;
}

/** Something for the members of a room, before it has a position. */
export interface RoomDraft {
  /** JSON text of the frame that members get: an object that has at least one key, and neither `seq` nor `epoch`. */
  readonly frame: string;
  /** True for messages, which get a position and are kept; notices such as joins are delivered and forgotten. */
  readonly kept: boolean;
  /** Of two drafts with the same key in one room the second is not published while the first is remembered. */
  readonly key: string | undefined;
  /** Id of the session that does not get it: a member is not notified of its own joining. */
  readonly except: string | undefined;
  /** Milliseconds since 1970. */
  readonly at: number;
}

/** A message that has its position. */
export interface Message extends RoomPosition {
  /** The frame with `seq` and `epoch`, as `stamped` writes it. */
  readonly text: string;
  /** Milliseconds since 1970. */
  readonly at: number;
}

/** A notice, which has no position. */
export interface Notice {
  readonly text: string;
  readonly except: string | undefined;
  readonly at: number;
}

export interface Published extends RoomPosition {
  /** True where the key was known: nothing was published, and the position is that of the first. */
  readonly duplicate: boolean;
}

/** The messages after a position in a room. */
export interface Replay {
  /** Where the room is now; replayed messages reach up to it, unless there are more. */
  readonly position: RoomPosition;
  /** False where messages after the requested position are lost, or where it is of another epoch. */
  readonly recovered: boolean;
  /** In order, without a hole among them. */
  readonly messages: readonly Message[];
  /** True where more messages follow these up to where the room is. */
  readonly more?: boolean;
}

/** A person in a room, by one session of theirs. */
export interface Member {
  readonly session: string;
  readonly from: string;
}

/** A member, and the node that has the session. */
export interface RoomMember extends Member {
  readonly node: string;
}

/** A session has come into a room or left it. */
export interface MemberChange extends RoomMember {
  readonly entered: boolean;
  /** It was there already: its node announces its members again. */
  readonly again: boolean;
  /** Milliseconds since 1970. */
  readonly at: number;
  /** The dead node on whose behalf another one announces that the session has left. */
  readonly of: string | undefined;
}

/** The hub's side of a broker. All methods are called in the order of the room. */
export interface Receiver {
  message(room: string, message: Message): void;
  notice(room: string, notice: Notice): void;
  /**
   * A name has entered the room with its first session, or left it with the last, on any node; each
   * session where members of the room are notified of sockets.
   */
  member(room: string, change: MemberChange): void;
  /** Whether members of the room are notified of each session. */
  announcesSockets(room: string): boolean;
  /** Messages that this node should have got and cannot get any more: `from` to `to`, both lost. */
  gap(room: string, epoch: string, from: number, to: number): void;
  /** A text that another node has sent with `Broker.signal`. */
  signal(text: string): void;
  /** Another node is dead, and this one has to notify backends of its departed sessions: its rooms, by session. */
  lost(sessions: ReadonlyMap<string, LostSession>): void;
  /** Other nodes took this one for dead and have announced the end of its sessions. */
  evicted(): void;
  /** The lease of a room was released, on any node: it can be acquired. Where its holder died, nobody calls this. */
  vacated(room: string): void;
}

/** A session of a node that died. */
export interface LostSession {
  /** Its name in each of its rooms. */
  readonly rooms: ReadonlyMap<string, string>;
  readonly subject: string;
}

/**
 * The members of all rooms on any node. Each enter ends in one exit: another node announces those of a node that
 * has died. Changes are reported by `Receiver.member`.
 */
export interface BrokerPresence {
  enter(room: string, member: Member): void;
  exit(room: string, member: Member): void;
  /** A socket is open, in no room yet. */
  open(session: string, subject: string): void;
  close(session: string): void;
  members(room: string): Promise<readonly Member[]>;
  /** How many sessions are in a room that this node receives, by the changes received so far. */
  count(room: string): number;
}

/** A lease that was acquired, or how long another one lasts unless it is renewed, milliseconds. */
export type LeaseResult = { readonly token: string } | { readonly heldMs: number };

/**
 * Leases of rooms: at most one node holds that of a room, until it releases it or has not renewed it for `leaseMs` by the clock
 * of the store. A node that was suspended may still believe that it holds one; so the store itself compares the token
 * of each publication with that of the latest lease.
 */
export interface BrokerLeases {
  /** Milliseconds. */
  readonly leaseMs: number;
  /** Takes the lease, unless it is held. No two leases have the same token. */
  acquire(room: string): LeaseResult | Promise<LeaseResult>;
  /** @returns false where the lease is over, and another must be acquired */
  renew(room: string, token: string): boolean | Promise<boolean>;
  /** The token is not used any more. Does nothing where the lease is another one now. */
  release(room: string, token: string): void | Promise<void>;
  /**
   * Publishes messages in their order, all of them or none. Where the result of an attempt is not known, the same messages
   * are published again with the same number: the store counts those of the lease, and leaves out what it has.
   * @param drafts kept ones without keys, from 1 to `maxTogether`
   * @param published how many messages were published under the lease before these
   * @returns false where another lease of the room was acquired since, or the store has lost this one: nothing was
   * published then
   */
  publish(
    room: string,
    drafts: readonly RoomDraft[],
    token: string,
    published: number,
  ): boolean | Promise<boolean>;
}

/**
 * Results are promises only where another process or server is called.
 * Everything throws or rejects with GatewayError, BROKER_UNAVAILABLE where the server cannot be reached.
 */
export interface Broker {
  /** Undefined where this process is the only node: the hub knows its own members. */
  readonly presence: BrokerPresence | undefined;
  readonly leases: BrokerLeases;
  /** Called once, before anything else. */
  start(receiver: Receiver): void | Promise<void>;
  /**
   * Gives the draft its position, in the order of the calls, keeps it, and hands it to every subscribed node, to this one maybe within the call.
   * @returns undefined for notices
   */
  publish(room: string, draft: RoomDraft): Published | undefined | Promise<Published | undefined>;
  /** Begins to receive a room. @returns its position: messages behind it are received, none before it. */
  subscribe(room: string): RoomPosition | Promise<RoomPosition>;
  unsubscribe(room: string): void;
  /**
   * The messages after a position, the latest `limit` at most; where there were more, it is not recovered.
   * @param first how many of these are needed now: a broker that returns only these sets `more`
   */
  since(room: string, position: RoomPosition, limit: number, first?: number): Replay | Promise<Replay>;
  /**
   * The latest messages, at most `limit`, oldest first.
   * @param before only those with a lower number
   */
  history(room: string, limit: number, before?: number): readonly Message[] | Promise<readonly Message[]>;
  /** Names of the rooms that hold messages, at most `limit`. */
  rooms(limit: number): readonly string[] | Promise<readonly string[]>;
  /**
   * Sends a control message to all other nodes; there are none for the memory broker. Those that are cut off get it when
   * they are back. Rejects where it was not taken.
   */
  signal(text: string): void | Promise<void>;
  /** True while messages can be published; feeds readiness. */
  readonly ready: boolean;
  /** Memory that the messages kept by the broker itself take, about. */
  readonly bytes?: number;
  close(): Promise<void>;
}

/** Messages that are published together at most. */
export const maxTogether = 200;

/** How much history one room keeps. */
export interface HistoryBounds {
  /** Most messages; 0 keeps none. */
  readonly messages: number;
  /** Milliseconds. */
  readonly ttl: number;
}

/** The limits of all brokers. Messages and their time are the most that any room has. */
export interface HistoryLimits extends HistoryBounds {
  /** Bytes of all rooms together. */
  readonly maxBytes: number;
  /** Where rooms differ: those of one room. */
  readonly of?: ((room: string) => HistoryBounds) | undefined;
}

export function historyOf(limits: HistoryLimits, room: string): HistoryBounds {
  return limits.of === undefined ? limits : limits.of(room);
}

/**
 * The position before the first message of an epoch: 0, or 7 of `c44cdcb34fe1-7`, which continues the numbers of the
 * epoch before it.
 */
export function startOf(epoch: string): number {
  return Number(/-(\d{1,15})$/.exec(epoch)?.[1] ?? 0);
}

/** The frame with its position, as members get it. */
export function stamped(frame: string, epoch: string, seq: number): string {
  return `${frame.slice(0, -1)},"seq":${seq},"epoch":"${epoch}"}`;
}

export interface BrokerOptions {
  /** The prefix of keys or subjects. */
  readonly prefix: string;
  readonly history: HistoryLimits;
  readonly logger: Logger | undefined;
  /** Milliseconds until a silent server is given up; 5000 where left out. */
  readonly timeoutMs?: number | undefined;
  /** Milliseconds after which a silent node is taken for dead; 15000 where left out. */
  readonly leaseMs?: number | undefined;
}

export const defaultLeaseMs = 15_000;

/** The server of the broker has failed; whether the command took effect is not known. */
export function brokerUnavailable(): GatewayError {
  return gatewayError("BROKER_UNAVAILABLE", "the broker cannot be reached", [], { retryAfter: 1 });
}

/**
 * A room's name in letters that keys and subjects of any server take: base64url of its UTF-8. Different names give
 * different texts, without dots, spaces or wildcards.
 */
export function roomKey(room: string): string {
  return Buffer.from(room).toString("base64url");
}

export function roomOfKey(key: string): string {
  return Buffer.from(key, "base64url").toString();
}
