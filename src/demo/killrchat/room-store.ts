import type { Account, Person } from "./account-store.js";
import { personOf } from "./account-store.js";
import { full, roomExists, roomNotFound } from "./chat-error.js";
import { dateText } from "./date-text.js";
import { MessageLog } from "./message-log.js";

export interface Room {
  readonly roomName: string;
  readonly creator: Person;
  readonly banner: string;
  readonly creationDate: string;
  /** By login, in the order of joining. */
  readonly participants: Map<string, Account>;
  readonly log: MessageLog;
}

const MOST_ROOMS = 1000;
const MOST_PARTICIPANTS = 1000;

/** Rooms by name, and the lobby. Keeps the rooms of accounts and the participants of rooms in step. */
export class RoomStore {
  readonly #rooms = new Map<string, Room>();
  readonly #lobby = new MessageLog();

  /** @throws RpcError ALREADY_EXISTS, `ROOM_EXISTS`; RESOURCE_EXHAUSTED when there are too many */
  create(roomName: string, creator: Account, banner: string): void {
    if (this.#rooms.has(roomName)) throw roomExists(roomName);
    if (this.#rooms.size >= MOST_ROOMS) throw full("rooms", MOST_ROOMS);
    this.#rooms.set(roomName, {
      roomName,
      creator: personOf(creator),
      banner,
      creationDate: dateText(new Date()),
      participants: new Map([[creator.profile.login, creator]]),
      log: new MessageLog(),
    });
    creator.rooms.add(roomName);
  }

  /** @throws RpcError NOT_FOUND, `ROOM_NOT_FOUND` */
  get(roomName: string): Room {
    const room = this.#rooms.get(roomName);
    if (room === undefined) throw roomNotFound(roomName);
    return room;
  }

  /** In the order of their creation, at most `size`. */
  oldest(size: number): Room[] {
    const rooms: Room[] = [];
    for (const room of this.#rooms.values()) {
      if (rooms.length === size) break;
      rooms.push(room);
    }
    return rooms;
  }

  /** The messages of a room; of the lobby where the name is empty. */
  log(roomName: string): MessageLog {
    return roomName === "" ? this.#lobby : this.get(roomName).log;
  }

  /** @throws RpcError NOT_FOUND, `ROOM_NOT_FOUND`; RESOURCE_EXHAUSTED when the room is full */
  join(roomName: string, account: Account): void {
    const room = this.get(roomName);
    const person = personOf(account);
    if (room.participants.has(person.login)) return;
    if (room.participants.size >= MOST_PARTICIPANTS) throw full("participants", MOST_PARTICIPANTS);
    room.participants.set(person.login, account);
    account.rooms.add(roomName);
    room.log.post(person, `${person.firstname} ${person.lastname} joins the room`, true);
  }

  /** @throws RpcError NOT_FOUND, `ROOM_NOT_FOUND` */
  leave(roomName: string, account: Account): void {
    const room = this.get(roomName);
    const person = personOf(account);
    if (!room.participants.delete(person.login)) return;
    account.rooms.delete(roomName);
    room.log.post(person, `${person.firstname} ${person.lastname} leaves the room`, true);
  }

  /** @throws RpcError NOT_FOUND, `ROOM_NOT_FOUND` */
  delete(roomName: string): void {
    for (const account of this.get(roomName).participants.values()) account.rooms.delete(roomName);
    this.#rooms.delete(roomName);
  }
}
