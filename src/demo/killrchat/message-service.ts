import { type DemoService, unary } from "../service.js";
import { Validation } from "../validation.js";
import type { AccountStore, Person } from "./account-store.js";
import { personOf } from "./account-store.js";
import type { RoomStore } from "./room-store.js";

const MOST_CONTENT = 4096;
const MOST_LISTED = 100;
const DEFAULT_LISTED = 20;

interface PostMessage {
  readonly author: Person | null;
  readonly content: string;
  readonly roomName: string;
}

interface ListMessages {
  readonly fetchSize: number;
  readonly fromMessageId: string;
  readonly roomName: string;
}

/** `killrchat.v1.MessageService`. */
export function messageService(accounts: AccountStore, rooms: RoomStore): DemoService {
  return {
    name: "killrchat.v1.MessageService",
    handlers: {
      PostMessage: unary(({ author, content, roomName }: PostMessage) => {
        const login = author?.login ?? "";
        new Validation().text("author.login", login, 64).text("content", content, MOST_CONTENT).done();
        const log = rooms.log(roomName);
        log.post(personOf(accounts.get(login)), content);
        return {};
      }),

      ListMessages: unary(({ fetchSize, fromMessageId, roomName }: ListMessages) => {
        new Validation().count("fetch_size", fetchSize, MOST_LISTED).done();
        return { messages: rooms.log(roomName).newest(fetchSize || DEFAULT_LISTED, fromMessageId) };
      }),
    },
  };
}
