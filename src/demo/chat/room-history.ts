import { Code } from "../../status/code.js";
import { RpcError } from "../rpc-error.js";

/** `google.protobuf.Timestamp`. */
interface Timestamp {
  readonly seconds: number;
  readonly nanos: number;
}

/** `chat.v1.Entry`. */
export interface Entry {
  readonly kind: "JOIN" | "MESSAGE" | "LEAVE";
  readonly from: string;
  readonly message: string;
  readonly time: Timestamp;
}

const MOST_ROOMS = 1000;
const MOST_ENTRIES = 1000;

/** What has happened in rooms: the newest thousand entries of each. */
export class RoomHistory {
  readonly #rooms = new Map<string, Entry[]>();

  /** @throws RpcError RESOURCE_EXHAUSTED when there are too many rooms */
  add(room: string, kind: Entry["kind"], from: string, message = ""): void {
    let entries = this.#rooms.get(room);
    if (entries === undefined) {
      if (this.#rooms.size >= MOST_ROOMS)
        throw new RpcError(Code.RESOURCE_EXHAUSTED, `there are ${MOST_ROOMS} rooms, and no more are taken`);
      entries = [];
      this.#rooms.set(room, entries);
    }
    entries.push({ kind, from, message, time: timestamp(Date.now()) });
    if (entries.length > MOST_ENTRIES) entries.shift();
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
