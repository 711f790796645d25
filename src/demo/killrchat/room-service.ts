import { type DemoService, unary } from "../service.js";
import { Validation } from "../validation.js";
import type { AccountStore, Person } from "./account-store.js";
import { personOf } from "./account-store.js";
import type { Room, RoomStore } from "./room-store.js";

const MOST_NAME = 100;
const MOST_LISTED = 1000;
const DEFAULT_LISTED = 100;

interface CreateRoom {
  readonly roomName: string;
  readonly creator: Person | null;
  readonly banner: string;
}

/** A user and a room: the requests of joining and leaving alike. */
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
          .text("room_name", roomName, MOST_NAME)
          .text("creator.login", login, 64)
          .optionalText("banner", banner, 500);
        if (roomName === "participant")
          validation.fail("room_name", '"participant" is taken: /rooms/participant means something else');
        validation.done();
        rooms.create(roomName, accounts.get(login), banner);
        return {};
      }),

      GetRoom: unary(({ roomName }: { readonly roomName: string }) => roomReply(rooms.get(roomName))),

      ListRooms: unary(({ fetchSize }: { readonly fetchSize: number }) => {
        new Validation().count("fetch_size", fetchSize, MOST_LISTED).done();
        return { rooms: rooms.oldest(fetchSize || DEFAULT_LISTED).map(roomReply) };
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
  new Validation().text("login", login, 64).text("room_name", roomName, MOST_NAME).done();
}

/** `killrchat.v1.Room`. */
function roomReply({ roomName, creator, banner, creationDate, participants }: Room): object {
  return { roomName, creator, banner, creationDate, participants: [...participants.values()].map(personOf) };
}
