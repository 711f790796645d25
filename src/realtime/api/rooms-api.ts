import { type GatewayError, gatewayError } from "../../status/failure.js";
import type { Member, Message, Published, RoomPosition } from "../brokers/broker.js";
import type { Hub, Post, RoomSummary } from "../rooms/hub.js";

/** What servers ask of rooms, by whatever protocol: bounds and defaults are here, the rest is the hub's. */
export interface RoomsApi {
  /** Undefined for an ephemeral message. */
  publish(post: Post): Promise<Published | undefined>;
  broadcast(rooms: readonly string[], post: Omit<Post, "room">): Promise<readonly (Published | undefined)[]>;
  rooms(): Promise<readonly RoomSummary[]>;
  members(room: string): Promise<readonly Member[]>;
  /** @param asked behind `since`, or the latest, those below `before` */
  history(room: string, asked: AskedHistory): Promise<HistoryPage>;
  disconnect(who: DisconnectTarget, reason: string | undefined): Promise<number>;
}

/** Exactly one of the two is given, and not empty. */
export interface DisconnectTarget {
  readonly subject?: string | undefined;
  readonly session?: string | undefined;
}

export interface AskedHistory {
  readonly since: RoomPosition | undefined;
  readonly before: number | undefined;
  readonly limit: number | undefined;
}

export interface HistoryPage {
  /** Oldest first. */
  readonly messages: readonly Message[];
  /** What `since` asked for; undefined where it was left out. */
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
        throw invalid("rooms", `expected 1 to ${maxRooms} names`);
      if (new Set(rooms).size < rooms.length) throw invalid("rooms", "expected each room once");
      return hub().broadcast(rooms, post);
    },
    rooms: async () => hub().rooms(),
    members: async room => hub().members(room),
    history: async (room, { since, before, limit }) => {
      if (since === undefined)
        return { messages: await hub().history(room, limit, before), replay: undefined };
      if (before !== undefined)
        throw invalid("before", "expected either before, or the position to read from");
      const { messages, position, recovered } = await hub().since(room, since, limit);
      return { messages, replay: { position, recovered } };
    },
    disconnect: async (who, reason = "disconnected") => {
      if (Buffer.byteLength(reason) > maxReasonBytes) {
        throw invalid("reason", `expected at most ${maxReasonBytes} bytes`);
      }
      return hub().disconnect({ ...whoOf(who), reason });
    },
  };
}

function whoOf({
  subject,
  session,
}: DisconnectTarget): { readonly subject: string } | { readonly session: string } {
  if (subject !== undefined && subject !== "" && session === undefined) return { subject };
  if (session !== undefined && session !== "" && subject === undefined) return { session };
  throw invalid("", "expected either subject or session");
}

/** @param field empty where the request as a whole is wrong */
export function invalid(field: string, message: string): GatewayError {
  if (field === "") return gatewayError("INVALID_VALUE", message);
  const text = `${field}: ${message}`;
  return gatewayError("INVALID_VALUE", text, [{ field, description: message }]);
}
