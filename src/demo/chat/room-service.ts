import { Code } from "../../status/code.js";
import { failure, RpcError } from "../rpc-error.js";
import { type DemoService, serverStream, unary } from "../service.js";
import { Validation } from "../validation.js";

const maxMessage = 2000;
const maxListed = 1000;
const defaultListed = 100;

/** A room and its user: the request of both joining and leaving. */
interface Visit {
  readonly roomId: string;
  readonly from: string;
}

interface Send extends Visit {
  readonly message: string;
}

interface GetHistory {
  readonly roomId: string;
  readonly size: number;
}

/** `chat.v1.Rooms`. */
export function chatRoomService(history: RoomHistory): DemoService {
  return {
    name: "chat.v1.Rooms",
    handlers: {
      Join: unary(({ roomId, from }: Visit) => {
        if (from.toLowerCase() === "protogate")
          throw failure(Code.PERMISSION_DENIED, "NAME_TAKEN", "chat.demo", `the name "${from}" is taken`, {
            from,
          });
        history.add(roomId, "JOIN", from);
        return {};
      }),

      Send: unary(({ roomId, from, message }: Send) => {
        new Validation().text("message", message, maxMessage).done();
        const text = message.trim();
        history.add(roomId, "MESSAGE", from, text);
        return { message: text };
      }),

      Leave: unary(({ roomId, from }: Visit) => {
        history.add(roomId, "LEAVE", from);
        return {};
      }),

      GetHistory: unary((request: GetHistory) => ({ entries: entriesOf(history, request) })),
      StreamHistory: serverStream((request: GetHistory) => entriesOf(history, request)),
    },
  };
}

function entriesOf(history: RoomHistory, { roomId, size }: GetHistory): readonly Entry[] {
  new Validation().count("size", size, maxListed).done();
  return history.newest(roomId, size || defaultListed);
}

/** `google.protobuf.Timestamp`. */
interface Timestamp {
  readonly seconds: number;
  readonly nanos: number;
}

/** `chat.v1.Entry`. */
interface Entry {
  readonly kind: "JOIN" | "MESSAGE" | "LEAVE";
  readonly from: string;
  readonly message: string;
  readonly time: Timestamp;
}

const maxRooms = 1000;
const maxEntries = 1000;

/** The events of rooms: the newest thousand of each. */
export class RoomHistory {
  readonly #rooms = new Map<string, Entry[]>();

  /** @throws RpcError RESOURCE_EXHAUSTED when there are too many rooms */
  add(room: string, kind: Entry["kind"], from: string, message = ""): void {
    let entries = this.#rooms.get(room);
    if (entries === undefined) {
      if (this.#rooms.size >= maxRooms)
        throw new RpcError(Code.RESOURCE_EXHAUSTED, `there are ${maxRooms} rooms, and no more are taken`);
      entries = [];
      this.#rooms.set(room, entries);
    }
    entries.push({ kind, from, message, time: timestamp(Date.now()) });
    if (entries.length > maxEntries) entries.shift();
  }

  /** The newest entries of a room, oldest first; none of a room that is not known. */
  newest(room: string, size: number): readonly Entry[] {
    return this.#rooms.get(room)?.slice(-size) ?? [];
  }
}

/** @param at milliseconds since 1970 */
function timestamp(at: number): Timestamp {
  return { seconds: Math.floor(at / 1000), nanos: (at % 1000) * 1_000_000 };
}
