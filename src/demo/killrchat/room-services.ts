import { type DemoService, unary } from "../service.js";
import { Validation } from "../validation.js";
import { type AccountStore, type Person, personOf } from "./accounts.js";
import type { RoomStore, StoredRoom } from "./room-store.js";

const maxName = 100;
const maxListedRooms = 1000;
const defaultListedRooms = 100;

interface CreateRoom {
  readonly roomName: string;
  readonly creator: Person | null;
  readonly banner: string;
}

/** A user and a room: the request of both joining and leaving. */
interface Participation {
  readonly login: string;
  readonly roomName: string;
}

/** `killrchat.v1.RoomService`. */
export function roomService(accounts: AccountStore, rooms: RoomStore): DemoService {
  return {
    name: "killrchat.v1.RoomService",
    handlers: {
      CreateRoom: unary(({ roomName, creator, banner }: CreateRoom) => {
        const login = creator?.login ?? "";
        const validation = new Validation()
          .text("room_name", roomName, maxName)
          .text("creator.login", login, 64)
          .optionalText("banner", banner, 500);
        if (roomName === "participant")
          validation.fail("room_name", '"participant" is taken: /rooms/participant means something else');
        validation.done();
        rooms.create(roomName, accounts.get(login), banner);
        return {};
      }),

      GetRoom: unary(({ roomName }: { readonly roomName: string }) => roomResponse(rooms.get(roomName))),

      ListRooms: unary(({ fetchSize }: { readonly fetchSize: number }) => {
        new Validation().count("fetch_size", fetchSize, maxListedRooms).done();
        return { rooms: rooms.oldest(fetchSize || defaultListedRooms).map(roomResponse) };
      }),

      JoinRoom: unary((request: Participation) => {
        checkParticipation(request);
        rooms.join(request.roomName, accounts.get(request.login));
        return {};
      }),

      LeaveRoom: unary((request: Participation) => {
        checkParticipation(request);
        rooms.leave(request.roomName, accounts.get(request.login));
        return {};
      }),

      DeleteRoom: unary(({ roomName }: { readonly roomName: string }) => {
        rooms.delete(roomName);
        return {};
      }),
    },
  };
}

function checkParticipation({ login, roomName }: Participation): void {
  new Validation().text("login", login, 64).text("room_name", roomName, maxName).done();
}

/** `killrchat.v1.Room`. */
function roomResponse({ roomName, creator, banner, creationDate, participants }: StoredRoom): object {
  return { roomName, creator, banner, creationDate, participants: [...participants.values()].map(personOf) };
}

const maxContent = 4096;
const maxListedMessages = 100;
const defaultListedMessages = 20;

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
        new Validation().text("author.login", login, 64).text("content", content, maxContent).done();
        const log = rooms.log(roomName);
        log.post(personOf(accounts.get(login)), content);
        return {};
      }),

      ListMessages: unary(({ fetchSize, fromMessageId, roomName }: ListMessages) => {
        new Validation().count("fetch_size", fetchSize, maxListedMessages).done();
        return { messages: rooms.log(roomName).newest(fetchSize || defaultListedMessages, fromMessageId) };
      }),
    },
  };
}
