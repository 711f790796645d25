import { invalidField } from "../../bindings/json-fields.js";
import { gatewayError } from "../../status/failure.js";
import type { Member, Message, Published, RoomPosition } from "../brokers/broker.js";
import { maxBanSeconds } from "../rooms/bans.js";
import type { Content } from "../rooms/content.js";
import type { Hub, Post, RoomSummary } from "../rooms/hub.js";

/** The operations of servers on rooms, by any protocol: bounds and defaults are here, the rest is the hub's. */
export interface RoomsApi {
  /** Undefined for an ephemeral message. */
  publish(post: Post): Promise<Published | undefined>;
  broadcast(rooms: readonly string[], post: Omit<Post, "room">): Promise<readonly (Published | undefined)[]>;
  rooms(): Promise<readonly RoomSummary[]>;
  members(room: string): Promise<readonly Member[]>;
  /** @param range the messages after `since`, or the latest, those below `before` */
  history(room: string, range: HistoryRange): Promise<HistoryPage>;
  disconnect(who: DisconnectTarget, reason: string | undefined): Promise<number>;
  /** Makes sockets members of a room. */
  subscribe(who: DisconnectTarget, room: string): Promise<number>;
  /** Takes sockets out of a room. @param banSeconds for which the subject cannot come back */
  unsubscribe(
    who: DisconnectTarget,
    room: string,
    reason: string | undefined,
    banSeconds: number | undefined,
  ): Promise<number>;
  /** Sends a message to sockets, in no room. */
  send(who: DisconnectTarget, from: string, content: Content): Promise<number>;
}

/** Exactly one of the two is given, and not empty. */
export interface DisconnectTarget {
  readonly subject?: string | undefined;
  readonly session?: string | undefined;
}

export interface HistoryRange {
  readonly since: RoomPosition | undefined;
  readonly before: number | undefined;
  readonly limit: number | undefined;
}

export interface HistoryPage {
  /** Oldest first. */
  readonly messages: readonly Message[];
  /** The result of `since`; undefined where it was left out. */
  readonly replay: { readonly position: RoomPosition; readonly recovered: boolean } | undefined;
}

const maxRooms = 1000;
/** A close frame has 125 bytes, of which the code takes two (RFC 6455 section 5.5). */
const maxReasonBytes = 123;

/** All methods reject with GatewayError. */
export function createRoomsApi(hub: () => Hub): RoomsApi {
  return {
    publish: async post => hub().publish(post),
    broadcast: async (rooms, post) => {
      if (rooms.length === 0 || rooms.length > maxRooms)
        throw invalidField("rooms", `expected 1 to ${maxRooms} names`);
      if (new Set(rooms).size < rooms.length) throw invalidField("rooms", "expected each room once");
      return hub().broadcast(rooms, post);
    },
    rooms: async () => hub().rooms(),
    members: async room => hub().members(room),
    history: async (room, { since, before, limit }) => {
      if (since === undefined)
        return { messages: await hub().history(room, limit, before), replay: undefined };
      if (before !== undefined)
        throw invalidField("before", "expected either before, or the position to read from");
      const { messages, position, recovered } = await hub().since(room, since, limit);
      return { messages, replay: { position, recovered } };
    },
    disconnect: async (who, reason = "disconnected") => {
      if (Buffer.byteLength(reason) > maxReasonBytes) {
        throw invalidField("reason", `expected at most ${maxReasonBytes} bytes`);
      }
      return hub().disconnect({ ...whoOf(who), reason });
    },
    subscribe: async (who, room) => hub().command({ do: "subscribe", who: whoOf(who), room }),
    unsubscribe: async (who, room, reason, banSeconds) => {
      if (reason !== undefined && Buffer.byteLength(reason) > maxReasonBytes)
        throw invalidField("reason", `expected at most ${maxReasonBytes} bytes`);
      const banned = bannedOf(who, banSeconds);
      return hub().command({ do: "unsubscribe", who: whoOf(who), room, reason, banned });
    },
    send: async (who, from, content) =>
      hub().command({ do: "send", who: whoOf(who), frame: hub().directFrame(from, content) }),
  };
}

function bannedOf({ subject }: DisconnectTarget, seconds: number | undefined) {
  if (seconds === undefined) return undefined;
  if (subject === undefined || subject === "")
    throw invalidField(
      "ban_seconds",
      "a session does not come back as the same; expected subject, or no ban_seconds",
    );
  if (!Number.isSafeInteger(seconds) || seconds < 1 || seconds > maxBanSeconds)
    throw invalidField("ban_seconds", `expected an integer from 1 to ${maxBanSeconds}`);
  return { subject, until: Date.now() + seconds * 1000 };
}

function whoOf({
  subject,
  session,
}: DisconnectTarget): { readonly subject: string } | { readonly session: string } {
  if (subject !== undefined && subject !== "" && session === undefined) return { subject };
  if (session !== undefined && session !== "" && subject === undefined) return { session };
  throw gatewayError("INVALID_VALUE", "expected either subject or session");
}
