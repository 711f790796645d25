import type { RoomParts } from "../../auth/policy/rule.js";
import { gatewayError } from "../../status/failure.js";
import type { HistoryBounds, HistoryLimits } from "../brokers/broker.js";
import type { RealtimeConfig, RoomConfig } from "../config.js";
import { matchRoom, parseRoomPattern, type RoomPattern } from "./room-pattern.js";

/** The events of rooms that backends decide on, or are notified of. */
export type RoomEvent = "join" | "message" | "leave";

/** Common to rooms of one kind: the properties that frames need, looked up when a room is opened. */
export interface RoomKind {
  /** The properties of members shown to others: their names, each of their sockets, or nothing. */
  readonly presence: "users" | "sockets" | "off";
  /** How members are notified of joins and leaves: of each, in digests, or never. */
  readonly notices: "each" | "digest" | "off";
  readonly events: ReadonlySet<RoomEvent>;
  /** Who may publish. */
  readonly publish: "members" | "server";
  readonly maxMembers: number;
  /** The verification of tokens by which clients join; undefined: they need none. */
  readonly token?: RoomConfig["token"];
  /** Whether a new member is sent the last message. */
  readonly cache: boolean;
}

/** The rights of a verified token. */
export interface RoomToken {
  readonly subject: string;
  /** Milliseconds since 1970; undefined: it does not expire. */
  readonly expiresAt: number | undefined;
  /** Whether its client has been notified of its end. */
  notified: boolean;
}

const everything: ReadonlySet<RoomEvent> = new Set(["join", "message", "leave"]);

/** Every room, where the configuration has no kinds. */
export const plainRoom: RoomKind = {
  presence: "users",
  notices: "each",
  events: everything,
  publish: "members",
  maxMembers: Number.POSITIVE_INFINITY,
  cache: false,
};

interface Entry {
  readonly pattern: RoomPattern;
  readonly kind: RoomKind;
  readonly history: HistoryBounds;
}

/** The kinds of the configuration, by the names of rooms. */
export class RoomKinds implements RoomParts {
  readonly #entries: readonly Entry[];
  readonly names: ReadonlySet<string>;

  readonly #userRoom: RoomPattern | undefined;

  /**
   * @param entries none: all rooms are plain ones
   * @param userRoom of the rooms that are users' own, with the subject as its only part
   */
  constructor(entries: readonly Entry[], userRoom?: RoomPattern) {
    this.#entries = entries;
    this.#userRoom = userRoom;
    this.names = new Set(entries.flatMap(({ pattern }) => pattern.parts));
  }

  /** Undefined where there is no such room. */
  find(room: string): RoomKind | undefined {
    return this.#entries.length === 0 ? plainRoom : this.#find(room)?.kind;
  }

  /** @throws GatewayError NO_SUCH_ROOM */
  of(room: string): RoomKind {
    const kind = this.find(room);
    if (kind !== undefined) return kind;
    throw gatewayError("NO_SUCH_ROOM", `there is no room of the name ${JSON.stringify(room)}`);
  }

  /** The room that is a user's own; undefined where users have none. */
  roomOf(subject: string): string | undefined {
    return this.#userRoom?.text.replace("{subject}", () => subject);
  }

  /** False where the room is another user's. */
  isOwned(room: string, subject: string | undefined): boolean {
    const owner = this.#userRoom && matchRoom(this.#userRoom, room)?.[0];
    return owner === undefined || owner === subject;
  }

  /** Whether clients need tokens to join some of the rooms. */
  get takeTokens(): boolean {
    return this.#entries.some(({ kind }) => kind.token !== undefined);
  }

  /** Whether a request without a token of its own may use the room. */
  isOpen(room: string): boolean {
    return this.find(room)?.token === undefined;
  }

  /** @throws GatewayError NOT_ALLOWED_IN_ROOM where the room is for members with a token */
  requireOpen(room: string): void {
    if (this.isOpen(room)) return;
    throw gatewayError("NOT_ALLOWED_IN_ROOM", "only members that have joined with a token use this room");
  }

  /** @throws GatewayError NOT_ALLOWED_IN_ROOM where the room is another user's */
  requireOwner(room: string, subject: string | undefined): void {
    if (this.isOwned(room, subject)) return;
    throw gatewayError("NOT_ALLOWED_IN_ROOM", "the room is another user's own");
  }

  historyOf(room: string): HistoryBounds | undefined {
    return this.#find(room)?.history;
  }

  part(room: string, name: string): string | undefined {
    const entry = this.#find(room);
    const index = entry?.pattern.parts.indexOf(name) ?? -1;
    return entry === undefined || index < 0 ? undefined : matchRoom(entry.pattern, room)?.[index];
  }

  /** The index of the entry that a room's name fits; undefined where there is none. */
  entryOf(room: string): number | undefined {
    const index = this.#entries.findIndex(({ pattern }) => matchRoom(pattern, room) !== undefined);
    return index < 0 ? undefined : index;
  }

  #find(room: string): Entry | undefined {
    for (const entry of this.#entries) if (matchRoom(entry.pattern, room) !== undefined) return entry;
    return undefined;
  }
}

export const plainRooms = new RoomKinds([]);

/** `realtime.rooms`, which has been checked. */
export function roomKindsOf({ rooms, history, user_room: own }: RoomsSection): RoomKinds {
  if (typeof rooms === "boolean" && own === undefined) return plainRooms;
  const entries = typeof rooms === "boolean" ? [] : rooms.map(room => entryOf(room, history));
  return new RoomKinds(entries, own === undefined ? undefined : patternOf(own));
}

type RoomsSection = Pick<RealtimeConfig, "rooms" | "history"> & { readonly user_room?: string | undefined };

function patternOf(text: string): RoomPattern {
  const pattern = parseRoomPattern(text);
  if (typeof pattern === "string") throw new Error(pattern);
  return pattern;
}

function entryOf(room: RoomConfig, { messages, ttl }: HistoryBounds): Entry {
  const pattern = patternOf(room.match);
  const { presence, notices = presence === "off" ? "off" : "each", events, publish, cache } = room;
  return {
    pattern,
    history: { messages: room.history?.messages ?? messages, ttl: room.history?.ttl ?? ttl },
    kind: {
      presence,
      notices,
      events: events === undefined ? everything : new Set(events),
      publish,
      token: room.token,
      maxMembers: room.max_members ?? Number.POSITIVE_INFINITY,
      cache,
    },
  };
}

/** The limits of history at brokers. */
export function historyLimitsOf(section: RoomsSection): HistoryLimits {
  const { messages, ttl, max_bytes: maxBytes } = section.history;
  const { rooms } = section;
  if (typeof rooms === "boolean") return { messages, ttl, maxBytes };
  const kinds = roomKindsOf(section);
  const all = rooms.map(room => entryOf(room, section.history).history);
  const nothing = { messages: 0, ttl };
  return {
    messages: Math.max(...all.map(each => each.messages)),
    ttl: Math.max(...all.map(each => each.ttl)),
    maxBytes,
    of: room => kinds.historyOf(room) ?? nothing,
  };
}
