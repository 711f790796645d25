import { Code } from "../../status/code.js";
import { failure } from "../rpc-error.js";
import { type DemoService, serverStream, unary } from "../service.js";
import { Validation } from "../validation.js";
import type { Entry, RoomHistory } from "./room-history.js";

const MOST_MESSAGE = 2000;
const MOST_LISTED = 1000;
const DEFAULT_LISTED = 100;

/** A room and who is meant: the requests of joining and leaving alike. */
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
        new Validation().text("message", message, MOST_MESSAGE).done();
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
  new Validation().count("size", size, MOST_LISTED).done();
  return history.newest(roomId, size || DEFAULT_LISTED);
}
